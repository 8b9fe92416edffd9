"""Unpacks wheels without running or believing them (PEP 427, "Binary distribution format").

A wheel is an archive that somebody else made: its paths may lead out of the folder, it may hold links, or unpack to
more than any disk has. All of that is refused by name.
"""

from __future__ import annotations

import os
import re
import stat
import tempfile
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from fnmatch import fnmatchcase
from pathlib import Path

from firstlight.build.pack.types import File
from firstlight.runtime.errors import ProjectError

MOST_BYTES = 10 << 30
"""Unpacked, of one wheel: as much as an image may have."""
MOST_FILES = 100_000
_MOST_RATIO, _SMALL = 1000, 64 << 20
_BLOCK = 1 << 20
_LEFT_OUT = re.compile(
    r"(.*/)?__pycache__/.*|[^/]+\.pth|(sitecustomize|usercustomize)(\.py|/.*)|[^/]+\.dist-info/(RECORD|INSTALLER)[^/]*"
)
"""What is compiled anew, what Python runs at its start whatever was asked for, and the lists that pip keeps."""
_SCHEMES = ("purelib", "platlib", "data")


def files(wheel: Path, only: Sequence[str] | None = None) -> tuple[File, ...]:
    """The files of a wheel, unpacked beside it where they are not yet; see ``wheels.files``.

    Raises:
        ProjectError: it is not a wheel, or holds what no wheel should.
    """
    try:
        with zipfile.ZipFile(wheel) as archive:
            members = dict(_members(archive, wheel.name))
            wanted = {
                path: member
                for path, member in members.items()
                if only is None or any(fnmatchcase(path, pattern) for pattern in only)
            }
            folder = wheel.with_name("files")
            found = [_file(archive, member, path, folder) for path, member in sorted(wanted.items())]
    except (zipfile.BadZipFile, zlib.error, NotImplementedError, EOFError, RuntimeError) as error:
        raise ProjectError(f"{wheel.name} cannot be unpacked: {error}", f"remove {wheel.parent}") from error
    except OSError as error:
        hint = "make room on the disk" if error.errno == 28 else "check permissions and disk"
        raise ProjectError(f"{wheel.name} cannot be unpacked: {error.strerror or error}", hint) from error
    return tuple(found)


def metadata(wheel: Path) -> dict[str, str]:
    """Fields of a wheel's METADATA that occur once or first (core metadata), by name in lower case.

    Of classifiers the first that names a licence is kept, as ``classifier``.
    """
    try:
        with zipfile.ZipFile(wheel) as archive:
            name = next(
                name
                for name in archive.namelist()
                if name.endswith(".dist-info/METADATA") and name.count("/") == 1
            )
            if archive.getinfo(name).file_size > 4 << 20:
                return {}
            text = archive.read(name).decode("utf-8", "replace")
    except (StopIteration, zipfile.BadZipFile, zlib.error, OSError):
        return {}
    found: dict[str, str] = {}
    for line in text.partition("\n\n")[0].splitlines():
        key, colon, value = line.partition(": ")
        if (
            not colon
            or line.startswith((" ", "\t"))
            or (key == "Classifier" and not value.startswith("License ::"))
        ):
            continue
        found.setdefault(key.lower(), value.strip())
    return found


def _members(archive: zipfile.ZipFile, name: str) -> Iterator[tuple[str, zipfile.ZipInfo]]:
    """Paths in a folder of packages, and what is unpacked to them."""
    entries = archive.infolist()
    _check_size(entries, name)
    seen: set[str] = set()
    for entry in entries:
        path = _checked(entry, name)
        if entry.is_dir():
            continue
        if path in seen:
            raise _bad(name, f"holds {path!r:.80} twice")
        seen.add(path)
        installed = _installed(path)
        if installed and not _LEFT_OUT.fullmatch(installed):
            yield installed, entry


def _check_size(entries: Sequence[zipfile.ZipInfo], name: str) -> None:
    total = sum(entry.file_size for entry in entries)
    packed = sum(entry.compress_size for entry in entries)
    if len(entries) > MOST_FILES:
        raise _bad(name, f"holds {len(entries):,} files")
    if total > MOST_BYTES or (total > _SMALL and total > packed * _MOST_RATIO):
        raise _bad(name, f"unpacks from {packed:,} to {total:,} bytes")


def _checked(entry: zipfile.ZipInfo, name: str) -> str:
    """The path of an entry that stays in its folder and is a file or a folder."""
    path = entry.filename.removesuffix("/")
    parts = path.split("/")
    # zipfile cuts names at a zero byte and turns backslashes on Windows: what was written is looked at.
    written = entry.orig_filename
    if (
        not path.isprintable()
        or "\\" in written
        or "\0" in written
        or {"", ".", ".."} & {*parts}
        or ":" in parts[0]
    ):
        raise _bad(name, f"holds the path {written!r:.80}")
    kind = stat.S_IFMT(entry.external_attr >> 16)
    if kind not in (0, stat.S_IFREG, stat.S_IFDIR):
        raise _bad(name, f"holds {path!r:.80}, which is a link or a device")
    if entry.flag_bits & 1:
        raise _bad(name, f"holds {path!r:.80}, which is encrypted")
    return path


def _installed(path: str) -> str:
    """Where a file of a wheel goes; empty for scripts and headers, which a function has no use for."""
    top, _, rest = path.partition("/")
    if not top.endswith(".data"):
        return path
    scheme, _, inner = rest.partition("/")
    return inner if scheme in _SCHEMES else ""


def _file(archive: zipfile.ZipFile, member: zipfile.ZipInfo, path: str, folder: Path) -> File:
    place = folder / path
    if not _is_there(place, member):
        _unpack(archive, member, place)
    executable = bool(member.external_attr >> 16 & 0o111)
    return File(path, place, member.file_size, executable)


def _is_there(place: Path, member: zipfile.ZipInfo) -> bool:
    """Whether a file was unpacked before, and nothing happened to it since."""
    try:
        if place.is_symlink() or place.stat().st_size != member.file_size:
            return False
        found = 0
        with place.open("rb") as opened:
            while block := opened.read(_BLOCK):
                found = zlib.crc32(block, found)
    except OSError:
        return False
    return found == member.CRC


def _unpack(archive: zipfile.ZipFile, member: zipfile.ZipInfo, place: Path) -> None:
    """Write a file whole or not at all; another process may be doing the same. zipfile checks the sum."""
    place.parent.mkdir(parents=True, exist_ok=True)
    descriptor, partial = tempfile.mkstemp(dir=place.parent, prefix=".new-")
    try:
        with os.fdopen(descriptor, "wb") as out, archive.open(member) as content:
            left = member.file_size
            while block := content.read(_BLOCK):
                left -= len(block)
                if left < 0:
                    raise zipfile.BadZipFile(f"{member.filename!r:.80} is larger than it says")
                out.write(block)
        Path(partial).chmod(0o644)
        Path(partial).replace(place)
    except BaseException:
        Path(partial).unlink(missing_ok=True)
        raise


def _bad(name: str, what: str) -> ProjectError:
    return ProjectError(
        f"{name} {what}: that is no wheel to be trusted", "take another version, and tell its authors"
    )
