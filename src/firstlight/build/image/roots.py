"""A root file system of this machine, a folder or a tar file, as the one layer of a base."""

from __future__ import annotations

import hashlib
import os
import stat
import tarfile
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TypeAlias

from firstlight.build.image import layers, tars
from firstlight.build.image.layers import Layer
from firstlight.runtime.errors import ProjectError

_READ = 1 << 20
_OPEN_TO_ALL = frozenset({"tmp", "var/tmp"})
_FOLDER, _FILE, _LINK = b"5", b"0", b"2"


@dataclass(frozen=True, slots=True)
class Entry:
    """Something in a root file system.

    Attributes:
        kind: as in a tar header: ``0`` a file, ``5`` a folder, ``2`` a symbolic link.
        link: what a link leads to.
        content: reads a file's bytes.
    """

    path: str
    kind: bytes
    size: int = 0
    executable: bool = False
    link: str = ""
    content: Callable[[], Iterator[bytes]] = lambda: iter(())


Entries: TypeAlias = Callable[[], Iterable[Entry]]


def layer(place: Path, folder: Path) -> Layer:
    """The layer of a root file system. Owners, times and modes are made the same everywhere; devices are left out.

    Args:
        folder: of blobs.

    Raises:
        ProjectError: it cannot be read as a root file system.
    """
    if place.is_dir():
        return _made(lambda: _in_folder(place), folder)
    try:
        with tarfile.open(place) as archive:
            return _made(lambda: _in_archive(archive, place), folder)
    except (tarfile.TarError, EOFError, OSError) as error:
        raise ProjectError(
            f"{place} is not a tar file of a root file system: {error}", "make it again"
        ) from error


def _made(entries: Entries, folder: Path) -> Layer:
    key = hashlib.sha256(b"root\n")
    for entry in entries():
        key.update(
            f"{entry.path}\0{entry.kind!r}\0{entry.size}\0{int(entry.executable)}\0{entry.link}\0".encode()
        )
        content = hashlib.sha256()
        for part in entry.content():
            content.update(part)
        key.update(content.digest())
    return layers.made("base", key.hexdigest(), lambda: _stream(entries()), folder)


def _stream(entries: Iterable[Entry]) -> Iterator[bytes]:
    for entry in entries:
        if entry.kind == _FOLDER:
            mode = 0o1777 if entry.path in _OPEN_TO_ALL else 0o755
            yield tars.header(f"{entry.path}/", 0, mode, _FOLDER)
        elif entry.kind == _LINK:
            yield tars.header(entry.path, 0, 0o777, _LINK, entry.link)
        else:
            yield tars.header(entry.path, entry.size, 0o755 if entry.executable else 0o644)
            yield from entry.content()
            yield bytes(-entry.size % tars.BLOCK)
    yield bytes(2 * tars.BLOCK)


def _in_folder(place: Path) -> Iterator[Entry]:
    found: list[Entry] = []
    for folder, folders, files in os.walk(place):
        for name in (*folders, *files):
            entry = _of_path(Path(folder, name), place)
            if entry is not None:
                found.append(entry)
    return iter(sorted(found, key=_order))


def _of_path(path: Path, root: Path) -> Entry | None:
    name = path.relative_to(root).as_posix()
    try:
        facts = path.lstat()
        if stat.S_ISLNK(facts.st_mode):
            return Entry(name, _LINK, link=str(path.readlink()))
    except OSError as error:
        raise tars.unreadable(path, error) from error
    if stat.S_ISDIR(facts.st_mode):
        return Entry(name, _FOLDER)
    if not stat.S_ISREG(facts.st_mode):
        return None
    return Entry(name, _FILE, facts.st_size, bool(facts.st_mode & 0o111), content=lambda: _of_file(path))


def _of_file(path: Path) -> Iterator[bytes]:
    try:
        with path.open("rb") as opened:
            while part := opened.read(_READ):
                yield part
    except OSError as error:
        raise tars.unreadable(path, error) from error


def _in_archive(archive: tarfile.TarFile, place: Path) -> Iterator[Entry]:
    found: dict[str, Entry] = {}
    for member in archive.getmembers():
        name = str(PurePosixPath(member.name.lstrip("/")))
        if ".." in name.split("/"):
            raise ProjectError(f"{place} names {member.name!r}, which is outside of it", "make it again")
        entry = _of_member(archive, member, name)
        if entry is not None and name != ".":
            found[name] = entry
    return iter(sorted(found.values(), key=_order))


def _of_member(archive: tarfile.TarFile, member: tarfile.TarInfo, name: str) -> Entry | None:
    if member.issym():
        return Entry(name, _LINK, link=member.linkname)
    if member.isdir():
        return Entry(name, _FOLDER)
    if member.islnk():  # a second name: its content is written once more
        member = archive.getmember(member.linkname)
    if not member.isreg():
        return None
    size, executable = member.size, bool(member.mode & 0o111)
    return Entry(name, _FILE, size, executable, content=lambda: _extracted(archive, member))


def _extracted(archive: tarfile.TarFile, member: tarfile.TarInfo) -> Iterator[bytes]:
    opened = archive.extractfile(member)
    while opened is not None and (part := opened.read(_READ)):
        yield part


def _order(entry: Entry) -> tuple[str, ...]:
    return tuple(entry.path.split("/"))
