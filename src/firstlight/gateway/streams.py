"""Streamed replies on wires that answer whole, and what the wires that stream make theirs of.

How a streamed HTTP response of a handler begins is in ``fronts.streaming``.
"""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator, AsyncIterator, Coroutine
from typing import Any, Protocol

from firstlight.gateway.asgi import dump_json
from firstlight.invoke.collecting import whole
from firstlight.invoke.types import Reply

HTTP_INTEGRATION = "application/vnd.awslambda.http-integration-response"
END_OF_PRELUDE = bytes(8)


class Malformed(Exception):
    """A function's answer is not the HTTP response it should be."""


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


async def as_json(reply: Reply) -> bytes:
    """The same as JSON, for wires that carry nothing else: text as a string, an HTTP response as an object."""
    if reply.stream is None:
        return reply.payload
    joined = await whole(reply)
    if reply.function_error:
        return joined
    if reply.content_type == HTTP_INTEGRATION:
        head, _, body = joined.partition(END_OF_PRELUDE)
        return dump_json({**prelude(head), "body": body.decode("utf-8", "replace")})
    try:
        json.loads(joined)
    except ValueError:
        return dump_json(joined.decode("utf-8", "replace"))
    return joined


def prelude(head: bytes) -> dict[str, Any]:
    """The JSON before a streamed HTTP response.

    Raises:
        Malformed: it is none.
    """
    try:
        value = json.loads(head)
    except ValueError as error:
        raise Malformed("the prelude is not JSON") from error
    if not isinstance(value, dict) or not isinstance(value.get("cookies", []), list):
        raise Malformed("the prelude is not an object")
    return value
