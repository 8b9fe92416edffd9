"""Layers: a piece of a function, or a root file system, as a blob in a folder of blobs; made once for each content.

``blobs/sha256/<hex>`` are the blobs; ``layers/<hash of the content>.json`` says which of them a content became.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TypeAlias

from firstlight.build.image import gzips, tars
from firstlight.build.pack.types import TASK_ROOT, Blob, File, Piece
from firstlight.runtime.errors import FirstlightError

OCI_LAYER = "application/vnd.oci.image.layer.v1.tar+gzip"
_KEPT_S = 30 * 86_400
_WAY = "1"
"""Of making layers: another way makes other bytes of the same files."""
Archive: TypeAlias = Callable[[], Iterator[bytes]]


@dataclass(frozen=True, slots=True)
class Layer:
    """A layer that was made.

    Attributes:
        name: of the piece.
        diff_id: digest of the tar archive.
        unpacked: bytes of the tar archive.
        kept: it was there already.
    """

    name: str
    blob: Blob
    diff_id: str
    unpacked: int
    kept: bool = False


def cache() -> Path:
    """Where blobs are kept between builds: ``$XDG_CACHE_HOME/firstlight/images``."""
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "firstlight" / "images"


def of_piece(piece: Piece, folder: Path, threads: int | None = None) -> Layer:
    """The layer of a piece.

    Args:
        folder: of blobs.
        threads: that compress.

    Raises:
        FirstlightError: a file cannot be read, or the folder cannot be written.
    """
    key = hashlib.sha256(f"{_WAY}\n{TASK_ROOT}\n".encode())
    for file in sorted(piece.files, key=lambda file: file.path):
        key.update(f"{file.path}\0{int(file.executable)}\0{file.size}\0".encode() + _hash(file))
    return made(piece.name, key.hexdigest(), lambda: tars.stream(piece.files, TASK_ROOT), folder, threads)


def made(name: str, key: str, parts: Archive, folder: Path, threads: int | None = None) -> Layer:
    """The layer of an archive, taken from the folder where it is in there.

    Args:
        key: stands for the archive's content.
        parts: begins the archive.
    """
    note = folder / "layers" / f"{key}.json"
    there = _kept(name, note, folder)
    if there is not None:
        return there
    try:
        place = blob_path(folder, "sha256:0").parent
        place.mkdir(parents=True, exist_ok=True)
        note.parent.mkdir(exist_ok=True)
        descriptor, scratch = tempfile.mkstemp(prefix=".layer-", dir=place)
        os.close(descriptor)
        try:
            written = gzips.write(parts(), Path(scratch), threads)
            Path(scratch).chmod(0o644)
            Path(scratch).replace(blob_path(folder, written.digest))
        finally:
            Path(scratch).unlink(missing_ok=True)
        _write(note, json.dumps(asdict(written), sort_keys=True))
    except OSError as error:
        hint = "make room there, or set XDG_CACHE_HOME to another folder"
        raise FirstlightError(f"{folder} cannot be written: {error.strerror or error}", hint) from error
    return _layer(name, written, folder)


def blob_path(folder: Path, digest: str) -> Path:
    """Where a blob lies in a folder of blobs, as in an OCI image layout."""
    algorithm, _, value = digest.partition(":")
    return folder / "blobs" / algorithm / value


def _kept(name: str, note: Path, folder: Path) -> Layer | None:
    """A layer that was made before, if every byte of it is still there."""
    try:
        written = gzips.Compressed(**json.loads(note.read_text(encoding="utf-8")))
        whole = blob_hash(blob_path(folder, written.digest)) == written.digest
        os.utime(note)
    except (OSError, ValueError, TypeError):
        return None
    return _layer(name, written, folder, kept=True) if whole else None


def tidy(folder: Path) -> None:
    """Take out layers that nobody used for a month."""
    for note in (folder / "layers").glob("*.json"):
        with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
            if note.stat().st_mtime < time.time() - _KEPT_S:
                text = note.read_text(encoding="utf-8")
                note.unlink()
                blob_path(folder, json.loads(text)["digest"]).unlink()


def _layer(name: str, written: gzips.Compressed, folder: Path, *, kept: bool = False) -> Layer:
    blob = Blob(OCI_LAYER, written.digest, written.size, blob_path(folder, written.digest))
    return Layer(name, blob, written.diff_id, written.unpacked, kept)


def blob_hash(file: Path) -> str:
    """The digest of a file."""
    with file.open("rb") as opened:
        return f"sha256:{hashlib.file_digest(opened, 'sha256').hexdigest()}"


def _hash(file: File) -> bytes:
    if isinstance(file.source, bytes):
        return hashlib.sha256(file.source).digest()
    try:
        with file.source.open("rb") as opened:
            return hashlib.file_digest(opened, "sha256").digest()
    except OSError as error:
        raise tars.unreadable(file.source, error) from error


def _write(path: Path, text: str) -> None:
    descriptor, scratch = tempfile.mkstemp(prefix=".note-", dir=path.parent)
    with os.fdopen(descriptor, "w", encoding="utf-8") as opened:
        opened.write(text)
    Path(scratch).replace(path)
