"""A function as a zip for Lambda's own runtime, always the same bytes for the same contents.

Entries are sorted, have the date at which zip begins and one of two modes, and folders are not written. How they are
compressed is zlib's matter, whose builds differ (zlib-ng, Apple's): another one may make another file of the same
contents, which unpacks to the same bytes. The comment of the zip is a digest of its contents.
"""

from __future__ import annotations

import hashlib
import os
import tempfile
import zipfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from firstlight.build.pack import bill, lane
from firstlight.build.pack.contents import START
from firstlight.build.pack.slices import LIBRARIES, SOURCE, absolute
from firstlight.build.pack.types import Contents, File, ZipArchive
from firstlight.runtime.errors import ProjectError

_DATE = (1980, 1, 1, 0, 0, 0)
_UNIX = 3
_LEVEL = 6
_BLOCK = 1 << 20

_SERVER = ("FIRSTLIGHT_SERVER", "FIRSTLIGHT_SERVER_PATH")
"""Variables of what serves HTTP, which no zip has."""


def write(contents: Contents, folder: Path) -> ZipArchive:
    """Write a function's zip.

    Args:
        folder: where it goes; it is named by its endpoint and its SHA-256.

    Raises:
        ProjectError: it is larger than Lambda takes, a file changed meanwhile, or the disk is full.
    """
    files = _files(contents)
    unpacked = sum(file.size for file in files)
    if unpacked > lane.ZIP_LIMIT:
        message = f"{contents.endpoint} has {unpacked / 1e6:,.0f} MB unpacked, and a zip at most 262 MB"
        raise ProjectError(message, "take package = 'image'")
    with _explained(folder):
        folder.mkdir(parents=True, exist_ok=True)
        comment = _summary(files)
        if (there := _earlier(folder, contents.endpoint, comment)) is not None:
            return ZipArchive(*there, there[0].stat().st_size, unpacked)
        descriptor, name = tempfile.mkstemp(dir=folder, prefix=".new-", suffix=".zip")
        partial = Path(name)
        try:
            with os.fdopen(descriptor, "w+b") as out:
                _write(out, files, comment)
                out.seek(0)
                digest = hashlib.file_digest(out, "sha256").hexdigest()
            partial.chmod(0o644)
            place = folder / f"{contents.endpoint}-{digest[:12]}.zip"
            size = partial.stat().st_size
            partial.replace(place)
        finally:
            partial.unlink(missing_ok=True)
    return ZipArchive(place, digest, size, unpacked)


def environment(contents: Contents) -> Mapping[str, str]:
    """All variables that a zip needs: those of the contents, and what starts our loop in the place of AWS's.

    Where an emulator does not know the wrapper, AWS's own loop finds the handler by PYTHONPATH.
    """
    found = {
        **{name: value for name, value in contents.environment.items() if name not in _SERVER},
        "AWS_LAMBDA_EXEC_WRAPPER": absolute(START),
        "PYTHONPATH": ":".join(map(absolute, (SOURCE, LIBRARIES))),
    }
    return dict(sorted(found.items()))


def _files(contents: Contents) -> list[File]:
    """All but the server, and the bill of materials, sorted."""
    told = bill.bill(contents, None)
    files = {bill.PATH: File(bill.PATH, told, len(told))}
    files |= {
        file.path: file for piece in contents.pieces if piece.name != lane.NOT_IN_ZIP for file in piece.files
    }
    return [files[path] for path in sorted(files)]


def _summary(files: Iterable[File]) -> bytes:
    """SHA-256 of all that goes in, hex: compressing takes seconds, and most zips are there from the last time."""
    total = hashlib.sha256()
    for file in files:
        one = hashlib.sha256()
        for block in _blocks(file):
            one.update(block)
        total.update(f"{file.path}\0{file.executable:d}\0{one.hexdigest()}\n".encode())
    return total.hexdigest().encode()


def _earlier(folder: Path, endpoint: str, comment: bytes) -> tuple[Path, str] | None:
    """A zip of the same contents that is as it was written, with its SHA-256."""
    for place in folder.glob(f"{endpoint}-*.zip"):
        with place.open("rb") as written:
            written.seek(max(0, place.stat().st_size - len(comment)))
            if written.read() != comment:
                continue
            written.seek(0)
            digest = hashlib.file_digest(written, "sha256").hexdigest()
        if place.name == f"{endpoint}-{digest[:12]}.zip":
            return place, digest
    return None


def _write(out: IO[bytes], files: Iterable[File], comment: bytes) -> None:
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED, compresslevel=_LEVEL) as archive:
        archive.comment = comment
        for file in files:
            _add(archive, file)


def _add(archive: zipfile.ZipFile, file: File) -> None:
    entry = zipfile.ZipInfo(file.path, _DATE)
    entry.create_system = _UNIX
    entry.external_attr = (0o100755 if file.executable else 0o100644) << 16
    entry.compress_type = zipfile.ZIP_DEFLATED
    entry.file_size = file.size
    written = 0
    with archive.open(entry, "w") as member:
        for block in _blocks(file):
            written += len(block)
            member.write(block)
    if written != file.size:
        raise ProjectError(f"{file.path} changed while it was packed", "run it again")


def _blocks(file: File) -> Iterator[bytes]:
    if isinstance(file.source, bytes):
        yield file.source
        return
    with file.source.open("rb") as content:
        while block := content.read(_BLOCK):
            yield block


@contextmanager
def _explained(folder: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        named = f"{error.filename}: " if error.filename else ""
        hint = "make room on the disk" if error.errno == 28 else "check permissions and disk"
        raise ProjectError(f"the zip cannot be written to {folder}: {named}{error.strerror}", hint) from error
