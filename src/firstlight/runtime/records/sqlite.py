"""Records in one SQLite file.

A record that comes alone is committed by who brings it: handing it to another thread and back takes longer than
writing it. Records that come in a crowd go to one thread, where they share a transaction. A record that ``put``
returned for, or whose future is done, is in the write-ahead log: killing the process does not lose it. (Losing
power may lose the newest records, never the database: ``synchronous=NORMAL``.) The file stays within an age and
a size: the oldest records are deleted a few milliseconds at a time, after the writes they follow.
"""

from __future__ import annotations

import queue
import sqlite3
import threading
import time
from concurrent.futures import Future
from pathlib import Path

from firstlight.runtime.errors import RecordError
from firstlight.runtime.records.migrations import COLUMNS
from firstlight.runtime.records.opening import open_to_write, set_aside
from firstlight.runtime.records.reading import (
    BUSY_SECONDS,
    DAMAGE,
    SqliteReader,
    primary_code,
    translated,
)
from firstlight.runtime.records.retention import delete_oldest
from firstlight.runtime.records.rows import from_record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    Waiting = tuple[tuple[Any, ...], Future[None]]

_INSERT = f"INSERT INTO records ({', '.join(COLUMNS)}) VALUES ({', '.join('?' * len(COLUMNS))})"  # noqa: S608 - constants
_BATCH = 256
_TEND_EVERY = 64
"""Records between two looks at age and size."""
_RETRY_SECONDS = 1.0
"""After an error, records are refused at once for this long: replies must not queue up behind a lock."""
_CROWD_SECONDS = 0.0005
"""Records closer together than this go to the thread."""
_IDLE_SECONDS = 60.0
_QUIET_SECONDS = 0.2
"""Without a record for this long, the write-ahead log is copied into the database."""
_UNCOPIED = 1024
"""Records after which it is copied without waiting for a quiet moment; about 10 MB of log."""


class SqliteStore(SqliteReader):
    """Writes and reads records; one object a process writes, others may read.

    Args:
        path: the database file, made (with its folder, for the user alone) when it is missing. A damaged file is
            renamed to ``*.damaged-<time>`` and a new one made; ``notice`` then says so.
        max_age_days: older records are deleted.
        max_mb: the oldest records are deleted beyond this size, in 10^6 bytes.

    Raises:
        RecordError: the file cannot be made or opened, or was written by a newer firstlight.
    """

    def __init__(self, path: Path, max_age_days: float = 30.0, max_mb: float = 256.0) -> None:
        self.notice = ""
        self._max_age = max_age_days * 86400
        self._max_bytes = int(max_mb * 1e6)
        self._queue: queue.SimpleQueue[Waiting | tuple[()] | None] = queue.SimpleQueue()
        self._closed = False
        self._closing = threading.Lock()
        self.path = Path(path)
        self._writer: sqlite3.Connection | None = self._opened()
        self._inode = self.path.stat().st_ino
        self._untended = self._uncopied = 0
        self._turn = threading.Lock()  # whoever holds it uses the writing connection
        self._last = 0.0
        self._resting = True
        self._failure: tuple[float, RecordError] = (0.0, RecordError(""))
        self._thread = threading.Thread(target=self._write, name="records", daemon=True)
        super().__init__(self.path)
        self._thread.start()

    def submit(self, record: Mapping[str, Any]) -> Future[None]:
        """Queue a record without waiting.

        Args:
            record: values by the names in ``migrations.COLUMNS``; what is missing is null, other names are ignored.

        Returns:
            a future that is done when the record is committed; its error is a RecordError.
        """
        future: Future[None] = Future()
        row = from_record(record)
        with self._closing:
            if self._closed:
                future.set_exception(RecordError("the record store is closed"))
            elif self._commit_alone(row):
                future.set_result(None)
            else:
                self._queue.put((row, future))
        return future

    def put(self, record: Mapping[str, Any]) -> None:
        """Write a record and return when it is committed.

        Raises:
            RecordError: it could not be written.
        """
        self.submit(record).result()

    def close(self) -> None:
        """Write what is queued and let go of the file; later records are refused. May be called twice."""
        with self._closing:
            if not self._closed:
                self._closed = True
                self._queue.put(None)
        self._thread.join()
        super().close()

    def _opened(self) -> sqlite3.Connection:
        """The writing connection, on a new file where the old one is damaged."""
        try:
            return open_to_write(self.path)
        except sqlite3.Error as error:
            if primary_code(error) not in DAMAGE:
                raise translated(self.path, "opened", error) from error
        self.notice = (
            f"{self.path} was damaged and is now {set_aside(self.path)}; new records go to a new file"
        )
        try:
            return open_to_write(self.path)
        except sqlite3.Error as error:
            raise translated(self.path, "opened", error) from error

    def _write(self) -> None:
        """The writer thread: a batch, its futures, then a step of tending, until ``close``."""
        patience = _QUIET_SECONDS
        while True:
            try:
                batch = [self._queue.get(timeout=patience)]
            except queue.Empty:
                patience = self._rest()
                continue
            while len(batch) < _BATCH and batch[-1] is not None:
                try:
                    batch.append(self._queue.get_nowait())
                except queue.Empty:
                    break
            patience = _QUIET_SECONDS
            with self._turn:
                self._commit([waiting for waiting in batch if waiting])
                if batch[-1] is None:
                    break
                if self._untended >= _TEND_EVERY:
                    self._tend(quiet=False)
        if self._writer is not None:
            self._writer.close()

    def _rest(self) -> float:
        """What is left for a quiet moment; how long to wait for the next record."""
        if time.monotonic() - self._last < _QUIET_SECONDS:
            return _QUIET_SECONDS
        with self._turn:
            more = self._tend(quiet=True)
        self._resting = not more
        return 0.0 if more else _IDLE_SECONDS

    def _commit_alone(self, row: tuple[Any, ...]) -> bool:
        """Commit a record on the caller's thread if it need not wait for anybody; False leaves it to the thread."""
        now = time.monotonic()
        crowded, self._last = now - self._last < _CROWD_SECONDS, now
        if (
            crowded
            or now < self._failure[0]
            or not self._queue.empty()
            or not self._turn.acquire(blocking=False)
        ):
            return False
        try:
            if self._writer is None or not self._still_there():
                return False
            self._writer.execute("PRAGMA busy_timeout = 0")
            try:
                self._transact(self._writer, [row])
            finally:
                self._writer.execute(f"PRAGMA busy_timeout = {int(BUSY_SECONDS * 1000)}")
        except sqlite3.Error:
            return False  # the thread tries again, with patience, and reports what is wrong
        finally:
            self._turn.release()
        if self._resting or self._untended >= _TEND_EVERY:
            self._resting = False
            self._queue.put(())  # nothing to write: the thread is to look after the file
        return True

    def _commit(self, batch: list[Waiting]) -> None:
        if not batch:
            return
        error = self._insert([row for row, _ in batch])
        for _, future in batch:
            if error is None:
                future.set_result(None)
            else:
                future.set_exception(error)

    def _insert(self, rows: list[tuple[Any, ...]]) -> RecordError | None:
        """One transaction; its error is remembered for a while, then the file is opened anew."""
        until, error = self._failure
        if time.monotonic() < until:
            return error
        try:
            self._transact(self._healthy_writer(), rows)
        except sqlite3.Error as cause:
            error = translated(self.path, "written", cause)
        except RecordError as cause:
            error = cause
        else:
            return None
        self._drop_writer()
        self._failure = (time.monotonic() + _RETRY_SECONDS, error)
        return error

    def _transact(self, writer: sqlite3.Connection, rows: list[tuple[Any, ...]]) -> None:
        writer.execute("BEGIN IMMEDIATE")
        try:
            writer.executemany(_INSERT, rows)
            writer.execute("COMMIT")
        except sqlite3.Error:
            if writer.in_transaction:
                writer.execute("ROLLBACK")
            raise
        self._untended += len(rows)
        self._uncopied += len(rows)

    def _healthy_writer(self) -> sqlite3.Connection:
        """The connection, made anew after an error and when somebody deleted the file under a running server."""
        if self._writer is None or not self._still_there():
            self._drop_writer()
            self._writer = self._opened()
            self._inode = self.path.stat().st_ino
            super().close()  # the reader connects again on its next use
        return self._writer

    def _still_there(self) -> bool:
        """Whether the file is the one that was opened: somebody may have deleted it while the server runs."""
        try:
            return self.path.stat().st_ino == self._inode
        except OSError:
            return False

    def _drop_writer(self) -> None:
        if self._writer is not None:
            self._writer.close()
            self._writer = None

    def _tend(self, *, quiet: bool) -> bool:
        """Delete what is too old or too much for a few milliseconds; True when there is more to delete."""
        self._untended = 0
        if self._writer is None:
            return False
        try:
            more = delete_oldest(self._writer, time.time() - self._max_age, self._max_bytes)
            if self._uncopied >= (1 if quiet and not more else _UNCOPIED):
                self._writer.execute("PRAGMA wal_checkpoint(PASSIVE)")
                self._uncopied = 0
        except sqlite3.Error:
            self._drop_writer()  # the next record opens the file again, and reports what is wrong with it
            return False
        return more
