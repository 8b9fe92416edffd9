"""All connections of a server: who is let in, who has to go, and the clock that looks after them."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from firstlight.gateway.edge.connection import Connection, State
from firstlight.gateway.edge.limits import Limits

if TYPE_CHECKING:
    from starlette.types import ASGIApp

_LEAVES_FIRST = {State.LINGERING: 0, State.IDLE: 1, State.HEAD: 2, State.BODY: 2}
"""Whose place is given to a newcomer: who has nothing to lose, then who takes longest to say what it wants."""


class Edge:
    """Makes the protocol of each connection; what uvicorn takes for its protocol class.

    Args:
        limits: of every connection.
    """

    def __init__(self, limits: Limits | None = None) -> None:
        self.limits = limits or Limits()
        self.loop: asyncio.AbstractEventLoop
        self.app: ASGIApp
        self.state: dict[str, Any] = {}
        self.tasks: set[asyncio.Task[None]] = set()
        self._connections: set[Any] = set()
        self._server: Any = None
        self._most = self.limits.most()
        self._timer: asyncio.TimerHandle | None = None
        self._dated: Any = None
        self._date = b""

    def __call__(
        self,
        config: Any,
        server_state: Any,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> Connection:
        """The protocol of a new connection.

        Args:
            config: uvicorn's; says which application answers.
            server_state: uvicorn's; knows the connections and tasks that a shutdown waits for.
            app_state: what the application's lifespan left for its requests.
        """
        if self._server is not server_state:
            self._server, self.app, self.state = server_state, config.loaded_app, app_state
            self.tasks, self._connections = server_state.tasks, server_state.connections
            self.loop = _loop or asyncio.get_running_loop()
        return Connection(self)

    def date(self) -> bytes:
        """The header lines that every answer begins with; uvicorn makes a new list every second."""
        headers = self._server.default_headers
        if headers is not self._dated:
            self._dated = headers
            self._date = b"".join(b"%b: %b\r\n" % header for header in headers)
        return self._date

    def admit(self, connection: Connection) -> bool:
        """Take a new connection, if need be in the place of another; False where all others are being answered."""
        self._connections.add(connection)
        if self._timer is None:
            self._timer = self.loop.call_later(self.limits.look_s, self._look)
        if len(self._connections) <= self._most:
            return True
        others = [other for other in self._connections if other is not connection]
        candidates = [(_LEAVES_FIRST[state], other.waiting_since, id(other), other) for other in others
                      if (state := other.state) in _LEAVES_FIRST]  # fmt: skip
        if not candidates:
            return False
        leaving: Connection = min(candidates)[-1]
        self._connections.discard(leaving)
        leaving.abort()
        return True

    def lost(self, connection: Connection) -> None:
        """A connection was closed."""
        self._connections.discard(connection)

    def _look(self) -> None:
        self._timer = None
        now = self.loop.time()
        for connection in tuple(self._connections):
            connection.look(now)
        self._make_room()
        if self._connections:
            self._timer = self.loop.call_later(self.limits.look_s, self._look)

    def _make_room(self) -> None:
        """Hang up on clients that do not take their answers, who has taken nothing for longest first."""
        slow = [connection for connection in self._connections if connection.clogged]
        waiting = sum(connection.unread for connection in slow)
        for connection in sorted(slow, key=lambda connection: connection.since):
            if waiting <= self.limits.unread:
                return
            waiting -= connection.unread
            connection.abort()
