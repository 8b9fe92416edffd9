"""A piece of a function as a tar stream that says nothing of the machine, the user or the day it was made.

Entries are sorted, folders before what is in them, owned by 0:0, of second 0, with modes 0755 and 0644. Headers are
ustar (POSIX.1-1988); a path that does not fit has a pax record (POSIX.1-2001) before it. They are written here, as
Python's own tarfile writes other bytes from version to version.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

from firstlight.build.pack.types import File
from firstlight.runtime.errors import FirstlightError

BLOCK = 512
_READ = 1 << 20
_NAME, _PREFIX = 100, 155
_SIZE_LIMIT = 8**11


def stream(files: Iterable[File], root: str) -> Iterator[bytes]:
    """The whole archive, in parts of at most a megabyte.

    Args:
        files: each path once.
        root: the folder of the image that they lie below, such as ``/var/task``.

    Raises:
        FirstlightError: a file cannot be read, or is not of the size it had a moment ago.
    """
    below = root.strip("/")
    by_path = {f"{below}/{file.path}" if below else file.path: file for file in files}
    entries: dict[str, File | None] = dict.fromkeys(_folders(by_path))
    entries.update(by_path)
    for path in sorted(entries, key=_order):
        file = entries[path]
        if file is None:
            yield header(f"{path}/", 0, 0o755, kind=b"5")
        else:
            yield header(path, file.size, 0o755 if file.executable else 0o644)
            yield from _content(file)
            yield bytes(-file.size % BLOCK)
    yield bytes(2 * BLOCK)


def header(path: str, size: int, mode: int, kind: bytes = b"0", link: str = "") -> bytes:
    """What stands before an entry's content.

    Args:
        path: with ``/``; a folder's ends with one.
        kind: ``0`` a file, ``5`` a folder, ``2`` a symbolic link, ``1`` a hard link.
        link: what a link leads to.
    """
    name, prefix = _split(path.encode())
    target = link.encode()
    more = b""
    if name is None:
        more += _record("path", path)
        name, prefix = path.encode()[:_NAME], b""
    if len(target) > _NAME:
        more += _record("linkpath", link)
    if size >= _SIZE_LIMIT:
        more += _record("size", str(size))
    plain = _plain(name, prefix, 0 if size >= _SIZE_LIMIT else size, mode, kind, target[:_NAME])
    if not more:
        return plain
    return (
        _plain(b"././@PaxHeader", b"", len(more), 0o644, b"x", b"") + more + bytes(-len(more) % BLOCK) + plain
    )


def _content(file: File) -> Iterator[bytes]:
    if isinstance(file.source, bytes):
        yield file.source
        return
    left = file.size
    try:
        with file.source.open("rb") as opened:
            while part := opened.read(_READ):
                left -= len(part)
                if left < 0:
                    break
                yield part
    except OSError as error:
        raise unreadable(file.source, error) from error
    if left:
        raise FirstlightError(f"{file.source} was changed while it was packed", "run it again")


def unreadable(path: Path, error: OSError) -> FirstlightError:
    """What is said of a file that cannot be read."""
    return FirstlightError(f"{path} cannot be read: {error.strerror or error}", "make it readable")


def _folders(paths: Iterable[str]) -> set[str]:
    found: set[str] = set()
    for path in paths:
        folder = path.rpartition("/")[0]
        while folder and folder not in found:
            found.add(folder)
            folder = folder.rpartition("/")[0]
    return found


def _order(path: str) -> tuple[str, ...]:
    return tuple(path.split("/"))


def _split(path: bytes) -> tuple[bytes | None, bytes]:
    """Name and prefix of a path; None where it does not fit, or is not ASCII and so needs a record that says UTF-8."""
    if not path.isascii():
        return None, b""
    if len(path) <= _NAME:
        return path, b""
    cut = path.rfind(b"/", 0, min(_PREFIX + 1, len(path) - 1))
    if cut > 0 and len(path) - cut - 1 <= _NAME:
        return path[cut + 1 :], path[:cut]
    return None, b""


def _record(key: str, value: str) -> bytes:
    text = f" {key}={value}\n".encode()
    length = len(text) + 1
    while len(str(length)) + len(text) != length:
        length = len(str(length)) + len(text)
    return str(length).encode() + text


def _plain(name: bytes, prefix: bytes, size: int, mode: int, kind: bytes, link: bytes) -> bytes:
    """A ustar header (POSIX.1-1988, "ustar Interchange Format")."""
    fields = b"".join(
        (
            name.ljust(_NAME, b"\0"),
            f"{mode:07o}\0".encode(),
            b"0000000\0" * 2,
            f"{size:011o}\0".encode(),
            b"00000000000\0",
            b" " * 8,
            kind,
            link.ljust(_NAME, b"\0"),
            b"ustar\x0000",
            bytes(32 + 32),
            b"0000000\0" * 2,
            prefix.ljust(_PREFIX, b"\0"),
            bytes(12),
        )
    )
    return fields[:148] + f"{sum(fields):06o}\0 ".encode() + fields[156:]
