"""Server-Sent Events out of the bytes a worker streams, wherever these were cut."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Any

from firstlight.invoke.types import ByteStream

_DATA, _END = b"data:", b"\n\n"


class NotEvents(ValueError):
    """A stream that should hold events holds something else."""


async def events(stream: ByteStream) -> AsyncIterator[dict[str, Any]]:
    """The events of a generating task's stream, each when it has arrived.

    Raises:
        NotEvents: what arrived is none.
    """
    held = b""
    async for piece in stream:
        held += piece
        *whole, held = held.split(_END)
        for text in whole:
            yield read(text)
    if held:
        raise NotEvents("the stream ended within an event")


def read(text: bytes) -> dict[str, Any]:
    """One event, without the empty line after it.

    Raises:
        NotEvents: it is none.
    """
    try:
        event = json.loads(text.removeprefix(_DATA)) if text.startswith(_DATA) else None
    except (ValueError, RecursionError):
        event = None
    if not isinstance(event, dict):
        raise NotEvents(f"the stream holds {text[:40]!r}, which is no event")
    return event
