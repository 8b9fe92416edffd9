"""What a job is told of an answer while it is made: the text of it, whatever its bytes look like.

Of a generating task's events that is the text of the tokens; of an HTTP response what comes after its prelude; of
everything else the bytes as they are.
"""

from __future__ import annotations

import codecs
from collections.abc import AsyncGenerator, Mapping
from typing import Any

from firstlight.gateway import events
from firstlight.gateway.streams import END_OF_PRELUDE, HTTP_INTEGRATION, Piped
from firstlight.invoke.types import ByteStream
from firstlight.jobs.current import Running

HELD_LIMIT = 64 * 1024
"""Bytes that are looked at together before they are known to be neither a prelude nor an event."""


def told(job: Running, stream: ByteStream, kind: str) -> Piped:
    """The stream, whose pieces the job is told as they are read.

    Args:
        kind: its media type.
    """
    return Piped(_told(job, stream, kind), stream)


async def _told(job: Running, stream: ByteStream, kind: str) -> AsyncGenerator[bytes]:
    telling = Telling(job, kind)
    async for piece in stream:
        telling(piece)
        yield piece


class Telling:
    """Tells a job the pieces of one stream, wherever these were cut.

    Args:
        kind: the stream's media type.
    """

    def __init__(self, job: Running, kind: str) -> None:
        self._job = job
        self._prelude = kind == HTTP_INTEGRATION
        self._events = kind.startswith("text/event-stream")
        self._held = b""
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")

    def __call__(self, piece: bytes) -> None:
        """The next piece."""
        if self._prelude:
            self._held += piece
            _, end, piece = self._held.partition(END_OF_PRELUDE)
            if not end and len(self._held) <= HELD_LIMIT:
                return
            self._prelude, self._held = False, b""
        text = self._of_events(piece) if self._events else self._decoder.decode(piece)
        if text:
            self._job.output(text)

    def _of_events(self, piece: bytes) -> str:
        """The text in the events that are complete; of events that no generating task writes their own text."""
        *whole, self._held = (self._held + piece).split(b"\n\n")
        said = ""
        for raw in whole:
            try:
                said += text_of(events.read(raw))
            except events.NotEvents:
                said += raw.decode("utf-8", "replace") + "\n\n"
        if len(self._held) > HELD_LIMIT:  # these are no events
            self._events = False
            said += self._decoder.decode(self._held)
            self._held = b""
        return said


def text_of(event: Mapping[str, Any]) -> str:
    """The text that an event of a generating task adds to the answer.

    Raises:
        NotEvents: it is of another kind.
    """
    if "token" not in event:
        raise events.NotEvents("not of a generating task")
    token = event["token"]
    return "" if not isinstance(token, dict) or token.get("special") else str(token.get("text") or "")
