"""The queue's half: who may run which job, and until when."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from firstlight.jobs.fields import FLAT, job_from, text
from firstlight.jobs.sqlite.file import JobFile
from firstlight.jobs.types import Job, Status

Row = tuple[Any, ...]
"""A job's ``seq`` and its flat values."""
COLUMNS = ", ".join(FLAT)
_WAITING = f"""
    SELECT seq, {COLUMNS} FROM jobs INDEXED BY jobs_waiting
    WHERE endpoint = ? AND status = 'starting' AND due <= ? ORDER BY due, seq LIMIT ?
"""  # noqa: S608 - constants
_CLAIM = """
    UPDATE jobs SET status = 'processing', attempts = attempts + 1, owner = ?, lease = ?, revision = revision + 1
    WHERE seq = ?
"""
_LOST = "FROM jobs WHERE status = 'processing' AND (lease <= ? OR owner IN (%s))"
_PUT_BACK = """
    UPDATE jobs SET status = 'starting', interrupted = interrupted + 1, owner = '', lease = 0, revision = revision + 1
    WHERE seq = ?
"""
_RENEW = "UPDATE jobs SET lease = ? WHERE id = ? AND owner = ? AND status = 'processing'"
_DUE = "SELECT min(due) FROM jobs WHERE endpoint = ? AND status = 'starting'"
BODIES_OF = """
    SELECT (SELECT body FROM payloads WHERE seq = ?1), (SELECT body FROM partials WHERE seq = ?1),
           (SELECT body FROM answers WHERE seq = ?1)
"""


class SqliteQueue:
    """See ``jobs.types.JobQueue``."""

    def __init__(self, path: Path) -> None:
        self._file = JobFile(path)

    def claim(self, owner: str, now: float, lease_s: float, room: Mapping[str, int]) -> Sequence[Job]:
        wanted = {endpoint: count for endpoint, count in room.items() if count > 0}
        due = self.next_due(now, list(wanted))
        if due is None or due > now:
            return []  # looked up without the lock that writing takes
        lease = now + lease_s
        rows: list[Row] = []
        with self._file.transaction() as writer:
            for endpoint, count in wanted.items():
                rows += writer.execute(_WAITING, (endpoint, now, count)).fetchall()
            writer.executemany(_CLAIM, [(owner, lease, row[0]) for row in rows])
        return [
            replace(
                job,
                status=Status.PROCESSING,
                attempts=job.attempts + 1,
                owner=owner,
                lease=lease,
                revision=job.revision + 1,
            )
            for job in self._in_turn(rows)
        ]

    def renew(self, owner: str, job_ids: Sequence[str], lease_until: float) -> Sequence[str]:
        if not job_ids:
            return []
        with self._file.transaction() as writer:
            return [
                job_id
                for job_id in job_ids
                if not writer.execute(_RENEW, (lease_until, text(job_id), owner)).rowcount
            ]

    def recover(self, now: float, gone: Sequence[str] = ()) -> Sequence[Job]:
        lost = _LOST % ", ".join("?" * len(gone))
        if not self._file.rows(f"SELECT 1 {lost} LIMIT 1", (now, *gone)):
            return []  # looked up without the lock that writing takes
        with self._file.transaction() as writer:
            rows = writer.execute(f"SELECT seq, {COLUMNS} {lost}", (now, *gone)).fetchall()
            writer.executemany(_PUT_BACK, [(row[0],) for row in rows])
        return [
            replace(
                job,
                status=Status.STARTING,
                interrupted=job.interrupted + 1,
                owner="",
                lease=0.0,
                revision=job.revision + 1,
            )
            for job in self._in_turn(rows)
        ]

    def owners(self) -> Sequence[str]:
        statement = "SELECT DISTINCT owner FROM jobs WHERE status = 'processing' ORDER BY owner"
        return [owner for (owner,) in self._file.rows(statement)]

    def next_due(self, now: float, endpoints: Sequence[str]) -> float | None:
        soonest = None
        for endpoint in endpoints:
            due = self._file.rows(_DUE, (endpoint,))[0][0]
            if due is not None and (soonest is None or due < soonest):
                soonest = due
            if soonest is not None and soonest <= now:
                break  # one waits; whether another one waits longer makes no difference
        return None if soonest is None else float(soonest)

    def depth(self) -> Mapping[str, int]:
        return dict(self._file.rows("SELECT endpoint, waiting FROM depths WHERE waiting > 0"))

    def _in_turn(self, rows: list[Row]) -> list[Job]:
        """Jobs with their bodies, read after the lock is given back, in the order in which they were to be begun."""
        due = FLAT.index("due") + 1
        return [self._whole(row) for row in sorted(rows, key=lambda row: (row[due], row[0]))]

    def _whole(self, row: Row) -> Job:
        """The job of a row that begins with its ``seq``."""
        payload, partial, answer = self._file.rows(BODIES_OF, (row[0],))[0]
        found = {"payload": payload, "partial": partial, "answer": answer}
        return job_from(dict(zip(FLAT, row[1:], strict=True)), found)
