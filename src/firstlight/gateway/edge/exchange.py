"""One request and its answer, as an ASGI application sees them.

An answer that is whole can be handed over at once: ``scope[RESPOND](status, headers, body)`` is one write to the
socket, where ASGI's messages would be two calls and two dictionaries more.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from firstlight.gateway.asgi import BODY, RESPOND
from firstlight.gateway.edge import writing

if TYPE_CHECKING:
    from starlette.types import ASGIApp

    from firstlight.gateway.edge.connection import Connection

HIGH_WATER = 64 * 1024
"""Bytes of a body that wait to be taken before no more is read."""

log = logging.getLogger("firstlight.gateway")


class Exchange:
    """A request on a connection.

    Args:
        connection: where it came from and where the answer goes.
        scope: ASGI's description of it.
        keep_alive: whether another request may follow.
        expects: whether the client waits for a word before it sends the body.

    Attributes:
        received: the body is complete.
        gone: the client is not there any more.
        answered: the answer is complete.
    """

    __slots__ = (
        "_chunked",
        "_connection",
        "_expects",
        "_head",
        "_left",
        "_pieces",
        "_size",
        "_told",
        "_wake",
        "answered",
        "begun",
        "gone",
        "keep_alive",
        "received",
        "scope",
        "task",
    )

    def __init__(
        self, connection: Connection, scope: dict[str, Any], keep_alive: bool, expects: bool
    ) -> None:
        self.scope = scope
        self.keep_alive = keep_alive
        self.received = self.gone = self.answered = self.begun = False
        self.task: asyncio.Task[None] | None = None
        self._connection = connection
        self._expects = expects
        self._pieces: list[bytes] = []
        self._size = 0
        self._told = False
        self._wake: asyncio.Future[None] | None = None
        self._head: bytes | None = None
        self._chunked = False
        self._left = -1

    # What the connection tells.

    def feed(self, data: bytes) -> bool:
        """Take a piece of the body; whether there is room for more."""
        if self.answered or self.received:
            return True
        self._pieces.append(data)
        self._size += len(data)
        self.wake()
        return self._size <= HIGH_WATER or self.task is None

    def leave(self) -> None:
        """The client is not there any more."""
        self.gone = True
        self.wake()

    def wake(self) -> None:
        """Something has changed that ``receive`` may wait for."""
        if self._wake is not None and not self._wake.done():
            self._wake.set_result(None)

    async def run(self, app: ASGIApp) -> None:
        """Have the application answer, and answer for it when it does not."""
        scope = self.scope
        if self.received:
            scope[BODY] = self._pieces[0] if len(self._pieces) == 1 else b"".join(self._pieces)
        scope[RESPOND] = self.respond
        try:
            await app(scope, self.receive, self.send)
        except Exception:
            log.exception("%s %s failed", scope["method"], scope["path"])
        finally:
            # The connection remembers its last exchange: without the body, and without a circle for the collector.
            self._pieces = []
            scope.pop(BODY, None)
            scope.pop(RESPOND, None)
            self._connection.ended(self)
        if self.answered or self.gone:
            return
        if self.begun:
            self._connection.abort()  # what was sent cannot be taken back: the client sees that it is not complete
            return
        self.keep_alive = False
        self.respond(
            500, [(b"content-type", b"text/plain; charset=utf-8"), writing.CLOSE], b"Internal Server Error"
        )

    # What the application calls.

    def respond(self, status: int, headers: Iterable[tuple[bytes, bytes]], body: bytes) -> None:
        """Send a whole answer; silently nothing when the client is gone."""
        if self.gone:
            return
        fields = [*headers]
        if status not in (204, 304):
            fields.append((b"content-length", b"%d" % len(body)))
        self._mind(fields)
        head = writing.head(status, self._connection.date(), fields)
        self.begun = self.answered = True
        self._connection.write(head if self.scope["method"] == "HEAD" else head + body)
        self._connection.answered(self)

    async def receive(self) -> dict[str, Any]:
        """ASGI's next message."""
        if self._expects and not self.begun:
            self._expects = False
            if not (self.received or self._pieces):
                self._connection.write(writing.CONTINUE)
        while True:
            if self._pieces or (self.received and not self._told):
                body, self._pieces, self._size = b"".join(self._pieces), [], 0
                self._told = self.received
                self._connection.room()
                return {"type": "http.request", "body": body, "more_body": not self.received}
            if self.gone or self.answered:
                return {"type": "http.disconnect"}
            self._connection.room()
            self._wake = self._connection.loop.create_future()
            await self._wake

    async def send(self, message: Any) -> None:
        """Take one of ASGI's messages.

        Raises:
            RuntimeError: it is not one that can follow the one before.
            ValueError: a header has a line end in it.
        """
        if self._connection.clogged:
            await self._connection.drained()
        if self.gone:
            return
        kind = message["type"]
        if kind == "http.response.start" and not self.begun:
            self._start(message["status"], message.get("headers", ()))
        elif kind == "http.response.body" and self.begun and not self.answered:
            self._body(message.get("body", b""), message.get("more_body", False))
        else:
            raise RuntimeError(f"{kind!r} does not fit here")

    def _start(self, status: int, headers: Iterable[tuple[bytes, bytes]]) -> None:
        fields = [(name.lower(), value) for name, value in headers]
        length = next((value for name, value in fields if name == b"content-length"), None)
        if self.scope["method"] == "HEAD" or status in (204, 304):
            self._left = 0
        elif length is not None:
            self._left = int(length)
        elif self.scope["http_version"] == "1.0":
            self.keep_alive = False  # the end of the connection is the end of the answer
        else:
            self._chunked = True
            fields.append((b"transfer-encoding", b"chunked"))
        self._mind(fields)
        self._head = writing.head(status, self._connection.date(), fields)
        self.begun = True
        # An answer that is whole follows at once; the head of a stream does not wait for its first piece.
        self._connection.loop.call_soon(self._flush)

    def _flush(self) -> None:
        head, self._head = self._head, None
        if head is not None and not self.gone:
            self._connection.write(head)

    def _body(self, body: bytes, more: bool) -> None:
        bare = self.scope["method"] == "HEAD" or self._left == 0
        head, self._head = self._head or b"", None
        if bare:
            self._connection.write(head)
        elif self._chunked:
            piece = b"%x\r\n%b\r\n" % (len(body), body) if body else b""
            self._connection.write(head + piece + (b"" if more else b"0\r\n\r\n"))
        else:
            if 0 <= self._left < len(body):
                raise RuntimeError(f"the answer is {len(body) - self._left} bytes longer than it says")
            self._left -= len(body) if self._left >= 0 else 0
            self._connection.write(head + body)
        if not more:
            if self._left > 0:
                raise RuntimeError(f"the answer is {self._left} bytes shorter than it says")
            self.answered = True
            self._connection.answered(self)

    def _mind(self, fields: list[tuple[bytes, bytes]]) -> None:
        """Close the connection after the answer where it says so, and say so where it will be closed."""
        for name, value in fields:
            if name == b"connection" and b"close" in value.lower():
                self.keep_alive = False
                return
        if not self.keep_alive:
            fields.append(writing.CLOSE)
