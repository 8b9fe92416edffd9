"""Desks for tests: a real store, a clock that is set by hand, and carriers that do as they are told."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from firstlight.jobs.current import Running
from firstlight.jobs.desk import Desk
from firstlight.jobs.sqlite import SqliteJobs
from firstlight.jobs.types import Job, Kind, Request, Result
from firstlight.project import Asynchronous

Work = Callable[[Job, Running], Awaitable[Result]]
PATIENCE = 20.0


class Clock:
    """Seconds since the epoch, set by hand."""

    def __init__(self, now: float = 1_700_000_000.0) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now


class Scripted:
    """A carrier that answers one thing after the other, the last one from then on; a callable is asked."""

    def __init__(self, *answers: Result | Exception | Work) -> None:
        self.answers = list(answers)
        self.seen: list[Job] = []

    async def __call__(self, job: Job, running: Running) -> Result:
        self.seen.append(job)
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, Exception):
            raise answer
        if isinstance(answer, Result):
            return answer
        return await answer(job, running)


def good(body: bytes = b'"fine"') -> Result:
    return Result(body=body, metrics={"duration_ms": 1.0})


def bad(text: str = "boom") -> Result:
    return Result(
        body=b'{"errorMessage":"%s","errorType":"ValueError"}' % text.encode(), function_error="Unhandled"
    )


class Made:
    """A desk, and what it was made of."""

    def __init__(
        self, store: Any, carrier: Any, policy: Asynchronous, room: dict[str, int], owner: str, clock: Clock
    ) -> None:
        self.clock = clock
        self.store = store
        self.left: list[str] = []
        self.room = room
        self.policy = policy
        self.carrier = carrier
        self.carriers: dict[Kind, Any] = {Kind.EVENT: carrier, Kind.REQUEST: carrier}
        self.desk = Desk(
            self.store,
            self.carriers,
            lambda endpoint, qualifier: self.policy,
            lambda: self.room,
            self.clock,
            owner,
            leave=self.left.append,
        )

    async def later(self, seconds: float) -> None:
        """Let time pass, and the desk notice."""
        self.clock.now += seconds
        self.desk._line.wake()

    async def kill(self) -> None:
        """End the desk as the end of its process would: nothing is written any more."""
        line = self.desk._line
        tasks = [task for _, task in line._work.values()] + line._tasks
        line.stop()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        self.desk.shelf._threads.shutdown()
        self.desk._closed = True

    async def until(self, job_id: str, fits: Callable[[Job], bool]) -> Job:
        """The job once it is so."""
        async with asyncio.timeout(PATIENCE):
            while True:
                job = self.store.get(job_id)
                if job is not None and fits(job):
                    return job
                await asyncio.sleep(0.002)

    async def ended(self, job_id: str) -> Job:
        return await self.until(job_id, lambda job: job.status.final)

    async def waiting_again(self, job_id: str, attempts: int) -> Job:
        return await self.until(
            job_id, lambda job: job.attempts == attempts and job.status.value == "starting"
        )


@asynccontextmanager
async def desk(
    place: Any,
    carrier: Any,
    policy: Asynchronous | None = None,
    room: Mapping[str, int] | None = None,
    owner: str = "machine/1/2/me",
    clock: Clock | None = None,
) -> AsyncIterator[Made]:
    """A desk that has started, over a store or over a new file.

    Args:
        place: path of the file, or the store.
    """
    store = SqliteJobs(place) if isinstance(place, Path) else place
    rooms = dict(room if room is not None else {"f": 2})
    made = Made(store, carrier, policy or Asynchronous(), rooms, owner, clock or Clock())
    await made.desk.start()
    try:
        yield made
    finally:
        await made.desk.close()


def event(job_id: str = "j1", endpoint: str = "f", payload: bytes = b'{"n":1}', **more: Any) -> Job:
    created = more.pop("created", 1_700_000_000.0)
    return Job(job_id, Kind.EVENT, endpoint, payload, created, **more)


def request(job_id: str = "r1", endpoint: str = "f", **more: Any) -> Job:
    asked = Request("POST", "/models/f", "", (("content-type", "application/json"),))
    return Job(job_id, Kind.REQUEST, endpoint, b'{"inputs":"x"}', 1_700_000_000.0, request=asked, **more)
