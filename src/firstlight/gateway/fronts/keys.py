"""The keys of a project: access keys for signatures, API keys with what each may use, and what was used of it.

One SQLite file that only its owner can read. API keys are kept as hashes; a signature cannot be checked without the
secret itself. What was used survives the server (``synchronous`` is off: only a crash of the machine may lose the
last of it). ``firstlight keys`` writes the same file while a server runs.
"""

from __future__ import annotations

import hashlib
import os
import secrets
import sqlite3
import string
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from firstlight.runtime.errors import Conflict, EndpointNotFound, FirstlightError

FILE = "keys.sqlite"
PERIODS = ("day", "week", "month")
_SCHEMA = """
CREATE TABLE IF NOT EXISTS keys (
    id TEXT PRIMARY KEY, name TEXT NOT NULL UNIQUE, kind TEXT NOT NULL, secret TEXT NOT NULL, rate REAL, burst INTEGER,
    quota INTEGER, period TEXT, created REAL NOT NULL
);
CREATE INDEX IF NOT EXISTS keys_by_secret ON keys (secret) WHERE kind = 'api';
CREATE TABLE IF NOT EXISTS used (id TEXT PRIMARY KEY, since TEXT NOT NULL, requests INTEGER NOT NULL);
"""
_ALPHABET = string.ascii_letters + string.digits
_ALL = "SELECT id, name, kind, rate, burst, quota, period, created, secret FROM keys"


class KeyProblem(FirstlightError):
    """The file of keys cannot be read or written."""

    code = "keys"


@dataclass(frozen=True, slots=True)
class Limits:
    """What an API key may use; None is no limit.

    Args:
        rate: requests a second in the long run.
        burst: requests at once.
        quota: requests in a ``period``.
        period: ``day``, ``week`` or ``month``, each begun in UTC.
    """

    rate: float | None = None
    burst: int | None = None
    quota: int | None = None
    period: str | None = None


@dataclass(frozen=True, slots=True)
class Key:
    """A key without its secret.

    Args:
        id: the access key id of an ``iam`` key; what events and lists call an ``api`` key.
        kind: ``iam`` or ``api``.
    """

    id: str
    name: str
    kind: str
    limits: Limits = Limits()
    created: float = 0.0


class Keys:
    """The keys in one file, which need not be there: then there are none.

    Args:
        path: of the file.
        clock: seconds since the epoch.
    """

    def __init__(self, path: Path, clock: Callable[[], float] = time.time) -> None:
        self.path = path
        self.clock = clock
        self._open: sqlite3.Connection | None = None

    def create(self, name: str, kind: str, limits: Limits | None = None) -> tuple[Key, str]:
        """A new key and its secret, which can be seen this once.

        Raises:
            Conflict: there is a key of that name.
        """
        limits = limits or Limits()
        if kind == "iam":
            identifier = "AKIA" + "".join(
                secrets.choice(string.ascii_uppercase + "234567") for _ in range(16)
            )
        else:
            identifier = "".join(secrets.choice(string.ascii_lowercase + string.digits) for _ in range(10))
        secret = "".join(secrets.choice(_ALPHABET) for _ in range(40))
        kept = secret if kind == "iam" else _hashed(secret)
        key = Key(identifier, name, kind, limits, self.clock())
        row = (key.id, name, kind, kept, limits.rate, limits.burst, limits.quota, limits.period, key.created)
        with self._writing() as database:
            try:
                database.execute("INSERT INTO keys VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)", row)
            except sqlite3.IntegrityError as error:
                raise Conflict(
                    f"there is a key {name!r} already", f"firstlight keys delete {name}, or another name"
                ) from error
        return key, secret

    def delete(self, name: str) -> None:
        """Delete a key; from now on nobody gets in by it.

        Raises:
            EndpointNotFound: there is none of that name.
        """
        row = None
        if self.path.exists():
            with self._writing() as database:
                row = database.execute("DELETE FROM keys WHERE name = ? RETURNING id", (name,)).fetchone()
                if row is not None:
                    database.execute("DELETE FROM used WHERE id = ?", row)
        if row is None:
            raise EndpointNotFound(f"there is no key {name!r}", "firstlight keys list shows them")

    def all(self) -> list[tuple[Key, int]]:
        """Every key, the oldest first, and how often it was used in the period of its quota."""
        rows = self._read(_ALL + " ORDER BY created, name")
        keys = [_key(row) for row in rows]
        return [(key, self.used(key)) for key in keys]

    def secret(self, access_key: str) -> tuple[Key, str] | None:
        """An access key and its secret."""
        rows = self._read(_ALL + " WHERE id = ? AND kind = 'iam'", access_key)
        return (_key(rows[0]), rows[0][-1]) if rows else None

    def api_key(self, value: str) -> Key | None:
        """The API key of a value that somebody sent."""
        rows = self._read(_ALL + " WHERE secret = ? AND kind = 'api'", _hashed(value))
        return _key(rows[0]) if rows else None

    def used(self, key: Key) -> int:
        """How many requests were counted in the current period of its quota."""
        if key.limits.period is None:
            return 0
        since = begun(key.limits.period, self.clock())
        rows = self._read("SELECT requests FROM used WHERE id = ? AND since = ?", key.id, since)
        return int(rows[0][0]) if rows else 0

    def count(self, key: Key) -> bool:
        """Count one request; False where the quota of the period is used up."""
        quota, period = key.limits.quota, key.limits.period
        if quota is None or period is None:
            return True
        if quota < 1:
            return False
        since = begun(period, self.clock())
        with self._writing() as database:
            row = database.execute(
                "INSERT INTO used VALUES (?1, ?2, 1) ON CONFLICT (id) DO UPDATE SET since = ?2, "
                "requests = CASE WHEN since = ?2 THEN requests + 1 ELSE 1 END "
                "WHERE since <> ?2 OR requests < ?3 RETURNING requests",
                (key.id, since, quota),
            ).fetchone()
        return row is not None

    def close(self) -> None:
        """Close the file."""
        if self._open is not None:
            self._open.close()
            self._open = None

    def _read(self, text: str, *values: Any) -> list[Any]:
        if self._open is None and not self.path.exists():
            return []
        try:
            return self._database().execute(text, values).fetchall()
        except sqlite3.Error as error:
            raise self._problem(error) from error

    @contextmanager
    def _writing(self) -> Iterator[sqlite3.Connection]:
        try:
            database = self._database()
            database.execute("BEGIN IMMEDIATE")
            try:
                yield database
            except BaseException:
                database.execute("ROLLBACK")
                raise
            database.execute("COMMIT")
        except sqlite3.Error as error:
            raise self._problem(error) from error

    def _database(self) -> sqlite3.Connection:
        if self._open is None:
            try:
                # Made before SQLite sees it: the files beside it get the same permissions.
                os.close(os.open(self.path, os.O_RDWR | os.O_CREAT, 0o600))
                self.path.chmod(0o600)
            except OSError as error:
                raise self._problem(error) from error
            opened = sqlite3.connect(self.path, timeout=5.0, isolation_level=None, check_same_thread=False)
            opened.executescript(f"PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL; {_SCHEMA}")
            self._open = opened
        return self._open

    def _problem(self, error: Exception) -> KeyProblem:
        return KeyProblem(f"the keys in {self.path} cannot be read or written: {error}")


def begun(period: str, now: float) -> str:
    """The first day, in UTC, of the period that ``now`` is in; weeks begin on Monday."""
    day = datetime.fromtimestamp(now, UTC).date()
    if period == "week":
        day -= timedelta(days=day.weekday())
    elif period == "month":
        day = day.replace(day=1)
    return day.isoformat()


def _key(row: Any) -> Key:
    identifier, name, kind, rate, burst, quota, period, created, _ = row
    return Key(identifier, name, kind, Limits(rate, burst, quota, period), created)


def _hashed(value: str) -> str:
    # Forty random characters need no slow hash.
    return hashlib.sha256(value.encode("utf-8", "surrogateescape")).hexdigest()
