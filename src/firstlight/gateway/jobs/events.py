"""The events of a job as Server-Sent Events (WHATWG HTML, "Server-sent events").

Each has its number as ``id``, so that a client that lost its connection goes on where it was (``Last-Event-ID``). What
comes between them every few seconds is a comment, which keeps the connection from looking dead.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator

from firstlight.gateway.asgi import dump_json
from firstlight.jobs.types import JobEvent

QUIET_S = 15.0
"""Seconds without an event after which a comment is sent."""
_BEGINNING = b"retry: 1000\n\n"
_STILL_THERE = b": the job goes on\n\n"


async def lines(watched: AsyncIterator[JobEvent], quiet: float = QUIET_S) -> AsyncGenerator[bytes]:
    """The bytes of the stream; it ends after the event ``completed``. Closing it stops watching.

    Args:
        watched: the events.
        quiet: seconds after which a comment is sent.
    """
    yield _BEGINNING
    coming: asyncio.Future[JobEvent | None] | None = None
    try:
        while True:
            coming = coming or asyncio.ensure_future(_next(watched))
            await asyncio.wait((coming,), timeout=quiet)
            if not coming.done():
                yield _STILL_THERE
                continue
            event, coming = coming.result(), None
            if event is None:
                return
            yield sent(event)
    finally:
        if coming is not None:
            coming.cancel()
            await asyncio.gather(coming, return_exceptions=True)
        close = getattr(watched, "aclose", None)
        if close is not None:
            await close()


def sent(event: JobEvent) -> bytes:
    """One event."""
    return b"id: %d\nevent: %s\ndata: %s\n\n" % (
        event.number,
        event.kind.encode(),
        dump_json(dict(event.data)),
    )


async def _next(watched: AsyncIterator[JobEvent]) -> JobEvent | None:
    return await anext(watched, None)
