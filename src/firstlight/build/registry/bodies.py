"""Blobs as bodies of requests, from the file they are in."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from firstlight.runtime.errors import ProjectError

_PIECE = 256 << 10


@dataclass(frozen=True, slots=True)
class Part:
    """A body: bytes of a blob from one place to another.

    Attributes:
        tell: is told how many bytes go out.
    """

    source: Path | bytes
    start: int
    end: int
    tell: Callable[[int], None]

    @property
    def size(self) -> int:
        """Bytes."""
        return self.end - self.start

    def pieces(self) -> Iterator[bytes]:
        """The bytes, read as they go out."""
        for piece in read(self.source, self.start, self.end):
            self.tell(len(piece))
            yield piece


def read(source: Path | bytes, start: int, end: int) -> Iterator[bytes]:
    """Bytes of a blob from one place to another.

    Raises:
        ProjectError: it cannot be read, or is shorter.
    """
    if isinstance(source, bytes):
        yield source[start:end]
        return
    try:
        with source.open("rb") as file:
            file.seek(start)
            while start < end and (piece := file.read(min(_PIECE, end - start))):
                start += len(piece)
                yield piece
    except OSError as error:
        said = f"{source} cannot be read: {error.strerror or error}"
        raise ProjectError(said, "build the image again") from error
    if start < end:
        raise ProjectError(f"{source} is shorter than it was", "build the image again")


def wrong(source: Path | bytes, digest: str, what: str) -> ProjectError:
    """Why a registry finds that a blob is another one; a kept file that was damaged is removed.

    Args:
        what: was done, for the message.
    """
    found = hashlib.sha256()
    for piece in read(source, 0, source.stat().st_size if isinstance(source, Path) else len(source)):
        found.update(piece)
    if f"sha256:{found.hexdigest()}" == digest:
        hint = "try again; if it stays so, something between here and the registry changes bytes"
        return ProjectError(f"{what}: what arrived is not {digest[:19]}", hint)
    if isinstance(source, Path) and source.name.partition(".")[0] == digest.removeprefix("sha256:"):
        source.unlink(missing_ok=True)
        hint = "it is removed: run it again, and it is made or fetched anew"
        return ProjectError(f"{what}: {source} was damaged since it was kept", hint)
    return ProjectError(f"{what}: the image names {digest[:19]} and has something else", "build it again")
