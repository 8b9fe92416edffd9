"""Requests that the server sends itself, without a socket: they enter behind the guard at the door.

Whoever caused one was let in before. A request from outside cannot pass for one: what marks it is in the ASGI scope,
which only the server writes.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any
from urllib.parse import unquote

from starlette.types import ASGIApp, Message

from firstlight.gateway.asgi import Call, HeaderList
from firstlight.invoke.types import RESPONSE_LIMIT
from firstlight.jobs.types import Request
from firstlight.runtime.errors import PayloadTooLarge

JOB = "firstlight.job"
"""Key of the scope: the id of the job whose request this is."""


def runs_as_job(call: Call) -> bool:
    """Whether this request is that of a job: it was let in when it was taken, and there is no wall before it."""
    return JOB in call.scope


class Inside:
    """The server's app, behind its guard.

    Args:
        app: ``gateway.app.App``.
    """

    def __init__(self, app: Any) -> None:
        self._app = app
        self._inside: ASGIApp = app.inside

    async def ask(
        self, request: Request, body: bytes, marks: Mapping[str, Any], limit: int = RESPONSE_LIMIT
    ) -> Collected:
        """The response to a request. Cancelling this ends the work behind it.

        Args:
            marks: more keys of the scope.
            limit: bytes of a response.

        Raises:
            PayloadTooLarge: the response is larger; it was not read to its end.
        """
        collected = Collected(limit)
        messages: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

        async def receive() -> Message:
            if messages:
                return messages.pop()
            await asyncio.Event().wait()  # it never goes away; who does not want it any more cancels it
            raise AssertionError

        scope = _scope(request, len(body)) | {"app": self._app, **marks}
        await self._inside(scope, receive, collected.take)
        return collected


class Collected:
    """A response as it was sent, at most ``limit`` bytes of it."""

    def __init__(self, limit: int) -> None:
        self.status = 0
        self.headers: HeaderList = []
        self.complete = False
        self._limit = limit
        self._pieces: list[bytes] = []
        self._size = 0

    async def take(self, message: Message) -> None:
        """One message of ASGI."""
        if message["type"] == "http.response.start":
            self.status, self.headers = message["status"], list(message["headers"])
            return
        piece = message.get("body", b"")
        self._size += len(piece)
        if self._size > self._limit:
            raise PayloadTooLarge(
                f"the answer has more than {self._limit} bytes",
                "ask for less, or for a reference to where it lies",
            )
        self._pieces.append(piece)
        self.complete = not message.get("more_body", False)

    @property
    def body(self) -> bytes:
        """What came."""
        return b"".join(self._pieces)

    def header(self, name: bytes, default: str = "") -> str:
        """A header's value as text."""
        return dict(self.headers).get(name, default.encode()).decode("latin-1")


def _scope(request: Request, size: int) -> dict[str, Any]:
    headers = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in request.headers]
    headers += [(b"host", b"localhost"), (b"content-length", b"%d" % size)]
    return {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": request.method,
        "scheme": "http",
        "path": unquote(request.path),
        "raw_path": request.path.encode("latin-1", "replace"),
        "root_path": "",
        "query_string": request.query.encode("latin-1", "replace"),
        "headers": headers,
        "client": ("127.0.0.1", 0),
        "server": ("127.0.0.1", 80),
    }
