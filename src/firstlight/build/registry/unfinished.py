"""Uploads that a registry has begun to take: their addresses, kept in files until they are whole.

An address may let others go on with an upload, so that only the user can read the files.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from io import FileIO
from pathlib import Path

_FORGOTTEN_S = 7 * 86_400
"""Registries forget what was begun after a week at most."""


class Note:
    """The address of one upload, held by this process.

    Args:
        file: open and locked; None where nothing can be kept, or another process is at the same upload.
    """

    def __init__(self, file: FileIO | None = None) -> None:
        self._file = file

    def read(self) -> str:
        """The address that an earlier process left; empty for none."""
        if self._file is None:
            return ""
        self._file.seek(0)
        try:
            return str(json.loads(self._file.read() or b"")["at"])
        except (ValueError, TypeError, KeyError):
            return ""

    def write(self, address: str) -> None:
        """Keep an address."""
        if self._file is not None:
            self._file.seek(0)
            self._file.truncate(0)
            self._file.write(json.dumps({"at": address}).encode())

    def remove(self) -> None:
        """The upload is whole."""
        if self._file is not None:
            Path(str(self._file.name)).unlink(missing_ok=True)


@contextmanager
def noted(folder: Path, repository: str, digest: str) -> Iterator[Note]:
    """The note of a blob on its way to a repository."""
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        file = FileIO(str(_place(folder, repository, digest)), "r+", opener=_private)
    except OSError:
        yield Note()
        return
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            yield Note()
            return
        yield Note(file)


def forget(folder: Path, repository: str, digest: str) -> None:
    """Remove the note of a blob that turns out to be there."""
    try:
        _place(folder, repository, digest).unlink(missing_ok=True)
    except OSError:
        pass  # it is too old one day


def _place(folder: Path, repository: str, digest: str) -> Path:
    return folder / f"{hashlib.sha256(f'{repository} {digest}'.encode()).hexdigest()[:32]}.json"


def tidy(folder: Path) -> None:
    """Remove notes that no registry knows any more."""
    for note in folder.glob("*.json"):
        try:
            if time.time() - note.stat().st_mtime > _FORGOTTEN_S:
                note.unlink()
        except OSError:
            pass  # another process removes it too


def _private(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_CREAT | os.O_CLOEXEC, 0o600)
