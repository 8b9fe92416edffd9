"""One file of a repository into the cache: begun, or taken up where an earlier attempt ended; compared with its hash.

Bytes are written as they arrive to ``blobs/<etag>.incomplete``, which becomes ``blobs/<etag>`` when all of them are
there and their hash is right. So a process may be killed at any moment: what it had written is not fetched again.
"""

from __future__ import annotations

from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from pathlib import Path
from threading import Event
from urllib.parse import quote

from firstlight.build.hub import memory, refusals, wire
from firstlight.build.hub.cache import Shelf
from firstlight.build.hub.content import Hashes, Partial, expected
from firstlight.build.types import Name, Progress, Repository, RepositoryFile
from firstlight.runtime.errors import ProjectError

_FRUITLESS = 5
"""Attempts in a row that bring no new byte, after which it is given up."""

_MOST_ATTEMPTS = 100
_REMOVED = "it is removed; try again, and if it stays so, ask who runs the hub or a proxy in between"


class _InGit(Exception):
    """A file of which only the SHA-256 was known is a small one, which the cache names by its git id."""

    def __init__(self, git: str) -> None:
        super().__init__(git)
        self.git = git


@dataclass(frozen=True, slots=True)
class Download:
    """The files of one repository on their way into the cache.

    Args:
        shelf: where they go.
        repository: what they have to be.
        progress: is told of the bytes that come in.
        stop: set when the work is given up.
    """

    shelf: Shelf
    repository: Repository
    progress: Progress
    stop: Event

    def bring(self, file: RepositoryFile, announced: int) -> None:
        """Have a file in the snapshot, and verified.

        Args:
            announced: how many bytes of it ``progress`` expects.

        Raises:
            ProjectError: it cannot be had, or is not what it has to be.
            Stopped: the work was given up.
        """
        name = Name(self.repository.name, self.repository.revision, file.path)
        with refusals.explained(name, self.shelf.settings):
            try:
                self._fetch(file, announced)
            except _InGit as known:
                self._fetch(replace(file, git=known.git), announced)

    def check(self, file: RepositoryFile) -> None:
        """Compare a file that is in the snapshot with its hash, unless that was done before.

        Raises:
            ProjectError: it is something else; it has been removed.
        """
        name = Name(self.repository.name, self.repository.revision, file.path)
        with refusals.explained(name, self.shelf.settings):
            if (difference := self._difference(file)) is None:
                return
            try:
                with self._alone(file):
                    self._remove_wrong(file)
            except OSError as error:
                where = f"it could not be removed from {self.shelf.folder} ({error.strerror or error})"
                raise self._wrong(file, difference, f"{where}; set HF_HUB_CACHE to another folder") from error

    def _fetch(self, file: RepositoryFile, announced: int) -> None:
        with self._alone(file):
            etag, pointer = _etag(file), self.shelf.snapshot(self.repository.revision) / file.path
            if pointer.exists() or self.shelf.blob(etag).exists():  # another process may have brought it
                self.progress.advance(announced)
            else:
                self._complete(file, etag)
            if not pointer.exists():
                self.shelf.link(self.repository.revision, file.path, etag)
            self._remove_wrong(file)

    def _complete(self, file: RepositoryFile, etag: str) -> None:
        place = self.shelf.partial(etag)
        place.parent.mkdir(parents=True, exist_ok=True)
        with Partial(place, file) as partial:
            taken_up = partial.there > 0
            self._fill(partial, file)
            if partial.hashes.difference() and taken_up:
                # What an earlier process left may have been damaged since.
                self._restart(partial)
                self._fill(partial, file)
            if difference := partial.hashes.difference():
                partial.restart()
                raise self._wrong(file, difference)
            partial.sync()
            place.rename(self.shelf.blob(etag))
        memory.keep_verified(self.shelf.blob(etag), expected(file))

    def _fill(self, partial: Partial, file: RepositoryFile) -> None:
        fruitless = attempts = 0
        while partial.there < file.size:
            before = partial.there
            failed: Exception = ConnectionError(f"{file.path} ended after {before} of {file.size} bytes")
            try:
                self._append(partial, file)
            except Exception as error:
                if not wire.is_passing(error):
                    raise
                failed = error
            if partial.there >= file.size:
                return
            attempts, fruitless = attempts + 1, 0 if partial.there > before else fruitless + 1
            if fruitless >= _FRUITLESS or attempts >= _MOST_ATTEMPTS:
                raise failed
            if self.stop.wait(wire.delay_s(fruitless, failed)):
                raise wire.Stopped

    def _append(self, partial: Partial, file: RepositoryFile) -> None:
        """Add what one connection brings."""
        with wire.content(self._url(file), partial.there, self.shelf.settings) as answer:
            self._check_answer(file, answer)
            if answer.start != partial.there:  # the hub takes no notice of Range, or has less than is here
                self._restart(partial)
            for piece in answer.pieces:
                self.progress.advance(partial.add(piece))
                if self.stop.is_set():
                    raise wire.Stopped

    def _restart(self, partial: Partial) -> None:
        self.progress.advance(-partial.there)
        partial.restart()

    def _check_answer(self, file: RepositoryFile, answer: wire.Content) -> None:
        """What the headers say about the content, before any of it is taken."""
        said = answer.etag
        if said is not None and file.git is None and len(said) == 40:
            raise _InGit(said)
        wanted = file.sha256 if said is not None and len(said) == 64 else file.git
        if said is not None and said != wanted:
            place = self.shelf.settings.endpoint
            raise refusals.changed(self.repository, file.path, wanted or _etag(file), said, place)
        if answer.total not in (None, file.size):
            raise self._wrong(file, f"it has {answer.total} bytes, not {file.size}")

    def _difference(self, file: RepositoryFile) -> str | None:
        """What is wrong with a file of the snapshot; hashed once for a state of it."""
        place = self.shelf.snapshot(self.repository.revision) / file.path
        if memory.verified(place, expected(file)):
            return None
        hashes = Hashes(file)
        size = hashes.read(place)
        difference = hashes.difference()
        if size != file.size:
            difference = f"it has {size} bytes, not {file.size}" + (
                f", and {difference}" if difference else ""
            )
        if difference is None:
            memory.keep_verified(place, expected(file))
        return difference

    def _remove_wrong(self, file: RepositoryFile) -> None:
        if difference := self._difference(file):
            self.shelf.remove(self.repository.revision, file.path)
            raise self._wrong(file, difference)

    def _wrong(self, file: RepositoryFile, difference: str, hint: str = _REMOVED) -> ProjectError:
        what = f"{self.repository.name}/{file.path} at {self.repository.revision[:12]}"
        return ProjectError(f"{what} is not what it has to be: {difference}", hint)

    def _alone(self, file: RepositoryFile) -> AbstractContextManager[None]:
        said = f"another process is at {self.repository.name}/{file.path}; waiting for it"
        return self.shelf.alone(_etag(file), self.stop, lambda: self.progress.say(said))

    def _url(self, file: RepositoryFile) -> str:
        commit, place = self.repository.revision, self.shelf.settings.endpoint
        return f"{place}/{self.repository.name}/resolve/{commit}/{quote(file.path)}"


def _etag(file: RepositoryFile) -> str:
    """What the cache calls the content: the git id of a small file, the SHA-256 of one in LFS."""
    etag = file.git or file.sha256
    if etag is None:
        raise ProjectError(
            f"nothing says what {file.path} has to be", "fetch it from a hub that tells hashes"
        )
    return etag


def left(shelf: Shelf, file: RepositoryFile) -> int:
    """Bytes of a file that are still to come."""
    etag = _etag(file)
    if shelf.blob(etag).exists():
        return 0
    there = _size(shelf.partial(etag))
    return file.size - there if there <= file.size else file.size


def _size(place: Path) -> int:
    try:
        return place.stat().st_size
    except (FileNotFoundError, NotADirectoryError):
        return 0
