"""The frames of ``application/vnd.amazon.eventstream``, as InvokeWithResponseStream answers them.

Frame (Smithy "Amazon Event Stream" specification): u32 total length, u32 length of the headers, CRC32 of those eight
bytes, headers, payload, CRC32 of all before it; all numbers big-endian. Header: u8 length of the name, name, type 7
(string), u16 length, value.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator
from struct import pack, unpack
from zlib import crc32

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


def messages(read: Callable[[int], bytes]) -> Iterator[tuple[dict[str, str], bytes]]:
    """Headers and payload of each message of a stream, as it arrives.

    Args:
        read: gives that many bytes, fewer only at the end, as a file or an ``http.client`` response does.

    Raises:
        ValueError: the stream ends within a message, or a checksum is wrong.
    """
    while prelude := read(12):
        if len(prelude) < 12 or unpack(">I", prelude[8:])[0] != crc32(prelude[:8]):
            raise ValueError("the event stream is damaged")
        total, size = unpack(">II", prelude[:8])
        rest = read(total - 12)
        if len(rest) != total - 12 or unpack(">I", rest[-4:])[0] != crc32(prelude + rest[:-4]):
            raise ValueError("the event stream ends within a message")
        yield dict(_headers(rest[:size])), rest[size:-4]


def _headers(raw: bytes) -> Iterator[tuple[str, str]]:
    """The headers of a message; those that are not text are left out, as nothing here sends any."""
    at = 0
    while at < len(raw):
        name_end = at + 1 + raw[at]
        if raw[name_end : name_end + 1] != b"\x07":
            return
        (size,) = unpack(">H", raw[name_end + 1 : name_end + 3])
        value_end = name_end + 3 + size
        yield raw[at + 1 : name_end].decode(), raw[name_end + 3 : value_end].decode()
        at = value_end


async def chunks(pieces: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """Frames of every piece, pieces over ``CHUNK`` cut."""
    async for piece in pieces:
        for start in range(0, len(piece), CHUNK):
            yield payload_chunk(piece[start : start + CHUNK])
