"""A streamed reply read to its end, for whoever wants it whole."""

from __future__ import annotations

from firstlight.invoke.types import Reply


class TooMuch(Exception):
    """A streamed reply is longer than whoever wants it whole takes."""


async def whole(reply: Reply, limit: int | None = None) -> bytes:
    """All bytes of a reply; of one that broke off the error.

    The stream's end is what completes ``function_error`` and ``payload``. Whoever gives up waiting for it ends it.

    Args:
        limit: bytes of a streamed reply at most; None for no limit.

    Raises:
        TooMuch: it has more; the stream was closed.
    """
    if reply.stream is None:
        return reply.payload
    pieces: list[bytes] = []
    size = 0
    try:
        async for piece in reply.stream:
            pieces.append(piece)
            size += len(piece)
            if limit is not None and size > limit:
                raise TooMuch
    finally:
        await reply.stream.aclose()
    return reply.payload if reply.function_error else b"".join(pieces)
