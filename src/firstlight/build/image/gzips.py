"""A stream of bytes as one gzip member (RFC 1952) in a file, the same on every machine."""

from __future__ import annotations

import hashlib
import os
import zlib
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from firstlight.build.image import deflate

_HEAD = b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\xff"
"""No name, second 0, no hint at the compressor, an unknown system."""


@dataclass(frozen=True, slots=True)
class Compressed:
    """What was written.

    Attributes:
        digest: ``sha256:`` and the hash of the file.
        size: bytes of the file.
        diff_id: the same of what was compressed, as an image's configuration names a layer.
        unpacked: bytes of what was compressed.
    """

    digest: str
    size: int
    diff_id: str
    unpacked: int


def write(parts: Iterable[bytes], file: Path, threads: int | None = None) -> Compressed:
    """Compress a stream into a file; a few pieces of it are in memory at a time.

    Args:
        threads: how many compress; as many as there are CPUs where it is not said. The bytes are the same.
    """
    count = threads or _processors()
    whole, made = hashlib.sha256(), hashlib.sha256()
    check = unpacked = size = 0
    waiting: deque[Future[bytes]] = deque()
    with file.open("wb") as opened, ThreadPoolExecutor(count) as pool:

        def put(text: bytes) -> None:
            nonlocal size
            made.update(text)
            size += len(text)
            opened.write(text)

        put(_HEAD)
        before = b""
        for piece in _pieces(parts):
            whole.update(piece)
            check = zlib.crc32(piece, check)
            unpacked += len(piece)
            waiting.append(pool.submit(deflate.piece, piece, before))
            before = piece[-deflate.WINDOW :]
            while len(waiting) > 2 * count:
                put(waiting.popleft().result())
        for one in waiting:
            put(one.result())
        put(deflate.END + check.to_bytes(4, "little") + (unpacked & 0xFFFFFFFF).to_bytes(4, "little"))
    return Compressed(f"sha256:{made.hexdigest()}", size, f"sha256:{whole.hexdigest()}", unpacked)


def _processors() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _pieces(parts: Iterable[bytes]) -> Iterator[bytes]:
    """The same bytes in pieces of ``deflate.PIECE``, the last one shorter."""
    held: list[bytes] = []
    length = 0
    for part in parts:
        held.append(part)
        length += len(part)
        if length >= deflate.PIECE:
            whole = memoryview(b"".join(held))
            cut = length - length % deflate.PIECE
            for at in range(0, cut, deflate.PIECE):
                yield bytes(whole[at : at + deflate.PIECE])
            held, length = [bytes(whole[cut:])], length - cut
    if length:
        yield b"".join(held)
