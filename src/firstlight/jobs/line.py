"""The waiting line: claims jobs as there is room for them, keeps them while they run, takes back what others lost."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping
from typing import Any

from firstlight.jobs import owners
from firstlight.jobs.attempts import Attempts
from firstlight.jobs.destinations import HOOKS
from firstlight.jobs.shelf import Shelf
from firstlight.jobs.types import Job, Kind
from firstlight.runtime.errors import JobError

LEASE_S = 30.0
"""Seconds for which a job is in nobody else's hands; renewed long before."""
TEND_S = 5.0
SWEEP_S = 600.0
"""Seconds between two sweeps at most, in moments that are not quiet."""
_IDLE_S = 5.0
_TROUBLE_S = 1.0
_HOOK_ROOM = 8
_OFF_ROOM = 16
"""Events of an endpoint that is turned off, which are told off at once."""
_NOTHING_FOR_ONCE_S = 0.05

log = logging.getLogger("firstlight.jobs")


class Line:
    """Begins jobs.

    Args:
        shelf: the store.
        attempts: carries what is claimed.
        room: by endpoint, how many jobs it may have at once; 0 where it is turned off.
        owner: in whose name.
    """

    def __init__(
        self, shelf: Shelf, attempts: Attempts, room: Callable[[], Mapping[str, int]], owner: str
    ) -> None:
        self._shelf = shelf
        self._attempts = attempts
        self._room = room
        self._owner = owner
        self._woken = asyncio.Event()
        self._closing = False
        self._work: dict[str, tuple[Job, asyncio.Task[None]]] = {}
        self._strangers: tuple[str, ...] = ()
        self._tasks: list[asyncio.Task[None]] = []
        self._swept = 0.0
        self._trouble = ""

    async def start(self) -> None:
        """Take back what an earlier life of the server left, and begin."""
        if self._tasks:
            return
        await self._look_after()
        loop = asyncio.get_running_loop()
        self._tasks = [loop.create_task(self._run()), loop.create_task(self._tend())]

    def wake(self) -> None:
        """There may be something to begin."""
        self._woken.set()

    def stop(self) -> None:
        """Begin nothing more; what runs runs on."""
        self._closing = True
        self._woken.set()

    async def quiet(self, seconds: float) -> None:
        """Wait until nothing runs, for at most so many seconds."""
        tasks = [task for _, task in self._work.values()]
        if tasks:
            await asyncio.wait(tasks, timeout=seconds)

    async def release(self) -> None:
        """Begin nothing more, and give what runs back to the queue. What its carriers do then comes to nothing."""
        self.stop()
        await asyncio.gather(*self._tasks[:1])  # a claim that is on its way
        for job, task in tuple(self._work.values()):
            await self._put_back(job, begun=True)
            task.cancel()
        await asyncio.gather(*(task for _, task in self._work.values()), return_exceptions=True)

    async def close(self) -> None:
        """Release what runs, and end."""
        await self.release()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def end(self, job_id: str) -> None:
        """Cancel the task of a job, which is in ``Notes`` as cancelled."""
        found = self._work.get(job_id)
        if found is not None:
            found[1].cancel()

    def has(self, job_id: str) -> bool:
        """Whether a job is in hand here."""
        return job_id in self._work

    async def _run(self) -> None:
        while not self._closing:
            self._woken.clear()
            try:
                seconds = await self._claim()
            except JobError as error:
                self._warn(error)
                seconds = 0.0
                await asyncio.sleep(_TROUBLE_S)
            if seconds:
                await self._sleep(seconds)

    async def _claim(self) -> float:
        """Claim what there is room for; how long to wait for more, 0 where there may be more at once."""
        shelf, free = self._shelf, self._free()
        wanted = {endpoint: count for endpoint, count in free.items() if count > 0}
        if not wanted:
            return _IDLE_S
        claimed = await shelf.ask(shelf.store.claim, self._owner, shelf.clock(), LEASE_S, wanted)
        for job in claimed:
            if self._closing:
                await self._put_back(job, begun=False)
            else:
                self._begin(job)
        if claimed:
            return 0.0
        now = shelf.clock()
        due = await shelf.ask(shelf.store.next_due, now, tuple(wanted))
        if due is None:
            return _IDLE_S
        return min(max(due - now, _NOTHING_FOR_ONCE_S), _IDLE_S)

    def _free(self) -> dict[str, int]:
        free = {endpoint: count or _OFF_ROOM for endpoint, count in self._room().items()}
        free[HOOKS] = _HOOK_ROOM
        for endpoint in self._strangers:
            free.setdefault(endpoint, 1)
        for job, _ in self._work.values():
            if job.endpoint in free:
                free[job.endpoint] -= 1
        return free

    def _begin(self, job: Job) -> None:
        concurrency = 1 if job.kind is Kind.HOOK else self._room().get(job.endpoint, 1)
        task = asyncio.get_running_loop().create_task(self._attempts.carry(job, concurrency))
        self._work[job.id] = (job, task)
        task.add_done_callback(lambda done: self._ended(job, done))

    async def _put_back(self, job: Job, *, begun: bool) -> None:
        try:
            await self._attempts.put_back(job, begun=begun)
        except JobError as error:  # the next start takes it back
            log.warning("job %s could not be put back: %s", job.id, error.message)

    def _ended(self, job: Job, task: asyncio.Task[Any]) -> None:
        self._work.pop(job.id, None)
        error = None if task.cancelled() else task.exception()
        if isinstance(error, JobError):
            self._warn(error)  # it is taken back when its lease ends
        elif error is not None:
            log.error("job %s was lost sight of", job.id, exc_info=error)
        self._woken.set()

    async def _sleep(self, seconds: float) -> None:
        try:
            await asyncio.wait_for(self._woken.wait(), seconds)
        except TimeoutError:
            pass

    async def _tend(self) -> None:
        """Every few seconds: keep what runs, look for what is nobody's any more, delete what is old."""
        while True:
            await asyncio.sleep(TEND_S)
            await self._look_after()

    async def _look_after(self) -> None:
        try:
            await self._renew()
            await self._take_back()
            await self._sweep()
            self._trouble = ""
        except JobError as error:
            self._warn(error)

    def _warn(self, error: JobError) -> None:
        """Say once what is wrong with the store, until it is not or something else is."""
        if error.message != self._trouble:
            self._trouble = error.message
            log.warning("jobs wait: %s", error.message)

    async def _renew(self) -> None:
        shelf = self._shelf
        ids = tuple(self._work)
        lost = await shelf.ask(shelf.store.renew, self._owner, ids, shelf.clock() + LEASE_S) if ids else ()
        for job_id in lost:
            if job_id in self._work:
                log.warning("job %s was taken by another server, or canceled there", job_id)
                self.end(job_id)

    async def _take_back(self) -> None:
        shelf = self._shelf
        gone = owners.gone(await shelf.ask(shelf.store.owners))
        if await shelf.ask(shelf.store.recover, shelf.clock(), gone):
            self.wake()
        waiting = await shelf.ask(shelf.store.depth)
        known = self._room()
        strangers = tuple(endpoint for endpoint in waiting if endpoint not in known and endpoint != HOOKS)
        if strangers != self._strangers:
            self._strangers = strangers
            self.wake()

    async def _sweep(self) -> None:
        now = self._shelf.clock()
        if self._work and now - self._swept < SWEEP_S:
            return
        self._swept = now
        await self._shelf.ask(self._shelf.store.sweep, now)
