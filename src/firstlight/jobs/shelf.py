"""The store as the event loop sees it: each call on a thread, and whoever waits for a job is told of its changes."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any, ParamSpec, Protocol, TypeVar

from firstlight.jobs.types import Job, JobEvent, JobQueue, JobStore
from firstlight.runtime.errors import JobError

Asked = ParamSpec("Asked")
Found = TypeVar("Found")

_THREADS = 4


class Keeper(JobStore, JobQueue, Protocol):
    """Both ports: one adapter keeps jobs and hands them out."""


class Shelf:
    """A store, asked from one event loop.

    Args:
        store: the adapter.
        clock: seconds since the epoch.
    """

    def __init__(self, store: Keeper, clock: Callable[[], float]) -> None:
        self.store = store
        self.clock = clock
        self._threads = ThreadPoolExecutor(_THREADS, thread_name_prefix="jobs")
        self._waiting: dict[str, set[asyncio.Event]] = {}

    async def ask(self, question: Callable[Asked, Found], *args: Asked.args, **named: Asked.kwargs) -> Found:
        """What a method of the store answers.

        Raises:
            JobError: the store cannot be read or written, or is closed.
        """
        try:
            future = self._threads.submit(question, *args, **named)
        except RuntimeError as error:
            raise JobError("jobs are not taken any more: the server is ending") from error
        return await asyncio.wrap_future(future)

    async def change(self, job: Job, owner: str, **fields: Any) -> Job | None:
        """Change a job that an owner has in hand, also where it was changed meanwhile; None where it has lost it."""
        while True:
            changed = await self.ask(self.store.change, job, **fields)
            if changed is not None:
                self.notify(job.id)
                return changed
            fresh = await self.ask(self.store.get, job.id)
            if fresh is None or fresh.owner != owner or fresh.status.final:
                return None
            job = fresh

    async def add_told(self, job_id: str, what: str) -> None:
        """Note that word of a job's end was delivered."""
        while True:
            job = await self.ask(self.store.get, job_id)
            if job is None or what in job.told:
                return
            if await self.ask(self.store.change, job, told=(*job.told, what)) is not None:
                return

    async def append(self, job_id: str, events: list[JobEvent]) -> None:
        """Keep events of a job and tell those who watch it."""
        await self.ask(self.store.append, job_id, events)
        self.notify(job_id)

    async def last_number(self, job_id: str) -> int:
        """The number of a job's last event; 0 where it has none."""
        events = await self.ask(self.store.events, job_id)
        return events[-1].number if events else 0

    def watched(self, job_id: str) -> bool:
        """Whether anybody waits for this job."""
        return job_id in self._waiting

    def notify(self, job_id: str) -> None:
        """Wake those who wait for a job."""
        for bell in self._waiting.get(job_id, ()):
            bell.set()

    def notify_all(self) -> None:
        """Wake everybody who waits for a job."""
        for job_id in self._waiting:
            self.notify(job_id)

    def bell(self, job_id: str) -> Bell:
        """What rings when a job changes, for as long as it is held (``with``)."""
        return Bell(self._waiting, job_id)

    def close(self) -> None:
        """End the threads when they have done what they were asked, then close the store."""
        self._threads.shutdown(wait=True)
        self.store.close()


class Bell:
    """Rings when its job changes. It counts nothing and holds nothing: what has happened is read from the store."""

    def __init__(self, waiting: dict[str, set[asyncio.Event]], job_id: str) -> None:
        self._waiting = waiting
        self._job_id = job_id
        self._event = asyncio.Event()

    def __enter__(self) -> Bell:
        self._waiting.setdefault(self._job_id, set()).add(self._event)
        return self

    def __exit__(self, *_: object) -> None:
        bells = self._waiting.get(self._job_id)
        if bells is not None:
            bells.discard(self._event)
            if not bells:
                del self._waiting[self._job_id]

    def reset(self) -> None:
        """Forget that it rang; to be called before the store is read."""
        self._event.clear()

    async def rings(self, seconds: float) -> None:
        """Wait until it rings, or for so many seconds."""
        try:
            await asyncio.wait_for(self._event.wait(), seconds)
        except TimeoutError:
            pass


def overlaid(job: Job, started: float, partial: str) -> Job:
    """A job that is running, with what the store does not have yet."""
    return replace(job, started=job.started or started, partial=partial or job.partial)
