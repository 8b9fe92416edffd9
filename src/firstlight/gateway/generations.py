"""Generations on their way through the gateway: the events of one, or of several side by side.

A generation is always read as a stream, also where the client wants it whole: so a client that goes away ends it.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from typing import Any

from firstlight.gateway.core import Gateway
from firstlight.gateway.events import NotEvents, events
from firstlight.gateway.failures import FunctionFailed, of_reply
from firstlight.invoke.types import Invocation, Reply
from firstlight.runtime.errors import FirstlightError

Event = dict[str, Any]
"""One event of ``runtime.types.GeneratingTask``."""

log = logging.getLogger("firstlight.gateway")

_AHEAD = 64
"""Events that may wait for the reader of several generations."""


class Generation:
    """One invocation of a generating task whose event says ``"stream": true``.

    Args:
        gateway: carries it.
        invocation: what to carry.

    Attributes:
        reply: the reply, once there is one.
    """

    def __init__(self, gateway: Gateway, invocation: Invocation) -> None:
        self._gateway = gateway
        self._invocation = invocation
        self.reply: Reply | None = None

    async def events(self) -> AsyncGenerator[Event]:
        """The events, each when it is known; the last one has ``details``. Closing this ends the work.

        Raises:
            FirstlightError: there was no answer, or it broke off.
        """
        reply = self.reply = await self._gateway.invoke(self._invocation, stops=True)
        if reply.stream is None:
            raise of_reply(reply) if reply.function_error else _broken(reply, "was not a stream")
        last: Event = {}
        problem = None
        try:
            async for event in events(reply.stream):
                last = event
                yield event
        except NotEvents as error:
            problem = str(error)
        finally:
            await reply.stream.aclose()
        if reply.function_error:
            raise of_reply(reply)
        if problem or last.get("details") is None:
            raise _broken(reply, problem or "ended early")


async def merged(sources: Sequence[AsyncGenerator[Event]]) -> AsyncGenerator[tuple[int, Event]]:
    """The events of several generations with the number of each, as they come.

    Raises:
        FirstlightError: one of them failed; the others were ended.
    """
    if len(sources) == 1:
        async with aclosing(sources[0]) as only:
            async for event in only:
                yield 0, event
        return
    coming: asyncio.Queue[tuple[int, Event | FirstlightError | None]] = asyncio.Queue(_AHEAD)
    tasks = [asyncio.create_task(_pump(number, source, coming)) for number, source in enumerate(sources)]
    try:
        going = len(tasks)
        while going:
            number, found = await coming.get()
            if isinstance(found, FirstlightError):
                raise found
            if found is None:
                going -= 1
            else:
                yield number, found
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _pump(
    number: int,
    source: AsyncGenerator[Event],
    coming: asyncio.Queue[tuple[int, Event | FirstlightError | None]],
) -> None:
    try:
        async with aclosing(source):
            async for event in source:
                await coming.put((number, event))
    except FirstlightError as error:
        await coming.put((number, error))
    except Exception:
        log.exception("a generation failed")
        await coming.put((number, FirstlightError("the server failed at this request")))
    else:
        await coming.put((number, None))


def _broken(reply: Reply, how: str) -> FunctionFailed:
    return FunctionFailed(
        f"the answer {how}", kind="Runtime.BrokenOff", status=502, request_id=reply.request_id
    )
