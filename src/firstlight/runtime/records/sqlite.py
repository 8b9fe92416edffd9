"""Records in one SQLite file, and in a journal on their way there.

A record that ``submit`` returned for is in a journal: killing the process does not lose it. (Losing power may lose the
newest records, never the database: ``synchronous=NORMAL``.) A thread puts what has gathered for a tenth of a second
into the database, in one transaction; who reads sees all that was submitted before. The file stays within an age and
a size: the oldest records are deleted a few milliseconds at a time, after the writes they follow.
"""

from __future__ import annotations

import contextlib
import queue
import sqlite3
import threading
import time
from concurrent.futures import Future
from pathlib import Path

from firstlight.runtime.errors import RecordError
from firstlight.runtime.records import migrations
from firstlight.runtime.records.journal import Journal, insert
from firstlight.runtime.records.opening import open_to_write, set_aside
from firstlight.runtime.records.reading import DAMAGE, SqliteReader, primary_code, translated
from firstlight.runtime.records.retention import delete_oldest
from firstlight.runtime.records.rows import cleaned, from_record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

_PRAGMAS = (
    "wal_autocheckpoint = 0",  # copied in quiet moments instead, see _tend
    f"journal_size_limit = {4 << 20}",  # the log's file is cut to this when it begins anew
)
_GATHER_SECONDS = 0.1
"""Rows that come within this time of the first share a transaction."""
_JOURNAL_BYTES = 64 << 20
"""Records are refused when this much waits for a database that cannot be written."""
_TEND_EVERY = 64
"""Records between two looks at age and size."""
_RETRY_SECONDS = 1.0
"""After an error, nothing is tried for this long."""
_IDLE_SECONDS = 60.0
_QUIET_SECONDS = 0.2
"""Without a record for this long, the write-ahead log is copied into the database."""
_UNCOPIED = 1024
"""Records after which it is copied without waiting for a quiet moment; about 10 MB of log."""

_KEPT: Future[None] = Future()
_KEPT.set_result(None)


def _refused(error: RecordError) -> Future[None]:
    future: Future[None] = Future()
    future.set_exception(error)
    return future


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
        self._calls: queue.SimpleQueue[Future[None] | tuple[()] | None] = queue.SimpleQueue()
        self._closed = False
        self._taking = threading.Lock()
        self.path = Path(path)
        self._writer: sqlite3.Connection | None = self._opened()
        self._inode = self.path.stat().st_ino
        self._untended = self._uncopied = 0
        self._failure: tuple[float, RecordError] = (0.0, RecordError(""))
        self._journal, self._other = Journal(self.path), Journal(self.path)
        self._rows: list[tuple[Any, ...]] = []  # those in the journal
        self._unfinished: list[tuple[Any, ...]] = []  # those in the other one, on their way
        self._thread = threading.Thread(target=self._write, name="records", daemon=True)
        super().__init__(self.path)
        self._thread.start()

    def submit(self, record: Mapping[str, Any]) -> Future[None]:
        """Keep a record.

        Args:
            record: values by the names in ``migrations.COLUMNS``; what is missing is null, other names are ignored.

        Returns:
            a future that is done when the record is safe, which it is already; its error is a RecordError.
        """
        row = from_record(record)
        with self._taking:
            if self._closed:
                return _refused(RecordError("the record store is closed"))
            if self._journal.size > _JOURNAL_BYTES:
                return _refused(self._failure[1])
            try:
                self._journal.append(row)
            except OSError as error:
                said = f"records cannot be written ({self.path}): {error.strerror}"
                return _refused(RecordError(said, "free some disk space"))
            self._rows.append(row)
            if len(self._rows) == 1:
                self._calls.put(())
        return _KEPT

    def put(self, record: Mapping[str, Any]) -> None:
        """Keep a record and return when it is in the database.

        Raises:
            RecordError: it could not be written.
        """
        self.submit(record).result()
        self._finish()

    def close(self) -> None:
        """Write what is kept and let go of the file; later records are refused. May be called twice."""
        with self._taking:
            if not self._closed:
                self._closed = True
                self._calls.put(None)
        self._thread.join()
        super().close()

    def _finish(self) -> None:
        """Have all that was kept written now.

        Raises:
            RecordError: it could not be; it is tried again.
        """
        written: Future[None] = Future()
        with self._taking:
            if self._closed or not (self._rows or self._unfinished):
                return
            self._calls.put(written)
        written.result()

    def _select(self, rest: str, values: tuple[Any, ...]) -> list[dict[str, Any]]:
        with contextlib.suppress(RecordError):  # what can be read is worth reading
            self._finish()
        return super()._select(rest, values)

    def _opened(self) -> sqlite3.Connection:
        """The writing connection, on a new file where the old one is damaged."""
        try:
            return open_to_write(self.path, "records", RecordError, migrations.STEPS, _PRAGMAS)
        except sqlite3.Error as error:
            if primary_code(error) not in DAMAGE:
                raise translated(self.path, "opened", error) from error
        self.notice = (
            f"{self.path} was damaged and is now {set_aside(self.path)}; new records go to a new file"
        )
        try:
            return open_to_write(self.path, "records", RecordError, migrations.STEPS, _PRAGMAS)
        except sqlite3.Error as error:
            raise translated(self.path, "opened", error) from error

    def _write(self) -> None:
        """The writer thread: takes what has gathered for a moment, then tends the file, until ``close``."""
        patience = _QUIET_SECONDS
        while True:
            calls = self._called(patience)
            if not calls and not self._unfinished:
                patience = 0.0 if self._tend(quiet=True) else _IDLE_SECONDS
                continue
            error = self._take()
            for call in calls:
                if isinstance(call, Future):
                    call.set_result(None) if error is None else call.set_exception(error)
            if None in calls:
                break
            patience = _QUIET_SECONDS if error is None else _RETRY_SECONDS
            if self._untended >= _TEND_EVERY:
                self._tend(quiet=False)
        for journal in (self._journal, self._other):
            journal.close()
        if self._writer is not None:
            self._writer.close()

    def _called(self, patience: float) -> list[Future[None] | tuple[()] | None]:
        """What the thread was called for; rows alone wait a moment for others, so that they share a transaction."""
        calls: list[Future[None] | tuple[()] | None] = []
        try:
            calls.append(self._calls.get(timeout=patience))
            if calls == [()]:
                calls.append(self._calls.get(timeout=_GATHER_SECONDS))
            while True:
                calls.append(self._calls.get_nowait())
        except queue.Empty:
            return calls

    def _take(self) -> RecordError | None:
        """Put what is in the journals into the database; the error where that failed, and then it stays in them."""
        while True:
            if not self._unfinished:
                with self._taking:
                    self._journal, self._other = self._other, self._journal
                    self._rows, self._unfinished = [], self._rows
            if not self._unfinished:
                return None
            error = self._insert(self._unfinished)
            if error is not None:
                return error
            self._unfinished = []
            self._other.clear()

    def _insert(self, rows: list[tuple[Any, ...]]) -> RecordError | None:
        """One transaction; its error is remembered for a while, then the file is opened anew."""
        until, error = self._failure
        if time.monotonic() < until:
            return error
        try:
            insert(self._healthy_writer(), list(map(cleaned, rows)))
        except sqlite3.Error as cause:
            error = translated(self.path, "written", cause)
        except RecordError as cause:
            error = cause
        else:
            self._untended += len(rows)
            self._uncopied += len(rows)
            return None
        self._drop_writer()
        self._failure = (time.monotonic() + _RETRY_SECONDS, error)
        return error

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
