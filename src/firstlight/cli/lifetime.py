"""How the server begins and ends: it says when it serves; a second Ctrl-C ends what the first one let run on."""

from __future__ import annotations

import asyncio
import signal
import socket
from collections.abc import Awaitable, Callable
from types import FrameType

import uvicorn

_FAREWELL_S = 2.0
"""Seconds in which answers and records still leave, once every worker has been stopped."""
_LAST_RESORT_S = 15


class Lifetime(uvicorn.Server):
    """Uvicorn, which says that it serves once it does: signals are handled and connections taken from then on.

    On a second Ctrl-C, uvicorn alone would leave workers behind and drop invocations without an answer or a record.

    Args:
        config: its graceful timeout is set here, to come after ours.
        announce: called when it serves.
        ending: called at the first signal, before what runs has ended.
        end_now: stops every worker; what they were doing is then answered as a crash.
        grace_s: seconds for running invocations after the first signal.
    """

    def __init__(
        self,
        config: uvicorn.Config,
        announce: Callable[[], None],
        ending: Callable[[], None],
        end_now: Callable[[], Awaitable[None]],
        grace_s: int,
    ) -> None:
        config.timeout_graceful_shutdown = grace_s + _LAST_RESORT_S
        super().__init__(config)
        self._announce = announce
        self._at_signal = ending
        self._end_now = end_now
        self._grace_s = grace_s
        self._loop = asyncio.get_running_loop()
        self._ending: asyncio.Task[None] | None = None

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """As uvicorn does, then announce."""
        await super().startup(sockets)
        if self.started:
            self._announce()

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Called in the middle of anything, as signal handlers are."""
        if self.should_exit:
            self._loop.call_soon_threadsafe(self._hurry)
            return
        super().handle_exit(signal.Signals(sig), frame)
        self._loop.call_soon_threadsafe(self._at_signal)
        self._loop.call_soon_threadsafe(self._loop.call_later, self._grace_s, self._hurry)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """As uvicorn does, and close the application even when in a hurry: its records are still to be written."""
        await super().shutdown(sockets)
        if self.force_exit:
            await self.lifespan.shutdown()

    def _hurry(self) -> None:
        if self._ending is None:
            self._ending = self._loop.create_task(self._end())

    async def _end(self) -> None:
        await self._end_now()
        await self._finished(_FAREWELL_S)
        for connection in tuple(self.server_state.connections):
            connection.transport.abort()  # a client in the middle of a request that it does not finish
        await self._finished(_FAREWELL_S)
        self.force_exit = True

    async def _finished(self, seconds: float) -> None:
        last = self._loop.time() + seconds
        while self.server_state.tasks and self._loop.time() < last:
            await asyncio.sleep(0.01)
