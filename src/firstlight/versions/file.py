"""The state's file: written whole or not at all, by one program at a time, readable by its owner alone.

Environment variables of published versions are in it, and those may hold secrets.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

from firstlight.versions.errors import VersionError
from firstlight.versions.state import State, decode, encode

NAME = "functions.json"
_LOCK = ".functions.lock"
_LIMIT = 64 << 20

Stamp = tuple[int, int, int] | None
"""Tells one state of the file from another; None where there is no file."""


class StateFile:
    """``functions.json`` in a folder.

    Args:
        folder: the project's data folder; made when something is first written.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.path = folder / NAME

    def stamp(self) -> Stamp:
        """What changes when another program writes the file."""
        try:
            state = os.stat(self.path)  # noqa: PTH116 - on the way of every invocation with a qualifier
        except OSError:
            return None
        return state.st_ino, state.st_mtime_ns, state.st_size

    def read(self) -> State:
        """The state; an empty one where there is no file.

        Raises:
            VersionError: it cannot be read, or is not one of ours.
        """
        try:
            with self.path.open(encoding="utf-8") as file:
                text = file.read(_LIMIT)
            return decode(text, self.folder)
        except FileNotFoundError:
            return {}
        except OSError as error:
            raise VersionError(
                f"{self.path} cannot be read: {error.strerror}", "see who may read it"
            ) from error
        except ValueError as error:
            message = f"{self.path} is not what firstlight wrote: {error}"
            hint = "published versions and aliases are not served; move the file away to begin anew, or restore it"
            raise VersionError(message, hint) from error

    def write(self, state: State) -> None:
        """Put the state in the place of the one that is there; the lock is held.

        Raises:
            VersionError: there is no room, or no right.
        """
        draft = self.folder / f".{NAME}.{os.getpid()}"
        try:
            descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
            with os.fdopen(descriptor, "w", encoding="utf-8") as file:
                file.write(encode(state, self.folder))
                file.flush()
                os.fsync(file.fileno())
            draft.replace(self.path)
            _settled(self.folder)
        except OSError as error:
            with contextlib.suppress(OSError):
                draft.unlink()
            raise VersionError(
                f"{self.path} cannot be written: {error.strerror}", "make room for it"
            ) from error

    @contextlib.contextmanager
    def locked(self) -> Iterator[None]:
        """No other program changes the state meanwhile; ends with the program that holds it, however that ends.

        Raises:
            VersionError: the folder cannot be used.
        """
        with lock(self.folder / _LOCK):
            yield


@contextlib.contextmanager
def lock(path: Path, *, shared: bool = False, wait: bool = True) -> Iterator[bool]:
    """A lock between programs; whether it was got (always, where it is waited for).

    Raises:
        VersionError: the file that stands for it cannot be opened.
    """
    import fcntl

    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise VersionError(f"{path} cannot be opened: {error.strerror}", "see who may write there") from error
    kind = (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | (0 if wait else fcntl.LOCK_NB)
    try:
        try:
            fcntl.flock(descriptor, kind)
        except BlockingIOError:
            yield False
            return
        yield True
    finally:
        os.close(descriptor)


def _settled(folder: Path) -> None:
    """The new name of a file survives a loss of power too."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
