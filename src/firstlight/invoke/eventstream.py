"""The messages of ``application/vnd.amazon.eventstream``, read as they arrive.

Frame: see ``gateway.lambda_api.eventstream``, which writes them (Smithy "Amazon Event Stream" specification).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from struct import unpack
from zlib import crc32


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
