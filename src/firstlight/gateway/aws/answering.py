"""A request at a time through the app, on an event loop that runs only while Lambda lets the function run.

The loop goes on for as long as somebody waits for the next piece of an answer, and stands still in between, as the
whole function does. An answer that streams leaves piece by piece through our own runtime loop; under AWS's, which
cannot stream, it leaves whole.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable, Iterator
from typing import Any

from starlette.types import ASGIApp, Message

from firstlight.gateway.asgi import HeaderList
from firstlight.gateway.aws import answers, requests
from firstlight.gateway.aws.requests import Arrived

_AHEAD = 64
"""Pieces of an answer that may be made before they are sent."""
_LEAVING_S = 3.0
"""Seconds for the work behind an answer to end when nobody reads on."""


class BrokenOff(Exception):
    """An answer ended before it was complete; the front cuts its connection when it hears so."""


class _Left(OSError):
    """Nobody reads what is sent (ASGI, "Disconnected Client Exception")."""


def ours() -> bool:
    """Whether our own runtime loop runs this function: it can stream."""
    return "firstlight.runtime.worker" in sys.modules


class Answering:
    """The function's handler.

    Args:
        app: answers requests.
        loop: the loop that it lives on.
        can_stream: whether answers can leave as they are made.
    """

    def __init__(
        self, app: ASGIApp, loop: asyncio.AbstractEventLoop, can_stream: Callable[[], bool] = ours
    ) -> None:
        self._app = app
        self._loop = loop
        self._can_stream = can_stream

    def __call__(self, event: Any, context: Any) -> dict[str, Any]:  # noqa: ARG002 - Lambda's signature
        """The answer to one event, in the form of its front.

        Raises:
            InvalidInput: the event is none of an HTTP front.
        """
        if requests.is_ping(event):
            return {"warm": True}
        arrived = requests.read(event)
        exchange = _Exchange(self._app, self._loop, arrived)
        status, headers = exchange.head()
        if arrived.streams and self._can_stream():
            return answers.streamed(status, headers, exchange.pieces())
        return answers.whole(arrived, status, headers, b"".join(exchange.pieces()))


class _Exchange:
    """One request and its response."""

    def __init__(self, app: ASGIApp, loop: asyncio.AbstractEventLoop, arrived: Arrived) -> None:
        self._loop = loop
        self._said: asyncio.Queue[Message | None] = asyncio.Queue(_AHEAD)
        self._left = asyncio.Event()
        self._asked = False
        self._scope = arrived.scope
        self._task = loop.create_task(self._run(app))

    def head(self) -> tuple[int, HeaderList]:
        """Status and headers, when the app has them."""
        message = self._next()
        if message is None:
            self._task.result()
            raise BrokenOff("the gateway gave no answer")
        return int(message["status"]), list(message.get("headers", ()))

    def pieces(self) -> Iterator[bytes]:
        """The body as it is made; closing this ends the work behind it.

        Raises:
            BrokenOff: it ended before it was complete.
        """
        try:
            while (message := self._next()) is not None:
                if piece := message.get("body", b""):
                    yield piece
                if not message.get("more_body", False):
                    return
            raise BrokenOff("the answer ended before it was complete")
        finally:
            self._loop.run_until_complete(self._end())

    def _next(self) -> Message | None:
        return self._loop.run_until_complete(self._said.get())

    async def _run(self, app: ASGIApp) -> None:
        try:
            await app(self._scope, self._receive, self._send)
        except _Left:
            pass
        finally:
            if not self._left.is_set():
                await self._said.put(None)

    async def _send(self, message: Message) -> None:
        if self._left.is_set():
            raise _Left
        await self._said.put(message)

    async def _receive(self) -> Message:
        if not self._asked:
            self._asked = True
            return {"type": "http.request", "body": self._scope["firstlight.body"], "more_body": False}
        await self._left.wait()
        return {"type": "http.disconnect"}

    async def _end(self) -> None:
        self._left.set()
        while not self._said.empty():  # whoever waits for room goes on
            self._said.get_nowait()
        await asyncio.wait((self._task,), timeout=_LEAVING_S)
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)
