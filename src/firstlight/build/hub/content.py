"""Whether content is what the hub says: hashes that go along with the bytes as they come in."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from types import TracebackType

from firstlight.build.types import RepositoryFile

_PIECE = 1 << 20


def expected(file: RepositoryFile) -> str:
    """The hashes a file has to have, as text."""
    return f"{file.sha256 or ''} {file.git or ''}"


class Hashes:
    """The hashes of a file that are known, computed again.

    Args:
        file: what it has to be.
    """

    def __init__(self, file: RepositoryFile) -> None:
        git = hashlib.sha1(b"blob %d\0" % file.size, usedforsecurity=False)
        both = (("SHA-256", file.sha256, hashlib.sha256()), ("git id", file.git, git))
        self._sums = [(name, wanted, made) for name, wanted, made in both if wanted is not None]

    def update(self, piece: bytes) -> None:
        """The next bytes."""
        for _, _, made in self._sums:
            made.update(piece)

    def read(self, place: Path) -> int:
        """Take in a file from its beginning; how many bytes it has."""
        size = 0
        with place.open("rb") as file:
            while piece := file.read(_PIECE):
                self.update(piece)
                size += len(piece)
        return size

    def difference(self) -> str | None:
        """What is not as it has to be, for a message; None where all is."""
        for name, wanted, made in self._sums:
            if made.hexdigest() != wanted:
                return f"its {name} is {made.hexdigest()}, not {wanted}"
        return None


class Partial:
    """A file that grows at its end, and the hashes of what is in it.

    An empty one is not left behind by an error.

    Args:
        place: where it is; what an earlier process left there is kept, unless it is too long.
        file: what it is to become.

    Attributes:
        there: bytes that are in it.
        hashes: of these.
    """

    def __init__(self, place: Path, file: RepositoryFile) -> None:
        self._file, self._place = file, place
        self._out = place.open("ab")
        self.hashes = Hashes(file)
        self.there = 0
        if 0 < self._out.tell() <= file.size:
            self.there = self.hashes.read(place)
        elif self._out.tell():
            self._out.truncate(0)

    def __enter__(self) -> Partial:
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._out.close()
        if error is not None and self.there == 0:
            self._place.unlink(missing_ok=True)

    def add(self, piece: bytes) -> int:
        """Append bytes, up to the size it is to have; how many.

        They are the operating system's when this returns, and stay when the process is killed.
        """
        piece = piece[: self._file.size - self.there]
        self._out.write(piece)
        self._out.flush()
        self.hashes.update(piece)
        self.there += len(piece)
        return len(piece)

    def restart(self) -> None:
        """Empty it."""
        self._out.truncate(0)
        self.hashes = Hashes(self._file)
        self.there = 0

    def sync(self) -> None:
        """Have it on the disk."""
        os.fsync(self._out.fileno())
