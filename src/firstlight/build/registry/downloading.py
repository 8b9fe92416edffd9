"""One blob of a registry into the cache: begun, or taken up where an earlier attempt ended; compared with its digest.

Bytes are written as they arrive to ``<digest>.part``, which becomes ``<digest>`` when all are there and their hash is
right. So a process may be killed at any moment: what it had written is not fetched again.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from io import FileIO
from pathlib import Path

from firstlight.build.pack.types import Blob
from firstlight.build.registry import refusals
from firstlight.build.registry.patience import Stopped
from firstlight.build.registry.talking import BUSY, Registry, read_only
from firstlight.build.registry.wire import FAILURES, Answer
from firstlight.build.types import Progress, Silent
from firstlight.runtime.errors import FirstlightError, ProjectError

_FRUITLESS = 6
"""Attempts in a row that bring no new byte, after which it is given up."""


def place(cache: Path, digest: str) -> Path:
    """Where a blob is in a cache, once it is there."""
    return cache / "blobs" / "sha256" / digest.removeprefix("sha256:")


def small(registry: Registry, blob: Blob, cache: Path) -> bytes:
    """The content of a small blob, such as an image's configuration.

    Raises:
        FirstlightError: it cannot be had, or is another one.
    """
    return download(registry, blob, cache).read_bytes()


def download(registry: Registry, blob: Blob, cache: Path, progress: Progress | None = None) -> Path:
    """A blob as a file, verified.

    Args:
        progress: is told of every byte, also of those that are here already.

    Raises:
        FirstlightError: it cannot be had, is another one, or the cache cannot be written.
        Stopped: the work was given up.
    """
    progress = progress or Silent()
    where = place(cache, blob.digest)
    if where.is_file() and where.stat().st_size == blob.size:
        progress.advance(blob.size)
        return where
    try:
        where.parent.mkdir(parents=True, exist_ok=True)
        with _alone(where.with_name(f"{where.name}.part")) as part:
            if where.is_file():  # another process has brought it meanwhile
                progress.advance(blob.size)
                return where
            _Filling(registry, blob, part, progress).fill()
            Path(str(part.name)).replace(where)
    except OSError as error:
        raise _unwritable(cache, error) from error
    return where


def _unwritable(place: Path, error: OSError) -> ProjectError:
    hint = "make room, or set XDG_CACHE_HOME to a folder that you may write"
    return ProjectError(f"{place} cannot be written: {error.strerror or error}", hint)


@contextmanager
def _alone(part: Path) -> Iterator[FileIO]:
    """The file that is being filled, while nobody else fills it."""
    while True:
        with part.open("a+b", buffering=0) as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            # Who held it may have renamed it: then the name is free, or another file's.
            if part.exists() and part.stat().st_ino == os.fstat(file.fileno()).st_ino:
                yield file
                return
            if part.with_suffix("").exists():
                yield file
                return


class _Filling:
    def __init__(self, registry: Registry, blob: Blob, part: FileIO, progress: Progress) -> None:
        self._registry, self._blob, self._part, self._progress = registry, blob, part, progress
        self._what = f"pulling {blob.digest[:19]} of {registry.reference.repository}"
        self._hash = hashlib.sha256()
        self._there = 0

    def fill(self) -> None:
        taken_up = self._take_up()
        self._complete()
        if self._difference() and taken_up:  # what an earlier process left was damaged
            self._restart()
            self._complete()
        if got := self._difference():
            self._restart()
            raise refusals.other(self._what.partition(" ")[2], self._blob.digest, got, self._registry.host)
        os.fsync(self._part.fileno())
        Path(str(self._part.name)).chmod(0o644)

    def _take_up(self) -> bool:
        self._part.seek(0)
        while piece := self._part.read(1 << 20):
            self._hash.update(piece)
            self._there += len(piece)
        self._progress.advance(min(self._there, self._blob.size))
        if self._there > self._blob.size:
            self._there = self._blob.size
            self._restart()
        return self._there > 0

    def _complete(self) -> None:
        fruitless = 0
        while self._there < self._blob.size:
            before = self._there
            failed: FirstlightError | None = None
            try:
                self._append()
            except FAILURES as error:
                failed = refusals.unreached(error, self._what, self._registry.host)
            fruitless = 0 if self._there > before else fruitless + 1
            if fruitless >= _FRUITLESS:
                ended = ConnectionError(f"it ended after {self._there} of {self._blob.size} bytes")
                raise failed or refusals.unreached(ended, self._what, self._registry.host)
            if self._there < self._blob.size:
                self._registry.patience.pause(fruitless)

    def _append(self) -> None:
        """Add what one connection brings."""
        registry, digest = self._registry, self._blob.digest
        headers = {"Range": f"bytes={self._there}-"} if self._there else {}
        scopes = read_only(registry.reference)
        place = registry.path(f"blobs/{digest}")
        answer = registry.ask("GET", place, what=self._what, headers=headers, scopes=scopes, attempts=1)
        if answer.status in BUSY:
            answer.drop()
            raise ConnectionError(f"it answered {answer.status}")
        if answer.status == 416:
            answer.drop()
            self._restart()
            return
        if answer.status not in (200, 206):
            raise registry.refused(answer, self._what)
        if self._begins(answer) != self._there:
            self._restart()
        for piece in answer.pieces():
            self._add(piece)
            if registry.patience.stop.is_set():
                raise Stopped

    def _begins(self, answer: Answer) -> int:
        """Where an answer begins (RFC 9110, 14.4)."""
        found = re.match(r"bytes (\d+)-", answer.headers.get("Content-Range", ""))
        return int(found[1]) if answer.status == 206 and found else 0

    def _add(self, piece: bytes) -> None:
        if self._there + len(piece) > self._blob.size:
            what, host = self._what.partition(" ")[2], self._registry.host
            self._restart()
            raise refusals.other(what, f"{self._blob.size} bytes", "more", host)
        try:
            self._part.write(piece)
        except OSError as error:
            raise _unwritable(Path(str(self._part.name)), error) from error
        self._hash.update(piece)
        self._there += len(piece)
        self._progress.advance(len(piece))

    def _difference(self) -> str:
        got = f"sha256:{self._hash.hexdigest()}"
        return "" if got == self._blob.digest else got

    def _restart(self) -> None:
        self._progress.advance(-self._there)
        self._part.truncate(0)
        self._hash, self._there = hashlib.sha256(), 0
