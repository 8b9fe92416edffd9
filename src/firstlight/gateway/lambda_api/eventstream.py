"""The frames of ``application/vnd.amazon.eventstream``, as InvokeWithResponseStream answers them.

Frame (Smithy "Amazon Event Stream" specification): u32 total length, u32 length of the headers, CRC32 of those eight
bytes, headers, payload, CRC32 of all before it; all numbers big-endian. Header: u8 length of the name, name, type 7
(string), u16 length, value.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from struct import pack
from zlib import crc32

from firstlight.invoke.eventstream import messages

__all__ = ["CHUNK", "CONTENT_TYPE", "chunks", "frame", "invoke_complete", "messages", "payload_chunk"]

CONTENT_TYPE = b"application/vnd.amazon.eventstream"
CHUNK = 1024 * 1024
"""Bytes of payload in one frame at most (the format allows 16 MB; clients buffer whole frames)."""


def frame(headers: dict[str, str], payload: bytes) -> bytes:
    """One message."""
    head = b"".join(_header(name.encode(), value.encode()) for name, value in headers.items())
    prelude = pack(">II", 16 + len(head) + len(payload), len(head))
    body = prelude + pack(">I", crc32(prelude)) + head + payload
    return body + pack(">I", crc32(body))


def _header(name: bytes, value: bytes) -> bytes:
    return pack(">B", len(name)) + name + b"\x07" + pack(">H", len(value)) + value


def payload_chunk(data: bytes) -> bytes:
    """A piece of a function's answer."""
    return frame(
        {
            ":event-type": "PayloadChunk",
            ":content-type": "application/octet-stream",
            ":message-type": "event",
        },
        data,
    )


def invoke_complete(body: bytes) -> bytes:
    """The last message: JSON with ``LogResult``, and ``ErrorCode`` and ``ErrorDetails`` when the function broke off."""
    return frame(
        {":event-type": "InvokeComplete", ":content-type": "application/json", ":message-type": "event"}, body
    )


async def chunks(pieces: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """Frames of every piece, pieces over ``CHUNK`` cut."""
    async for piece in pieces:
        for start in range(0, len(piece), CHUNK):
            yield payload_chunk(piece[start : start + CHUNK])
