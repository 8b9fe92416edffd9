"""What a base has for us, found by reading its layers; nothing of it is run."""

from __future__ import annotations

import re
import tarfile
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import BinaryIO

from firstlight.runtime.errors import ProjectError

_PYTHON = re.compile(r"(?:.*/)?bin/python3\.(\d+)")
_LIBC = re.compile(r"(?:usr/)?lib(?:64|32)?/(?:[^/]+/)?libc\.so\.6")
_LIBC_NAMED = re.compile(r"(?:usr/)?lib(?:64|32)?/(?:[^/]+/)?libc-2\.(\d+)\.so")
_MUSL = re.compile(r"(?:usr/)?lib/ld-musl-[^/]+\.so\.1")
_RELEASE = re.compile(rb"release version (\d+)\.(\d+)")


@dataclass(slots=True)
class Found:
    """What was found in the layers read so far.

    Attributes:
        pythons: paths of interpreters, ``/usr/bin/python3.11``.
        glibc: version of the C library; None where it was not met.
        musl: there is another C library, which wheels are not made for.
    """

    pythons: list[str]
    glibc: tuple[int, int] | None = None
    musl: bool = False

    def python(self, search: str) -> str:
        """The interpreter that a search path (PATH) finds first; one that it does not find comes last."""
        folders = [entry.rstrip("/") for entry in search.split(":")]

        def rank(path: str) -> tuple[int, int, str]:
            folder = str(PurePosixPath(path).parent)
            place = folders.index(folder) if folder in folders else len(folders)
            return place, -int(path.rpartition(".")[2]), path

        return min(self.pythons, key=rank, default="")


def look(layers: Iterable[Path]) -> Found:
    """What layers hold, as tar files, packed or not; later ones win.

    Raises:
        ProjectError: one of them is not a tar file.
    """
    found = Found([])
    for layer in layers:
        try:
            with layer.open("rb") as file:
                for name, member in members(file):
                    _take(found, name, member)
        except (tarfile.TarError, EOFError, zlib.error) as error:
            raise ProjectError(f"{layer} is not a layer: {error}", "remove it and try again") from error
    return found


def members(file: BinaryIO) -> Iterator[tuple[str, tuple[tarfile.TarFile, tarfile.TarInfo]]]:
    """Name and place of everything in a tar file, in its order."""
    with tarfile.open(fileobj=file, mode="r|*") as archive:
        for member in archive:
            yield member.name.removeprefix("./").lstrip("/"), (archive, member)


def _take(found: Found, name: str, place: tuple[tarfile.TarFile, tarfile.TarInfo]) -> None:
    archive, member = place
    if _PYTHON.fullmatch(name) and f"/{name}" not in found.pythons:
        found.pythons.append(f"/{name}")
    elif named := _LIBC_NAMED.fullmatch(name):
        found.glibc = (2, int(named[1]))
    elif _LIBC.fullmatch(name) and member.isfile():
        content = archive.extractfile(member)
        if content and (release := _RELEASE.search(content.read())):
            found.glibc = (int(release[1]), int(release[2]))
    elif _MUSL.fullmatch(name):
        found.musl = True
