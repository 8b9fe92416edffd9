"""Jobs in one SQLite file, safe against the end of the process at any moment and against a second program on the file.

Every method is one transaction. Bodies are in tables of their own: finding the next job, listing and counting read
none, and what is handed out is read after the lock that writing takes is given back.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from firstlight.jobs.fields import (
    FLAT,
    all_of,
    bodies,
    changed,
    encoded_event,
    event_from,
    flat,
    job_from,
    place_of,
    text,
)
from firstlight.jobs.sqlite.queue import COLUMNS, SqliteQueue
from firstlight.jobs.types import Job, JobEvent, Page, Status

if TYPE_CHECKING:
    import sqlite3

_TABLES = {"payload": "payloads", "partial": "partials", "answer": "answers"}
_PUT = f"""
    INSERT INTO jobs ({COLUMNS}) VALUES ({", ".join("?" * len(FLAT))}) ON CONFLICT (id) DO NOTHING
"""  # noqa: S608 - constants
_GET = f"""
    SELECT {COLUMNS}, payloads.body, partials.body, answers.body FROM jobs LEFT JOIN payloads USING (seq)
    LEFT JOIN partials USING (seq) LEFT JOIN answers USING (seq) WHERE id = ?
"""  # noqa: S608 - constants
_CHANGING = "SELECT seq, lease FROM jobs WHERE id = ? AND revision = ?"
_APPEND = """
    INSERT INTO events SELECT seq, ?, ?, ?, ? FROM jobs WHERE id = ? ON CONFLICT DO NOTHING
"""
_EVENTS = """
    SELECT number, kind, data, time FROM events
    WHERE seq = (SELECT seq FROM jobs WHERE id = ?) AND number > ? ORDER BY number
"""
_OVER = """
    SELECT seq FROM jobs INDEXED BY jobs_kept
    WHERE keep_until <= ? AND status IN ('succeeded', 'failed', 'canceled') LIMIT ?
"""
_AT_ONCE = 50
"""Jobs that one transaction of a sweep deletes at most."""
_STEP_SECONDS = 0.005
"""After this time it ends with the job it is at: what comes in meanwhile waits for no more."""


class SqliteJobs(SqliteQueue):
    """Keeps jobs and hands them out: see ``jobs.types.JobStore`` and ``JobQueue``. Any number of threads may use it.

    Args:
        path: the database file; see ``file.JobFile``.

    Raises:
        JobError: the file cannot be made, opened, read or written.
    """

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self.path = self._file.path

    @property
    def notice(self) -> str:
        """What happened to a damaged file; empty when nothing did."""
        return self._file.notice

    def put(self, job: Job) -> Job | None:
        """Keep a new job; the one that has its id already, None where it is new."""
        values = all_of(job)
        row = flat(values)
        parts = {name: body for name, body in bodies(values).items() if body}
        while True:
            with self._file.transaction() as writer:
                put = writer.execute(_PUT, [row[name] for name in FLAT])
                if put.rowcount == 1:
                    _keep_bodies(writer, int(put.lastrowid or 0), parts)
                    return None
            if found := self.get(job.id):
                return found

    def get(self, job_id: str) -> Job | None:
        """The whole job."""
        for row in self._file.rows(_GET, (text(job_id),)):
            *values, payload, partial, answer = row
            found = {"payload": payload, "partial": partial, "answer": answer}
            return job_from(dict(zip(FLAT, values, strict=True)), found)
        return None

    def list(
        self,
        *,
        endpoint: str | None = None,
        status: Status | None = None,
        limit: int = 50,
        cursor: str | None = None,
    ) -> Page:
        """Jobs, the newest first, without their bodies.

        Raises:
            InvalidInput: the cursor is none of this store's.
        """
        filters = {
            "endpoint = ?": endpoint,
            "status = ?": status and str(status),
            "seq < ?": place_of(cursor),
        }
        used = {clause: value for clause, value in filters.items() if value is not None}
        where = f"WHERE {' AND '.join(used)} " if used else ""
        statement = f"SELECT seq, {COLUMNS} FROM jobs {where}ORDER BY seq DESC LIMIT ?"  # noqa: S608 - constants
        rows = self._file.rows(statement, (*used.values(), max(limit, 0) + 1))
        page = rows[: max(limit, 0)]
        jobs = [job_from(dict(zip(FLAT, row[1:], strict=True)), {}) for row in page]
        return Page(jobs, str(page[-1][0]) if page and len(rows) > len(page) else None)

    def change(self, job: Job, **fields: Any) -> Job | None:
        """The changed job; None where it was changed since it was read.

        Raises:
            TypeError: a field that does not exist or cannot change.
        """
        after, values = changed(job, fields)
        row = flat(values)
        names = ", ".join(f"{name} = ?" for name in row)
        statement = f"UPDATE jobs SET {names} WHERE seq = ?"  # noqa: S608 - names
        with self._file.transaction() as writer:
            found = writer.execute(_CHANGING, (text(job.id), job.revision)).fetchone()
            if not found:
                return None
            writer.execute(statement, (*row.values(), found[0]))
            _keep_bodies(writer, found[0], bodies(values))
        # The lease may have been renewed since the job was read: that is no change of it.
        return after if "lease" in values else replace(after, lease=float(found[1]))

    def append(self, job_id: str, events: Sequence[JobEvent]) -> None:
        """Keep events of a job; of a job that is not there, none."""
        rows = [
            (event.number, event.kind, encoded_event(event), event.time, text(job_id)) for event in events
        ]
        if rows:
            with self._file.transaction() as writer:
                writer.executemany(_APPEND, rows)

    def events(self, job_id: str, after: int = 0) -> Sequence[JobEvent]:
        """Its events in order, those with a greater number than ``after``."""
        return [event_from(*row) for row in self._file.rows(_EVENTS, (text(job_id), after))]

    def sweep(self, now: float) -> int:
        """Delete the final jobs whose time has passed, a few in each transaction; how many there were."""
        total = 0
        while self._file.rows(_OVER, (now, 1)):
            with self._file.transaction() as writer:
                total += _delete_some(writer, now)
        self._file.give_back()
        return total

    def close(self) -> None:
        """Let go of the file. May be called twice."""
        self._file.close()


def _delete_some(writer: sqlite3.Connection, now: float) -> int:
    deadline = time.perf_counter() + _STEP_SECONDS
    over = writer.execute(_OVER, (now, _AT_ONCE)).fetchall()
    for count, place in enumerate(over, 1):
        for table in (*_TABLES.values(), "events", "jobs"):
            writer.execute(f"DELETE FROM {table} WHERE seq = ?", place)  # noqa: S608 - constants
        if time.perf_counter() > deadline:
            return count
    return len(over)


def _keep_bodies(writer: sqlite3.Connection, seq: int, parts: Mapping[str, bytes]) -> None:
    for name, body in parts.items():
        table = _TABLES[name]
        if body:
            writer.execute(f"INSERT OR REPLACE INTO {table} VALUES (?, ?)", (seq, body))  # noqa: S608 - constants
        else:
            writer.execute(f"DELETE FROM {table} WHERE seq = ?", (seq,))  # noqa: S608 - constants
