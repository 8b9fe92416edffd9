"""Records that are safe on disk and not in the database yet.

A record is appended to a file with one system call, which is what a reply waits for; a transaction of SQLite for one
record alone costs thirty times as much. The database takes the rows of a journal in one transaction, and the journal
is emptied. A journal is locked by its process for as long as that lives: one that nobody has locked was left by a
process that was killed, and whoever opens the database next takes over its rows, each once.
"""

from __future__ import annotations

import errno
import fcntl
import itertools
import marshal
import os
import sqlite3
import time
from itertools import chain

from firstlight.runtime.records.migrations import COLUMNS
from firstlight.runtime.records.rows import cleaned

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path
    from typing import Any

    Row = tuple[Any, ...]

_NAMES, _MARKS = ", ".join(COLUMNS), ", ".join("?" * len(COLUMNS))
_AT_ONCE = {
    size: f"INSERT INTO records ({_NAMES}) VALUES {', '.join([f'({_MARKS})'] * size)}"  # noqa: S608 - constants
    for size in (64, 16, 4, 1)
}
"""Rows in a statement: each statement that runs is a moment in which the event loop's thread may have to wait."""
_INSERT_NEW = (
    f"INSERT INTO records ({_NAMES}) SELECT {_MARKS} WHERE NOT EXISTS"  # noqa: S608 - constants
    " (SELECT 1 FROM records WHERE request_id = ? AND time = ? AND endpoint = ?)"
)
_KEYS = tuple(COLUMNS.index(name) for name in ("request_id", "time", "endpoint"))
_ENDING = ".pending"
_numbers = itertools.count()


class Journal:
    """Rows on their way into a database; used by one thread at a time.

    Args:
        database: the file beside which it lies.
    """

    def __init__(self, database: Path) -> None:
        self.size = 0
        while True:
            self._path = database.with_name(f"{database.name}.{os.getpid()}-{next(_numbers)}{_ENDING}")
            try:
                self._file = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND, 0o600)
            except FileExistsError:
                continue  # of another life of this process's number
            fcntl.flock(self._file, fcntl.LOCK_EX)
            if os.fstat(self._file).st_nlink:
                return
            os.close(self._file)  # somebody took it for one that was left behind

    def append(self, row: Row) -> None:
        """Write a row; it is safe from the end of this process when this returns.

        Raises:
            OSError: there is no room for it.
        """
        data = marshal.dumps(row)
        written = os.write(self._file, len(data).to_bytes(4, "little") + data)
        if written != len(data) + 4:
            os.ftruncate(self._file, self.size)
            raise OSError(errno.ENOSPC, "no room for a record")
        self.size += written

    def clear(self) -> None:
        """Forget its rows: the database has them."""
        if self.size:
            os.ftruncate(self._file, 0)
            self.size = 0

    def close(self) -> None:
        """Let go of it; the file stays where its rows are nowhere else."""
        if not self.size:
            self._path.unlink(missing_ok=True)
        os.close(self._file)


def insert(writer: sqlite3.Connection, rows: list[Row]) -> None:
    """Put rows into the database in one transaction.

    Raises:
        sqlite3.Error: nothing was put there.
    """
    writer.execute("BEGIN IMMEDIATE")
    try:
        at = 0
        while at < len(rows):
            size = next(size for size in _AT_ONCE if size <= len(rows) - at)
            writer.execute(_AT_ONCE[size], list(chain.from_iterable(rows[at : at + size])))
            at += size
        writer.execute("COMMIT")
    except sqlite3.Error:
        if writer.in_transaction:
            writer.execute("ROLLBACK")
        raise


def recover(database: Path, connect: Callable[[Path, str], sqlite3.Connection]) -> None:
    """Take over what killed processes have left in their journals.

    Args:
        connect: opens the database.

    Raises:
        sqlite3.Error, OSError: it stays where it is.
    """
    for path in _journals(database):
        try:
            file = os.open(path, os.O_RDONLY)
        except FileNotFoundError:
            continue
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            _take_over(file, lambda: connect(database, "rw"))
            path.unlink(missing_ok=True)
        except BlockingIOError:
            continue  # its process lives
        finally:
            os.close(file)


def wait_for_writers(database: Path, seconds: float) -> None:
    """Return when the database has all that its writers have taken, or the time is over."""
    last = time.monotonic() + seconds
    while any(_size(path) for path in _journals(database)) and time.monotonic() < last:
        time.sleep(0.002)


def _journals(database: Path) -> list[Path]:
    beginning = f"{database.name}."
    try:
        names = os.listdir(database.parent)  # noqa: PTH208 - names are looked at before paths are made
    except FileNotFoundError:
        return []
    return [
        database.with_name(name) for name in names if name.endswith(_ENDING) and name.startswith(beginning)
    ]


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0


def _take_over(file: int, connect: Callable[[], sqlite3.Connection]) -> None:
    rows = list(map(cleaned, _rows(file)))
    if rows:
        writer = connect()
        try:
            writer.execute("BEGIN IMMEDIATE")
            writer.executemany(_INSERT_NEW, [(*row, *(row[key] for key in _KEYS)) for row in rows])
            writer.execute("COMMIT")
        finally:
            writer.close()


def _rows(file: int) -> Iterator[Row]:
    """The whole rows of a journal; the process may have been killed in the middle of the last.

    Where the power went, the end of the file may hold anything: nothing is read from there on.
    """
    data = os.pread(file, os.fstat(file).st_size, 0)
    at = 0
    while len(head := data[at : at + 4]) == 4:
        end = at + 4 + int.from_bytes(head, "little")
        if end > len(data):
            return
        try:
            row = marshal.loads(data[at + 4 : end])  # noqa: S302 - written by this program, readable by its user alone
        except (EOFError, TypeError, ValueError):
            return
        if not isinstance(row, tuple) or len(row) != len(COLUMNS):
            return
        yield row
        at = end
