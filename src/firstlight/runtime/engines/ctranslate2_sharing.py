"""Lets the file of a model stand in for the copy of it that CTranslate2 has made in memory. Linux only.

CTranslate2 reads a model into memory of its own, so four workers have its weights four times. Loaded weights are the
bytes of the file, and a file that was written for this (``build.convert.ct2.writing``) has them at the same place in a
page as memory has: so their pages can be replaced by a private mapping of the file, without the library noticing. The
kernel keeps one copy of a file's pages for all who map it, and gives a page of its own to whom writes to it, which
nobody does.

Only pages whose bytes were compared are replaced; whatever is not found where it is expected stays as it is. To be done
while nothing runs.
"""

from __future__ import annotations

import mmap
import os
import struct
from ctypes import CDLL, c_int, c_long, c_size_t, c_void_p

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

_VERSION = 6
_LARGE = 1 << 16
_PROBE = 32
"""Bytes by which a tensor is recognised before all of it is compared."""

_CHUNK = 4 << 20
_MAP_PRIVATE, _MAP_FIXED, _MAP_POPULATE = 0x02, 0x10, 0x8000
_FAILED = c_void_p(-1).value


def share(path: str) -> int:
    """Replace the weights of a loaded model by a mapping of their file.

    Args:
        path: model.bin.

    Returns:
        Bytes that are shared now; 0 where the file is of another form, or the system does not allow it.
    """
    try:
        with open(path, "rb") as file:  # noqa: PTH123
            wanted, place = _wanted(file.fileno())
            return _Sharing(file.fileno(), wanted, place).all() if wanted else 0
    except (OSError, ValueError, struct.error):
        return 0


def _wanted(descriptor: int) -> tuple[dict[bytes, tuple[int, int]], int]:
    """First bytes of each large tensor -> (where it begins in the file, bytes); and where in a page they all begin."""
    found: dict[bytes, tuple[int, int]] = {}
    places = set()
    with mmap.mmap(descriptor, 0, prot=mmap.PROT_READ) as content:
        for start, size in _tensors(content):
            if size >= _LARGE:
                found[content[start : start + _PROBE]] = start, size
                places.add(start % mmap.PAGESIZE)
    return (found, places.pop()) if len(places) == 1 else ({}, 0)


def _tensors(content: Any) -> Iterator[tuple[int, int]]:
    """Where each tensor's bytes begin, and how many there are."""
    version, name = struct.unpack_from("<IH", content)
    if version != _VERSION:
        return
    at = 6 + name
    _revision, count = struct.unpack_from("<II", content, at)
    at += 8
    for _ in range(count):
        (name,) = struct.unpack_from("<H", content, at)
        at += 2 + name
        at += 1 + 4 * content[at] + 1  # the rank, the shape, the element type
        (size,) = struct.unpack_from("<I", content, at)
        at += 4
        yield at, size
        at += size


class _Sharing:
    """The large tensors of one file, and the pages of this process that hold them.

    Args:
        descriptor: of the file.
        wanted, place: see ``_wanted``.
    """

    def __init__(self, descriptor: int, wanted: dict[bytes, tuple[int, int]], place: int) -> None:
        self._descriptor = descriptor
        self._wanted = wanted
        self._place = place
        libc: Any = CDLL(None)
        self._mmap, self._munmap, self._mprotect, self._memcmp = (
            libc.mmap,
            libc.munmap,
            libc.mprotect,
            libc.memcmp,
        )
        self._mmap.restype = c_void_p
        self._mmap.argtypes = (c_void_p, c_size_t, c_int, c_int, c_int, c_long)
        self._munmap.argtypes = (c_void_p, c_size_t)
        self._mprotect.argtypes = (c_void_p, c_size_t, c_int)
        self._memcmp.argtypes = (c_void_p, c_void_p, c_size_t)

    def all(self) -> int:
        """Share every tensor that is found; returns their bytes."""
        size = os.fstat(self._descriptor).st_size
        base = self._mmap(None, size, mmap.PROT_READ, _MAP_PRIVATE, self._descriptor, 0)
        if base == _FAILED:
            return 0
        shared = 0
        try:
            with open("/proc/self/mem", "rb", buffering=0) as memory:  # noqa: PTH123
                for low, high in list(_own_memory()):
                    for address, start, length in list(self._places(memory.fileno(), low, high)):
                        if not self._memcmp(address, base + start, length):
                            shared += self._replace(address, start, length)
        finally:
            self._munmap(base, size)
        return shared

    def _places(self, memory: int, low: int, high: int) -> Iterator[tuple[int, int, int]]:
        """Where in a stretch of memory a tensor seems to be: address, its place in the file, bytes."""
        for chunk in range(low, high, _CHUNK):
            content = os.pread(memory, min(_CHUNK, high - chunk), chunk)
            for at in range(self._place, len(content) - _PROBE, mmap.PAGESIZE):
                start, size = self._wanted.get(content[at : at + _PROBE], (0, 0))
                if size and chunk + at + size <= high:
                    yield chunk + at, start, size

    def _replace(self, address: int, start: int, length: int) -> int:
        """Map the file over the pages that hold nothing but the tensor; returns their bytes."""
        page = mmap.PAGESIZE
        first, last = -(-address // page) * page, (address + length) // page * page
        size, where = last - first, start + first - address
        # Filled in now, so that the next run does not wait for it; what may be written to would be filled with copies.
        fixed = _MAP_PRIVATE | _MAP_FIXED | _MAP_POPULATE
        if self._mmap(first, size, mmap.PROT_READ, fixed, self._descriptor, where) != first:
            return 0
        self._mprotect(first, size, mmap.PROT_READ | mmap.PROT_WRITE)
        return size


def _own_memory() -> Iterator[tuple[int, int]]:
    """Stretches of memory that belong to no file and may be written to (proc_pid_maps(5))."""
    with open("/proc/self/maps", encoding="ascii", errors="replace") as maps:  # noqa: PTH123
        for line in maps:
            words = line.split(maxsplit=5)
            if words[1] == "rw-p" and words[4] == "0" and not words[5:]:
                low, _, high = words[0].partition("-")
                if int(high, 16) - int(low, 16) >= _LARGE:
                    yield int(low, 16), int(high, 16)
