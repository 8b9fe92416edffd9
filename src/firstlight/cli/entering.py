"""An endpoint into firstlight.toml and firstlight.lock: one at a time, and both files or neither.

Two renames cannot be one. A file beside the project, ``.firstlight.adding``, is locked while they happen and holds what
the lock file was before; who finds it left behind by a process that was killed puts that back, unless firstlight.toml
was renamed already, which happens last.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import signal
import tempfile
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

from firstlight import project as projects
from firstlight.build import lock
from firstlight.build.types import Made
from firstlight.project import editing
from firstlight.project.discovery import slug
from firstlight.runtime.errors import ProjectError

BESIDE = ".firstlight.adding"
_SIGNALS = {signal.SIGINT, signal.SIGTERM, signal.SIGHUP}


@dataclass(frozen=True, slots=True)
class Entry:
    """An endpoint as it is to be written.

    Attributes:
        settings: keys of its table.
        dropped: keys it loses where it is there already.
        made: its bundle; None where the lock stays as it is.
    """

    name: str
    settings: Mapping[str, str | int | float | bool]
    dropped: Collection[str] = field(default=())
    made: Made | None = None


@contextmanager
def alone(root: Path) -> Iterator[None]:
    """While this lasts no other process changes the two files by way of this.

    Raises:
        ProjectError: the folder cannot be written.
    """
    place = root / BESIDE
    opened = _locked(place)
    try:
        _mended(root, opened)
        yield
    finally:
        place.unlink(missing_ok=True)
        opened.close()


def enter(root: Path, entry: Entry) -> list[str]:
    """Write an endpoint; to be called within ``alone``.

    Returns:
        Names of the files that are others now.

    Raises:
        ProjectError: a file cannot be written; both are as they were.
    """
    file, locks = root / projects.FILE, lock.read(root)
    before = _text(file)
    text = editing.begun(slug(root.name)) if before is None else before
    after = editing.with_endpoint(text, entry.name, entry.settings, entry.dropped)
    if entry.made is not None:
        locks = locks.with_endpoint(entry.name, entry.made).with_caches(entry.name, None)
    with _unstopped():
        return _both(root, before, after, locks)


def _both(root: Path, before: str | None, after: str, locks: lock.Lock) -> list[str]:
    journal = root / BESIDE
    former = _text(root / lock.FILE)
    written = []
    try:
        journal.write_text(json.dumps({"toml": _digest(before), "lock": former}), encoding="utf-8")
        if lock.write(root, locks):
            written.append(lock.FILE)
        if after != before:
            _replace(root / projects.FILE, after)
            written.append(projects.FILE)
    except (OSError, ProjectError) as error:
        _put_back(root, former)
        if isinstance(error, ProjectError):
            raise
        raise _unwritable(root, error) from error
    finally:
        journal.write_text("", encoding="utf-8")
    return sorted(written)


def _locked(place: Path) -> BinaryIO:
    """The file beside, open and locked, and still the one that has the name."""
    while True:
        try:
            opened = place.open("a+b")
            fcntl.flock(opened, fcntl.LOCK_EX)
        except OSError as error:
            raise _unwritable(place.parent, error) from error
        try:
            if os.fstat(opened.fileno()).st_ino == place.stat().st_ino:
                return opened
        except FileNotFoundError:
            pass
        opened.close()


def _mended(root: Path, opened: BinaryIO) -> None:
    """Put back what a process that was killed between the two files has left."""
    opened.seek(0)
    try:
        left: Any = json.loads(opened.read() or b"null")
    except ValueError:  # killed while it wrote this, before either of the files
        return
    if isinstance(left, dict) and left.get("toml") == _digest(_text(root / projects.FILE)):
        _put_back(root, left.get("lock"))


def _put_back(root: Path, former: str | None) -> None:
    if former is None:
        (root / lock.FILE).unlink(missing_ok=True)
    elif former != _text(root / lock.FILE):
        _replace(root / lock.FILE, former)


@contextmanager
def _unstopped() -> Iterator[None]:
    """Signals that end a process wait until this is over."""
    former = signal.pthread_sigmask(signal.SIG_BLOCK, _SIGNALS)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, former)


def _replace(file: Path, text: str) -> None:
    """Put a text in the place of a file at once, with its mode; a link is followed."""
    place = Path(os.path.realpath(file))
    number, name = tempfile.mkstemp(dir=place.parent, prefix=f".{place.name}.")
    try:
        with os.fdopen(number, "w", encoding="utf-8", newline="") as out:
            out.write(text)
            out.flush()
            os.fsync(out.fileno())
        Path(name).chmod(place.stat().st_mode & 0o7777 if place.exists() else 0o644)
        Path(name).replace(place)
    finally:
        Path(name).unlink(missing_ok=True)


def _text(file: Path) -> str | None:
    """The text of a file with its own line ends; None where there is none.

    Raises:
        ProjectError: it cannot be read.
    """
    try:
        return file.read_bytes().decode("utf-8")
    except FileNotFoundError:
        return None
    except UnicodeDecodeError as error:
        raise ProjectError(f"{file} is not UTF-8", "save the file as UTF-8") from error
    except OSError as error:
        raise ProjectError(f"{file} cannot be read: {error.strerror}", "check its permissions") from error


def _digest(text: str | None) -> str | None:
    return None if text is None else hashlib.sha256(text.encode()).hexdigest()


def _unwritable(folder: Path, error: OSError) -> ProjectError:
    hint = "choose another folder with -C, or check its permissions and the room on the disk"
    return ProjectError(f"{folder} cannot be written: {error.strerror}", hint)
