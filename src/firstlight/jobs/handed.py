"""A store of jobs that hands out the jobs of one batch of messages, and no others."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from firstlight.jobs.sqs import SqsJobs
from firstlight.jobs.types import Job, JobEvent, Page
from firstlight.runtime.errors import JobError

_TRIES = 3
"""How often a job is asked for that the store cannot give."""


class Handed:
    """Both ports over a batch (``jobs.types``): what keeps jobs is the store, what waits is the batch.

    Args:
        store: keeps the jobs.
        ids: those that the batch names.
        empty: called, on some thread, when every one of them has been taken or needs nothing.

    Attributes:
        failed: those that could not be looked at; their messages have to come again.
    """

    def __init__(self, store: SqsJobs, ids: Iterable[str], empty: Callable[[], None]) -> None:
        self._store = store
        self._left = dict.fromkeys(ids, 0)
        self._empty = empty
        self._lock = threading.Lock()
        self.failed: set[str] = set()
        self.get = store.get
        self.put = store.put
        self.change = store.change
        self.append = store.append
        self.renew = store.renew

    def claim(self, owner: str, now: float, lease_s: float, room: Mapping[str, int]) -> Sequence[Job]:
        """What there is room for, of those that are left."""
        with self._lock:
            if not self._left:
                self._empty()
                return ()
            free = dict(room)
            taken = []
            for job_id in tuple(self._left):
                job = self._take(job_id, owner, now, lease_s, free)
                if job is not None:
                    free[job.endpoint] = free.get(job.endpoint, 1) - 1
                    taken.append(job)
            if not taken and not self._left:
                self._empty()
            return taken

    def next_due(self, now: float, endpoints: Sequence[str]) -> float | None:  # noqa: ARG002 - the port's signature
        """Soon, while there are any left."""
        return now + 0.5 if self._left else None

    def events(self, job_id: str, after: int = 0) -> Sequence[JobEvent]:
        """Its events in order, those with a greater number than ``after``."""
        return self._store.events(job_id, after)

    def list(self, **about: Any) -> Page:
        """As the store's."""
        return self._store.list(**about)

    def recover(self, now: float, gone: Sequence[str] = ()) -> Sequence[Job]:  # noqa: ARG002
        """Nothing: a job that was left comes by a message."""
        return ()

    def owners(self) -> Sequence[str]:
        """Nobody that has to be looked after here."""
        return ()

    def depth(self) -> Mapping[str, int]:
        """Nothing waits that the batch does not name."""
        return {}

    def sweep(self, now: float) -> int:  # noqa: ARG002
        """Nothing: ``SqsJobs.tend`` does that."""
        return 0

    def close(self) -> None:
        """The store goes on to the next batch."""

    def _take(
        self, job_id: str, owner: str, now: float, lease_s: float, room: Mapping[str, int]
    ) -> Job | None:
        try:
            found = self._store.take(job_id, owner, now, lease_s, room)
            if isinstance(found, float) and found > now:
                self._store.later(job_id, found)
        except JobError:
            self._left[job_id] += 1
            if self._left[job_id] >= _TRIES:
                self.failed.add(job_id)
                del self._left[job_id]
            return None
        if isinstance(found, float) and found <= now:
            return None  # it waits for room
        del self._left[job_id]
        return found if isinstance(found, Job) else None
