"""Streamed answers of functions as HTTP responses: as they are made, or whole.

A response that streams is ``application/vnd.awslambda.http-integration-response``: JSON with ``statusCode``,
``headers`` and ``cookies``, eight NUL bytes, then the body (AWS Lambda developer guide, "Response streaming").
"""

from __future__ import annotations

from collections.abc import AsyncGenerator
from dataclasses import replace

from firstlight.gateway.asgi import BrokenOff
from firstlight.gateway.fronts import answers
from firstlight.gateway.fronts.answers import Parsed
from firstlight.gateway.streams import END_OF_PRELUDE, HTTP_INTEGRATION, Malformed, Piped, prelude
from firstlight.invoke.collecting import whole
from firstlight.invoke.types import RESPONSE_LIMIT, ByteStream, Reply

PRELUDE_LIMIT = 16 * 1024
"""Bytes before which the NUL bytes have to begin (API Gateway, "Lambda proxy integration format for streaming")."""


async def opened(reply: Reply, stream: ByteStream, always: bool) -> tuple[Parsed | None, Piped]:
    """A reply that streams on: its head, None where it has none, and its body.

    Args:
        always: whether it has to begin with a prelude, whatever its content type.

    Raises:
        Malformed: what should be its prelude is none; the stream was closed.
    """
    if reply.content_type != HTTP_INTEGRATION and not always:
        return None, Piped(_to_the_end(reply, b"", stream), stream)
    try:
        head, first = await _head(stream)
    except BaseException:
        await stream.aclose()
        raise
    return head, Piped(_to_the_end(reply, first, stream), stream)


async def buffered(reply: Reply, limit: int = RESPONSE_LIMIT) -> Parsed | None:
    """A streamed reply read to its end: the response in it, None where it has no prelude and ``payload`` holds it.

    Raises:
        TooMuch: it has more than ``limit`` bytes; the stream was closed.
        Malformed: what should be its prelude is none.
    """
    if reply.stream is None:
        return None
    joined = await whole(reply, limit)
    if reply.function_error:
        return None
    if reply.content_type != HTTP_INTEGRATION:
        reply.payload = joined
        return None
    head, found, body = joined.partition(END_OF_PRELUDE)
    if not found:
        raise Malformed("the stream has no prelude")
    return replace(answers.of_prelude(prelude(head)), body=body)


async def _head(stream: ByteStream) -> tuple[Parsed, bytes]:
    held = b""
    while END_OF_PRELUDE not in held:
        piece = await anext(stream, None)
        if piece is None or len(held) > PRELUDE_LIMIT:
            raise Malformed("the stream has no prelude")
        held += piece
    head, _, first = held.partition(END_OF_PRELUDE)
    return answers.of_prelude(prelude(head)), first


async def _to_the_end(reply: Reply, first: bytes, stream: ByteStream) -> AsyncGenerator[bytes]:
    if first:
        yield first
    async for piece in stream:
        yield piece
    if reply.function_error:
        raise BrokenOff(reply.payload[:500].decode("utf-8", "replace"))
