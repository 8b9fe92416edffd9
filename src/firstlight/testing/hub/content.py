"""Contents by SHA-256, kept as they were when they were first seen, so that older commits can still be answered."""

from __future__ import annotations

import hashlib
import os
import shutil
import tempfile
import threading
from dataclasses import dataclass
from pathlib import Path

_SMALL = 4 << 20
"""Bytes up to which a file is copied, and read at each look; larger ones are linked, and hashed when they changed."""

_PIECE = 1 << 20


def git_id(content: bytes) -> str:
    """The object id git gives a file (https://git-scm.com/book/en/v2/Git-Internals-Git-Objects)."""
    return hashlib.sha1(b"blob %d\0" % len(content) + content, usedforsecurity=False).hexdigest()


def pointer(sha256: str, size: int) -> bytes:
    """What git holds of a file in LFS (https://github.com/git-lfs/git-lfs/blob/main/docs/spec.md)."""
    return f"version https://git-lfs.github.com/spec/v1\noid sha256:{sha256}\nsize {size}\n".encode()


@dataclass(frozen=True, slots=True)
class File:
    """A file of a repository.

    Attributes:
        path: in the repository.
        size: bytes of its content.
        sha256: of its content.
        git: its object id; of a file in LFS, that of its pointer.
        lfs: whether it is in LFS.
    """

    path: str
    size: int
    sha256: str
    git: str
    lfs: bool

    @property
    def etag(self) -> str:
        """What its ETag header says."""
        return self.sha256 if self.lfs else self.git


class Store:
    """Contents in a folder of their own.

    Args:
        folder: an existing one; the files in it are named by their SHA-256.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._lock = threading.Lock()
        self._known: dict[tuple[int, int, int, int], tuple[str, str]] = {}

    def place(self, sha256: str) -> Path:
        """Where a content is."""
        return self._folder / sha256

    def add(self, place: Path, path: str, lfs: bool) -> File:
        """The file as it is now.

        Args:
            place: on this machine.
            path: in the repository.
            lfs: whether it is in LFS.
        """
        with self._lock:
            found = place.stat()
            sha256, git = self._small(place) if found.st_size <= _SMALL else self._large(place, found)
        size = self.place(sha256).stat().st_size
        return File(path, size, sha256, git_id(pointer(sha256, size)) if lfs else git, lfs)

    def _small(self, place: Path) -> tuple[str, str]:
        content = place.read_bytes()
        sha256 = hashlib.sha256(content).hexdigest()
        kept = self.place(sha256)
        if not kept.exists():
            kept.write_bytes(content)
        return sha256, git_id(content)

    def _large(self, place: Path, found: os.stat_result) -> tuple[str, str]:
        state = (found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns)
        if state not in self._known:
            self._known[state] = _hashes(place, found.st_size)
            kept = self.place(self._known[state][0])
            if not kept.exists():
                _link_or_copy(place.resolve(), kept)
        return self._known[state]


def _hashes(place: Path, size: int) -> tuple[str, str]:
    sha256 = hashlib.sha256()
    git = hashlib.sha1(b"blob %d\0" % size, usedforsecurity=False)
    with place.open("rb") as file:
        while piece := file.read(_PIECE):
            sha256.update(piece)
            git.update(piece)
    return sha256.hexdigest(), git.hexdigest()


def _link_or_copy(place: Path, kept: Path) -> None:
    try:
        os.link(place, kept)
    except OSError:
        with tempfile.NamedTemporaryFile(dir=kept.parent, delete=False) as made:
            shutil.copyfile(place, made.name)
        Path(made.name).rename(kept)
