"""The socket of one client: what is sent to it, at the client's speed, and how it is hung up."""

from __future__ import annotations

import asyncio
import contextlib
from typing import cast

from firstlight.gateway.edge import writing
from firstlight.gateway.edge.limits import Limits


class Line(asyncio.Protocol):
    """A transport and its two directions.

    Args:
        loop: the event loop.
        limits: how long a client may take.

    Attributes:
        clogged: the client takes the answer more slowly than it is made.
        since: when something moved last, by the event loop's clock.
        paused: nothing is read for now.
        lingering: bytes thrown away since the sending side was closed; 0 while it is open.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, limits: Limits) -> None:
        self.transport: asyncio.Transport = cast(asyncio.Transport, None)
        self.loop = loop
        self.limits = limits
        self.clogged = False
        self.since = loop.time()
        self.paused = False
        self.lingering = 0
        self._drained: asyncio.Event | None = None
        self._unsent = self._written = self._held = 0

    def pause_writing(self) -> None:
        """The client does not keep up."""
        self.clogged = True
        self._unsent, self.since = -1, self.loop.time()
        self._held = max(self._written, self.transport.get_write_buffer_size())

    def resume_writing(self) -> None:
        """It does again."""
        self.clogged = False
        if self._drained is not None:
            self._drained.set()

    async def drained(self) -> None:
        """Return when the client has taken most of what was sent."""
        if self.clogged:
            self._drained = asyncio.Event()
            await self._drained.wait()

    def write(self, data: bytes) -> None:
        """Send; silently nothing when the client is gone."""
        if data and not self.transport.is_closing():
            self._written = len(data)
            if self.clogged:
                self._held += len(data)
            self.transport.write(data)

    def abort(self) -> None:
        """Hang up at once."""
        self.transport.abort()

    def pause(self) -> None:
        """Read nothing more for now."""
        if not self.paused and not self.transport.is_closing():
            self.paused = True
            self.transport.pause_reading()

    def resume(self) -> None:
        """Read on."""
        if self.paused and not self.transport.is_closing():
            self.paused = False
            self.since = self.loop.time()
            self.transport.resume_reading()

    def refuse(self, status: int, text: str) -> None:
        """Say why nothing more is taken, and hang up."""
        self.write(writing.refusal(status, text))
        self.linger()

    def linger(self) -> None:
        """Hang up on the sending side alone.

        Closed altogether, what the client still sends would cost it the answer: its system throws away what was
        received when it is told that nobody listens.
        """
        self.lingering = 1
        self.since = self.loop.time()
        if not self.transport.is_closing():
            with contextlib.suppress(OSError, RuntimeError):
                self.transport.write_eof()
            self.resume()

    def throw_away(self, size: int) -> None:
        """Bytes came after the sending side was closed."""
        self.lingering += size
        if self.lingering > self.limits.linger:
            self.abort()

    @property
    def unread(self) -> int:
        """Bytes that are held for a client that does not keep up: a piece is let go when all of it has been taken."""
        return self._held if self.clogged else 0

    def look_at_reader(self, now: float) -> None:
        """Hang up on a client that has taken nothing of its answer for too long."""
        unsent = self.transport.get_write_buffer_size()
        if unsent != self._unsent:
            self._unsent, self.since = unsent, now
        elif now - self.since > self.limits.write_s:
            self.abort()
