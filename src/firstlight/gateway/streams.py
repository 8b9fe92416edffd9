"""Streamed replies on wires that answer whole, and as HTTP responses on those that can stream.

A handler's HTTP response streams as ``application/vnd.awslambda.http-integration-response``: JSON with ``statusCode``,
``headers`` and ``cookies``, eight NUL bytes, then the body (AWS Lambda developer guide, "Response streaming").
"""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator, AsyncIterator, Coroutine
from typing import Any, Protocol

from firstlight.gateway import proxy_event
from firstlight.gateway.asgi import Answer, BrokenOff, dump_json
from firstlight.gateway.proxy_event import Malformed
from firstlight.invoke.types import ByteStream, Reply

HTTP_INTEGRATION = "application/vnd.awslambda.http-integration-response"
PRELUDE_LIMIT = 64 * 1024
"""Bytes of JSON before the NUL bytes at most."""

_END_OF_PRELUDE = bytes(8)


class Source(Protocol):
    """What can be read no more: a stream, an asynchronous generator."""

    def aclose(self) -> Coroutine[Any, Any, None]: ...


class Piped:
    """Pieces made of another stream. Closing closes that one too, whether or not the first piece was asked for.

    Args:
        pieces: makes them.
        source: what it reads; None where it reads nothing.
    """

    def __init__(self, pieces: AsyncGenerator[bytes], source: Source | None) -> None:
        self._pieces = pieces
        self._source = source

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self._pieces

    async def __anext__(self) -> bytes:
        return await anext(self._pieces)

    async def aclose(self) -> None:
        """End the work behind the pieces."""
        await self._pieces.aclose()
        if self._source is not None:
            await self._source.aclose()


async def whole(reply: Reply) -> bytes:
    """All bytes of a reply; of one that broke off the error.

    The stream's end is what completes ``function_error`` and ``payload``. Whoever gives up waiting for it ends it.
    """
    if reply.stream is None:
        return reply.payload
    try:
        joined = b"".join([piece async for piece in reply.stream])
    finally:
        await reply.stream.aclose()
    return reply.payload if reply.function_error else joined


async def as_json(reply: Reply) -> bytes:
    """The same as JSON, for wires that carry nothing else: text as a string, an HTTP response as an object."""
    if reply.stream is None:
        return reply.payload
    joined = await whole(reply)
    if reply.function_error:
        return joined
    if reply.content_type == HTTP_INTEGRATION:
        head, _, body = joined.partition(_END_OF_PRELUDE)
        return dump_json({**_prelude(head), "body": body.decode("utf-8", "replace")})
    try:
        json.loads(joined)
    except ValueError:
        return dump_json(joined.decode("utf-8", "replace"))
    return joined


async def response(reply: Reply, stream: ByteStream) -> Answer:
    """A streamed reply as an HTTP response that streams on.

    Raises:
        Malformed: what should be its prelude is none.
    """
    if reply.content_type != HTTP_INTEGRATION:
        kind = reply.content_type.encode("latin-1", "replace")
        return Answer(
            200, b"", [(b"content-type", kind)], stream=Piped(_to_the_end(reply, b"", stream), stream)
        )
    held = b""
    while _END_OF_PRELUDE not in held:
        piece = await anext(stream, None)
        if piece is None or len(held) > PRELUDE_LIMIT:
            await stream.aclose()
            raise Malformed("the stream has no prelude")
        held += piece
    head, _, first = held.partition(_END_OF_PRELUDE)
    prelude = _prelude(head)
    cookies = prelude.pop("cookies", None) or []
    answer, _ = proxy_event.answer_of(dump_json({"statusCode": 200, **prelude}))
    answer.headers += [(b"set-cookie", str(cookie).encode("latin-1", "replace")) for cookie in cookies]
    answer.stream = Piped(_to_the_end(reply, first, stream), stream)
    return answer


def _prelude(head: bytes) -> dict[str, Any]:
    try:
        value = json.loads(head)
    except ValueError as error:
        raise Malformed("the prelude is not JSON") from error
    if not isinstance(value, dict) or not isinstance(value.get("cookies", []), list):
        raise Malformed("the prelude is not an object")
    return value


async def _to_the_end(reply: Reply, first: bytes, stream: ByteStream) -> AsyncGenerator[bytes]:
    if first:
        yield first
    async for piece in stream:
        yield piece
    if reply.function_error:
        raise BrokenOff(reply.payload[:500].decode("utf-8", "replace"))
