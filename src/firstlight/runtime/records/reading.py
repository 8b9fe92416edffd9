"""The reading half of the SQLite store; any number of processes may read while one writes."""

from __future__ import annotations

import contextlib
import sqlite3
import threading
from pathlib import Path

from firstlight.runtime.errors import RecordError
from firstlight.runtime.records.journal import recover, wait_for_writers
from firstlight.runtime.records.migrations import STEPS, version
from firstlight.runtime.records.rows import FIELDS, to_record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    Record = dict[str, Any]
    Records = list[Record]

BUSY_SECONDS = 1.0
"""How long a connection waits for another process that holds the lock."""
_WRITERS_SECONDS = 0.3
"""How long a reader waits for what a running server has taken and not written yet."""
HINTS = {
    sqlite3.SQLITE_BUSY: "another process holds it; end that process or wait",
    sqlite3.SQLITE_READONLY: "make it writable, or set FIRSTLIGHT_DATA_DIR to a folder that is",
    sqlite3.SQLITE_CANTOPEN: "make the folder writable, or set FIRSTLIGHT_DATA_DIR to one that is",
    sqlite3.SQLITE_FULL: "free some disk space",
    sqlite3.SQLITE_CORRUPT: "move the file away; a new one is made",
    sqlite3.SQLITE_NOTADB: "move the file away; a new one is made",
}
"""What helps, by SQLite's primary result code."""
DAMAGE = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)


def primary_code(error: sqlite3.Error) -> int:
    """SQLite's primary result code of an error; 0 when it has none."""
    return int(getattr(error, "sqlite_errorcode", 0) or 0) & 0xFF


def translated(path: Path, doing: str, error: sqlite3.Error) -> RecordError:
    """A RecordError that says what could not be done with which file, and what helps."""
    return RecordError(f"records cannot be {doing} ({path}): {error}", HINTS.get(primary_code(error), ""))


def connect(path: Path, mode: str) -> sqlite3.Connection:
    """A connection in autocommit mode.

    Args:
        mode: ``rwc``, ``rw`` or ``ro``, as in SQLite's URIs.
    """
    uri = f"{path.absolute().as_uri()}?mode={mode}"
    return sqlite3.connect(uri, uri=True, timeout=BUSY_SECONDS, isolation_level=None, check_same_thread=False)


class SqliteReader:
    """Reads a record database that another object, thread or process may be writing to.

    Args:
        path: the database file; it must exist.

    Raises:
        RecordError: the file is missing, damaged, or of a newer firstlight.
    """

    def __init__(self, path: Path) -> None:
        self.path = Path(path)
        self._reading = threading.Lock()
        self._reader: sqlite3.Connection | None = None
        self._connected()
        with contextlib.suppress(sqlite3.Error, OSError):  # what is there can be read all the same
            recover(self.path, connect)

    def _connected(self) -> sqlite3.Connection:
        if self._reader is None:
            self._reader = _open_to_read(self.path)
        return self._reader

    def get(self, request_id: str) -> Record | None:
        """The record of an invocation, None when there is none."""
        rows = self._select("WHERE request_id = ? ORDER BY seq DESC LIMIT 1", (request_id,))
        return rows[0] if rows else None

    def list(
        self,
        endpoint: str | None = None,
        since: float | None = None,
        status: str | None = None,
        limit: int = 100,
        after: int | None = None,
    ) -> Records:
        """Records in the order they were committed.

        Args:
            endpoint: only of this endpoint.
            since: only from this time on, seconds since the epoch.
            status: only ``ok``, ``error``, ``timeout``, ``crash``, ``cancelled`` or ``throttled``.
            limit: at most this many: the newest ones, or the first ones after the cursor.
            after: cursor: only records whose ``seq`` is greater.
        """
        filters: dict[str, Any] = {
            "endpoint = ?": endpoint,
            "time >= ?": since,
            "status = ?": status,
            "seq > ?": after,
        }
        used = {clause: value for clause, value in filters.items() if value is not None}
        where = f"WHERE {' AND '.join(used)} " if used else ""
        direction = "DESC" if after is None else "ASC"
        rows = self._select(f"{where}ORDER BY seq {direction} LIMIT ?", (*used.values(), limit))
        return rows[::-1] if after is None else rows

    def close(self) -> None:
        """Let go of the file."""
        with self._reading:
            if self._reader is not None:
                self._reader.close()
                self._reader = None

    def _select(self, rest: str, values: tuple[Any, ...]) -> Records:
        statement = f"SELECT {', '.join(FIELDS)} FROM records {rest}"  # noqa: S608 - made of constants
        wait_for_writers(self.path, _WRITERS_SECONDS)
        with self._reading:
            try:
                rows = self._connected().execute(statement, values).fetchall()
            except sqlite3.Error as error:
                raise translated(self.path, "read", error) from error
        return [to_record(row) for row in rows]


def _open_to_read(path: Path) -> sqlite3.Connection:
    """A connection that cannot write records; ``rw`` where that works, as a reader of a WAL needs its index file."""
    if not path.exists():
        raise RecordError(
            f"there are no records yet ({path})", "invoke an endpoint of a running server first"
        )
    try:
        connection, steps = _readable(path)
    except sqlite3.Error as error:
        raise translated(path, "read", error) from error
    if steps > len(STEPS):
        connection.close()
        raise RecordError(
            f"{path} was written by a newer firstlight", "update firstlight, or move the file away"
        )
    return connection


def _readable(path: Path, mode: str = "rw") -> tuple[sqlite3.Connection, int]:
    connection = connect(path, mode)
    try:
        steps = version(connection)
        connection.execute("PRAGMA query_only = 1")
    except sqlite3.Error as error:
        connection.close()
        if mode == "ro" or primary_code(error) in DAMAGE:
            raise
        return _readable(path, "ro")
    return connection, steps
