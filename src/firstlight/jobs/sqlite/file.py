"""The file that keeps the jobs: how it is opened, read and written, and what SQLite's errors mean to a user."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from firstlight.jobs.sqlite.migrations import STEPS
from firstlight.runtime.errors import JobError
from firstlight.runtime.records.opening import open_to_write, set_aside
from firstlight.runtime.records.reading import DAMAGE, HINTS, connect, primary_code

_BUSY_MS = 5000
"""How long one program waits for another that writes."""
_PRAGMAS = (
    f"busy_timeout = {_BUSY_MS}",
    "secure_delete = FAST",  # some builds write zeros over every page that becomes free
    f"journal_size_limit = {16 << 20}",  # the log's file is cut to this when it begins anew; two jobs of 6 MB fit
)
_FREE_PAGES = 64
"""Pages that are given back to the disk at once."""


class JobFile:
    """One connection that writes and one that reads, each used by one thread at a time.

    Args:
        path: the database, made (with its folder, for the user alone) when it is missing. A damaged one is renamed to
            ``*.damaged-<time>`` and a new one made; ``notice`` then says so.

    Raises:
        JobError: the file cannot be made or opened, or was written by a newer firstlight.
    """

    def __init__(self, path: Path) -> None:
        self.path = Path(path)
        self.notice = ""
        self._writing = threading.Lock()
        self._reading = threading.Lock()
        self._reader: sqlite3.Connection | None = None
        self._writer: sqlite3.Connection | None = self._opened()
        self._inode = self.path.stat().st_ino
        self._closed = False

    @contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """All that is executed inside is kept, or none of it.

        Raises:
            JobError: it could not be written.
        """
        with self._writing:
            try:
                writer = self._healthy_writer()
                writer.execute("BEGIN IMMEDIATE")
                try:
                    yield writer
                    writer.execute("COMMIT")
                finally:
                    if writer.in_transaction:
                        writer.execute("ROLLBACK")
            except sqlite3.Error as error:
                raise self._translated("written", error) from error

    def rows(self, statement: str, values: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        """What a query finds.

        Raises:
            JobError: it could not be read.
        """
        with self._reading:
            try:
                return self._connected().execute(statement, values).fetchall()
            except sqlite3.Error as error:
                raise self._translated("read", error) from error

    def give_back(self) -> None:
        """Give free pages back to the disk, a few at a time.

        Raises:
            JobError: it could not be written.
        """
        left, before = self._free_pages(), 0
        while left and left != before:
            with self._writing:
                try:
                    # execute() would free a single page
                    self._healthy_writer().executescript(f"PRAGMA incremental_vacuum({_FREE_PAGES})")
                except sqlite3.Error as error:
                    raise self._translated("written", error) from error
            left, before = self._free_pages(), left

    def close(self) -> None:
        """Let go of the file. May be called twice."""
        with self._writing, self._reading:
            self._closed = True
            self._drop()

    def _free_pages(self) -> int:
        return int(self.rows("PRAGMA freelist_count")[0][0])

    def _connected(self) -> sqlite3.Connection:
        if self._closed:
            raise JobError("the job store is closed")
        if self._reader is None:
            self._reader = connect(self.path, "rw")
            self._reader.execute(f"PRAGMA busy_timeout = {_BUSY_MS}")
            self._reader.execute("PRAGMA query_only = 1")
        return self._reader

    def _healthy_writer(self) -> sqlite3.Connection:
        """The connection, made anew when somebody deleted the file under a running server."""
        if self._closed:
            raise JobError("the job store is closed")
        if self._writer is None or not self._still_there():
            with self._reading:
                self._drop()
            self._writer = self._opened()
            self._inode = self.path.stat().st_ino
        return self._writer

    def _still_there(self) -> bool:
        try:
            return self.path.stat().st_ino == self._inode
        except OSError:
            return False

    def _drop(self) -> None:
        for connection in (self._writer, self._reader):
            if connection is not None:
                connection.close()
        self._writer = self._reader = None

    def _opened(self) -> sqlite3.Connection:
        """The writing connection, on a new file where the old one is damaged."""
        try:
            return _open(self.path)
        except sqlite3.Error as error:
            if primary_code(error) not in DAMAGE:
                raise self._translated("opened", error) from error
        self.notice = f"{self.path} was damaged and is now {set_aside(self.path)}; new jobs go to a new file"
        try:
            return _open(self.path)
        except sqlite3.Error as error:
            raise self._translated("opened", error) from error

    def _translated(self, doing: str, error: sqlite3.Error) -> JobError:
        hint = HINTS.get(primary_code(error), "")
        return JobError(f"jobs cannot be {doing} ({self.path}): {error}", hint)


def _open(path: Path) -> sqlite3.Connection:
    return open_to_write(path, "jobs", JobError, STEPS, _PRAGMAS)
