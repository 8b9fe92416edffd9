"""Requests and answers at the ASGI level, with as little between a wire and uvicorn as there can be.

A wire is ``async handle(call) -> Answer`` plus ``explain(error, call) -> Answer``; ``Wire`` makes an ASGI app of both.
"""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass, field
from typing import Any, TypeVar
from urllib.parse import parse_qsl

from starlette.types import Receive, Scope, Send

from firstlight.gateway import joining
from firstlight.invoke.types import ByteStream
from firstlight.runtime.errors import FirstlightError, InvalidInput, PayloadTooLarge

DRAIN_LIMIT = 32 * 1024 * 1024
"""A refused body is read to its end (and thrown away) up to this size, so that a client that sends before it reads
gets the answer; the connection is closed on a longer one, and on one that does not say how long it is."""

BODY = "firstlight.body"
"""In a scope: the body, where it was complete before the application was called."""
_SORTED = "firstlight.headers"
RESPOND = "firstlight.respond"
"""In a scope, where whoever made it can: ``respond(status, headers, body)`` sends a whole answer at once."""

HeaderList = list[tuple[bytes, bytes]]

JSON_TYPE = (b"content-type", b"application/json")

Found = TypeVar("Found")

log = logging.getLogger("firstlight.gateway")


class ClientGone(Exception):
    """The client closed the connection before it was answered; nobody is there any more."""


class BrokenOff(Exception):
    """A stream ended before it was complete; what was sent cannot be taken back, so the connection is cut."""


class BodyTooLarge(PayloadTooLarge):
    """The body of a request is over the limit of its route.

    Args:
        size: bytes announced, or counted until the limit was passed.
        limit: bytes allowed.
        close: whether the connection has to be closed after the answer.
    """

    def __init__(self, size: int, limit: int, close: bool) -> None:
        super().__init__(
            f"the request body has {size} bytes and the limit is {limit}",
            "send less, or pass a reference to where the data lies",
        )
        self.size = size
        self.limit = limit
        self.close = close


@dataclass(slots=True)
class Answer:
    """An HTTP response: a body, or a stream of pieces that are sent as they come. Whoever sends a stream closes it."""

    status: int = 200
    body: bytes = b""
    headers: HeaderList = field(default_factory=list)
    stream: ByteStream | None = None

    async def send(self, send: Send) -> None:
        """Send it whole, or piece by piece when there is a stream."""
        headers = self.headers
        if self.stream is None:
            if self.status not in (204, 304):
                headers = [*headers, (b"content-length", b"%d" % len(self.body))]
            await send({"type": "http.response.start", "status": self.status, "headers": headers})
            await send({"type": "http.response.body", "body": self.body})
            return
        await send({"type": "http.response.start", "status": self.status, "headers": headers})
        try:
            async for piece in self.stream:
                await send({"type": "http.response.body", "body": piece, "more_body": True})
        except BrokenOff as problem:
            # Without the last message the server closes the connection, which a client sees as an incomplete answer.
            log.warning("a streamed answer broke off: %s", problem)
            return
        await send({"type": "http.response.body", "body": b""})


class Call:
    """One request as a wire sees it. Header names are lower case bytes; of repeated headers the last one counts."""

    __slots__ = ("_receive", "headers", "scope")

    def __init__(self, scope: Scope, receive: Receive) -> None:
        self.scope = scope
        self._receive = receive
        # Several layers look at one request; all but the first find the headers sorted.
        self.headers: dict[bytes, bytes] = scope.get(_SORTED) or scope.setdefault(
            _SORTED, dict(scope["headers"])
        )

    @property
    def path_parameters(self) -> dict[str, str]:
        """The named parts of the route's path."""
        found: dict[str, str] = self.scope.get("path_params", {})
        return found

    def header(self, name: bytes, default: str = "") -> str:
        """A header's value as text."""
        value = self.headers.get(name)
        return default if value is None else value.decode("latin-1")

    def query(self) -> dict[str, str]:
        """The query string; of a repeated name the last value counts."""
        raw: bytes = self.scope.get("query_string", b"")
        return dict(query_pairs(raw)) if raw else {}

    async def body(self, limit: int) -> bytes:
        """The whole body.

        Raises:
            BodyTooLarge: it is longer than ``limit``; an announced length is refused before anything is read.
            ClientGone: the connection was closed before the end.
        """
        announced = self.headers.get(b"content-length", b"")
        if announced.isdigit() and int(announced) > limit:
            raise BodyTooLarge(int(announced), limit, close=int(announced) > DRAIN_LIMIT)
        whole: bytes | None = self.scope.get(BODY)
        if whole is not None:
            if len(whole) > limit:
                raise BodyTooLarge(len(whole), limit, close=False)
            return whole
        pieces: list[bytes] = []
        size = 0
        while True:
            message = await self._receive()
            if message["type"] != "http.request":
                raise ClientGone
            piece = message.get("body", b"")
            size += len(piece)
            if size > limit:
                raise BodyTooLarge(size, limit, close=True)
            if not message.get("more_body", False) and not pieces:
                return bytes(piece)
            pieces.append(piece)
            if not message.get("more_body", False):
                return b"".join(pieces)

    async def while_present(self, work: Coroutine[Any, Any, Found]) -> Found:
        """What the work comes to, if the client is there until then. To be called once the body was read.

        Raises:
            ClientGone: it left, and the work was cancelled and has ended.
        """
        leaving = asyncio.ensure_future(self._gone())
        doing = asyncio.ensure_future(work)
        try:
            await asyncio.wait((leaving, doing), return_when=asyncio.FIRST_COMPLETED)
            if doing.done():
                return doing.result()
            raise ClientGone
        finally:
            leaving.cancel()
            doing.cancel()
            # An error on the way out is nobody's: gathered, it is not reported as never looked at.
            await asyncio.gather(leaving, doing, return_exceptions=True)

    async def _gone(self) -> None:
        while (await self._receive())["type"] != "http.disconnect":
            pass


Handle = Callable[[Call], Awaitable[Answer]]
Explain = Callable[[FirstlightError, Call], Answer]


class Wire:
    """An ASGI app that answers with ``handle`` and, when that raises, with what ``explain`` makes of the error."""

    __slots__ = ("explain", "handle")

    def __init__(self, handle: Handle, explain: Explain) -> None:
        self.handle = handle
        self.explain = explain

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        call = Call(scope, receive)
        joining.announce(call.headers)
        try:
            answer = await self.handle(call)
        except ClientGone:
            return
        except FirstlightError as error:
            answer = self.explain(error, call)
            if isinstance(error, BodyTooLarge) and error.close:
                answer.headers.append((b"connection", b"close"))
        except Exception:
            log.exception("%s %s failed", scope["method"], scope["path"])
            answer = self.explain(
                FirstlightError("the server failed at this request", "the reason is in the server's log"),
                call,
            )
        await _send(answer, call, send)


async def _send(answer: Answer, call: Call, send: Send) -> None:
    """Send an answer; a stream ends with its client."""
    if answer.stream is None:
        respond = call.scope.get(RESPOND)
        if respond is None:
            await answer.send(send)
        else:
            respond(answer.status, answer.headers, answer.body)
        return
    try:
        await call.while_present(answer.send(send))
    except ClientGone:
        pass
    finally:
        await answer.stream.aclose()


def query_pairs(raw: bytes) -> list[tuple[str, str]]:
    """A query string as (name, value) pairs in order."""
    try:
        return parse_qsl(raw.decode("latin-1"), keep_blank_values=True, max_num_fields=200)
    except ValueError as error:
        raise InvalidInput("the query string has more than 200 fields", "send a JSON body") from error


def _refuse_constant(name: str) -> Any:
    raise ValueError(f"{name} is not JSON")


_encoder = json.JSONEncoder(separators=(",", ":"))
_decoder = json.JSONDecoder(parse_constant=_refuse_constant)


def parse_json(body: bytes) -> Any:
    """Strict JSON: UTF-8 only, no NaN or Infinity.

    Raises:
        ValueError: it is not JSON, is nested too deeply, or holds a number of more than 4300 digits.
    """
    try:
        return _decoder.decode(body.decode("utf-8"))
    except RecursionError:
        raise ValueError("it is nested too deeply") from None


def dump_json(value: Any) -> bytes:
    """JSON as it is sent: compact, ASCII, so that lone surrogates survive."""
    return _encoder.encode(value).encode("ascii")


def json_answer(value: Any, status: int = 200, headers: HeaderList | None = None) -> Answer:
    """An answer whose body is JSON."""
    return Answer(status, dump_json(value), [JSON_TYPE, *(headers or [])])


def media_type(call: Call) -> str:
    """The media type of the body without its parameters, in lower case; empty when none was sent."""
    return call.header(b"content-type").partition(";")[0].strip().lower()


def header_text(text: str) -> bytes:
    """Text as a header's value: ASCII on one line."""
    return text.encode("ascii", "backslashreplace").replace(b"\r", b" ").replace(b"\n", b" ")
