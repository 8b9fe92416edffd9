"""The desk at which jobs are handed in, asked for, watched and canceled: what the gateway knows of jobs."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import replace

from firstlight.invoke.types import new_trace_id
from firstlight.jobs import destinations, owners, rules
from firstlight.jobs.attempts import Attempts
from firstlight.jobs.carrying import Carrier
from firstlight.jobs.line import Line
from firstlight.jobs.notes import Notes
from firstlight.jobs.rendering import moment, problem
from firstlight.jobs.shelf import Keeper, Shelf, overlaid
from firstlight.jobs.types import Job, JobEvent, Kind, Page, Status
from firstlight.jobs.webhooks import Messenger
from firstlight.project import Asynchronous
from firstlight.runtime.errors import Conflict, FirstlightError

CANCEL_S = 3.0
"""Seconds within which a job that is canceled has ended: a worker that does not notice is ended after 2."""
_LOOK_S = 1.0
"""Seconds between two looks at a job that runs elsewhere."""


class JobNotFound(FirstlightError):
    """No job has the id that was asked for, or it was deleted since."""

    code = "job-not-found"
    status = 404


class Desk:
    """Takes jobs, has them carried, and says what became of them. Made and used on one event loop.

    Args:
        store: keeps the jobs and hands them out; closed with the desk.
        carriers: what does the work, by kind of job; looked at when a job begins, so that it may be filled later.
        policies: what becomes of the events of an endpoint and qualifier.
        room: by endpoint, how many jobs it may have at once; 0 where it is turned off.
        clock: seconds since the epoch.
        owner: in whose name jobs are run; this process's where none is given.
        leave: ends the work of a request id, and soon the worker that does not notice.
        messenger: tells webhooks while a job runs; closed with the desk.

    Attributes:
        base: what comes before the paths of a job's URLs where a webhook is told of it.
    """

    def __init__(
        self,
        store: Keeper,
        carriers: Mapping[Kind, Carrier],
        policies: Callable[[str, str], Asynchronous],
        room: Callable[[], Mapping[str, int]],
        clock: Callable[[], float] = time.time,
        owner: str | None = None,
        *,
        leave: Callable[[str], None] = lambda _: None,
        messenger: Messenger | None = None,
    ) -> None:
        self.base = ""
        self.shelf = Shelf(store, clock)
        self._policies = policies
        self._messenger = messenger
        owner = owner or owners.this_process()
        self._notes = Notes(self.shelf, leave, messenger, lambda: self.base)
        attempts = Attempts(self.shelf, carriers, policies, owner, self._notes)
        self._line = Line(self.shelf, attempts, room, owner)
        self._closed = False
        self._stopped = False

    async def start(self) -> None:
        """Take back the jobs that an earlier life of the server left, and begin what waits. Once is enough."""
        await self._line.start()

    async def submit(self, job: Job) -> tuple[Job, bool]:
        """Hand in a job; it is kept when this returns.

        Returns:
            the job, and whether it is new: one that was handed in before is as it is by now.

        Raises:
            Conflict: another job has its id.
            JobError: it cannot be kept.
        """
        job = replace(job, due=job.due or job.created)
        if job.kind is Kind.EVENT:
            give_up = rules.deadline(job, self._policies(job.endpoint, job.qualifier))
            trace_id = job.trace_id or new_trace_id(job.created)  # the same one for every attempt
            job = replace(job, give_up=give_up, trace_id=trace_id)
        earlier = await self.shelf.ask(self.shelf.store.put, job)
        if earlier is None:
            self._line.wake()
            return job, True
        if earlier.fingerprint != job.fingerprint or earlier.kind is not job.kind:
            raise Conflict(f"there is another job {job.id!r}", "an id stands for one request; choose another")
        return self._now(earlier), False

    async def get(self, job_id: str) -> Job:
        """A job as it is now.

        Raises:
            JobNotFound: there is none of that id.
        """
        job = await self.shelf.ask(self.shelf.store.get, job_id)
        if job is None or job.kind is Kind.HOOK:
            raise JobNotFound(f"there is no job {job_id[:200]!r}", "jobs are kept for 7 days after their end")
        return self._now(job)

    async def list(
        self,
        endpoint: str | None = None,
        status: Status | None = None,
        limit: int = 50,
        cursor: str | None = None,
    ) -> Page:
        """Jobs, the newest first, without their bodies."""
        found: list[Job] = []
        while True:
            page = await self.shelf.ask(
                self.shelf.store.list,
                endpoint=endpoint,
                status=status,
                limit=limit - len(found),
                cursor=cursor,
            )
            found += [job for job in page.jobs if job.kind is not Kind.HOOK]
            cursor = page.next
            if cursor is None or len(found) >= limit:
                return Page(found, cursor)

    async def cancel(self, job_id: str) -> Job:
        """End a job: at once where it waits, within ``CANCEL_S`` where it runs. One that has ended stays as it is.

        Raises:
            JobNotFound: there is none of that id.
        """
        while True:
            job = await self.get(job_id)
            if job.status.final:
                return job
            running = self._notes.find(job_id)
            if running is not None:
                self._notes.stop(running)
                if job.kind is Kind.REQUEST:
                    self._line.end(job_id)  # its carrier ends the work that it began
                ended = await self.wait(job_id, CANCEL_S)
                if not ended.status.final:
                    self._line.end(job_id)
                    ended = await self.wait(job_id, _LOOK_S)
                return ended
            if self._line.has(job_id):
                await asyncio.sleep(0.01)  # it is about to begin, or has just ended
                continue
            canceled = await self._cancel_waiting(job)
            if canceled is not None:
                return canceled

    async def wait(self, job_id: str, seconds: float) -> Job:
        """A job when it has ended, or as it is after so many seconds.

        Raises:
            JobNotFound: there is none of that id.
        """
        loop = asyncio.get_running_loop()
        last = loop.time() + seconds
        with self.shelf.bell(job_id) as bell:
            while True:
                bell.reset()
                runs_here, left = self._notes.find(job_id) is not None, last - loop.time()
                if left <= 0 or not runs_here:
                    job = await self.get(job_id)
                    if left <= 0 or job.status.final or self._ends_without(job_id):
                        return job
                await bell.rings(left if runs_here else min(left, _LOOK_S))

    async def watch(self, job_id: str, after: int = 0) -> AsyncIterator[JobEvent]:
        """The events of a job, from the one after ``after``: those that were, those that come, ``completed`` last.

        Without ``completed`` where the server ends before the job does. Nothing is held for whoever reads
        slowly: each time it reads on, the store is asked.

        Raises:
            JobNotFound: there is none of that id.
        """
        store, ask = self.shelf.store, self.shelf.ask
        with self.shelf.bell(job_id) as bell:
            while True:
                bell.reset()
                runs_here = self._notes.find(job_id) is not None
                job = None if runs_here else await self.get(job_id)
                for event in await ask(store.events, job_id, after):
                    after = event.number
                    yield event
                if job is not None and job.status.final:
                    last = await self.shelf.last_number(job_id)
                    if after <= last:
                        yield _completed(job, last + 1)
                    return
                if not runs_here and self._ends_without(job_id):
                    return
                await bell.rings(_LOOK_S)

    def log(self, endpoint: str, request_id: str, text: str) -> None:  # noqa: ARG002 - a log sink's signature
        """What a worker wrote, for the events of the job whose request it worked on."""
        self._notes.log(request_id, text)

    async def silence(self, job_id: str) -> None:
        """Wait until what is told of a job while it runs has been told."""
        await self._notes.silence(job_id)

    def stop(self) -> None:
        """Begin nothing more: the server is about to end. Nobody waits any longer for what does not run."""
        self._stopped = True
        self._line.stop()
        self.shelf.notify_all()

    async def quiet(self, seconds: float) -> None:
        """Wait until nothing runs here, for at most so many seconds."""
        await self._line.quiet(seconds)

    async def release(self) -> None:
        """Give what runs back to the queue: the server ends before it did."""
        await self._line.release()

    async def close(self, grace_s: float = 0.0) -> None:
        """Let what runs end for so many seconds, give the rest back to the queue, and let go of the store."""
        if self._closed:
            return
        self._closed = True
        self.stop()
        if grace_s > 0:
            await self._line.quiet(grace_s)
        await self._line.close()
        if self._messenger is not None:
            self._messenger.close()
        await asyncio.to_thread(self.shelf.close)

    async def _cancel_waiting(self, job: Job) -> Job | None:
        """A job that does not run here, canceled; None where it has changed meanwhile."""
        now = self.shelf.clock()
        fields = {"completed": now, "keep_until": now + rules.KEPT_S}
        ended = replace(job, status=Status.CANCELED, completed=now)
        policy = self._policies(job.endpoint, job.qualifier)
        for hook in destinations.hooks(ended, policy, now):
            await self.shelf.ask(self.shelf.store.put, hook)  # it waits until the job has ended
        changed = await self.shelf.ask(self.shelf.store.change, job, status=Status.CANCELED, **fields)
        if changed is not None:
            self.shelf.notify(job.id)
            self._line.wake()
        return changed

    def _ends_without(self, job_id: str) -> bool:
        """Whether the server ends and a job is none of those that may end before it does."""
        return self._stopped and self._notes.find(job_id) is None

    def _now(self, job: Job) -> Job:
        """The job with what is not kept yet."""
        running = self._notes.find(job.id)
        return job if running is None or job.status.final else overlaid(job, running.started, running.partial)


def _completed(job: Job, number: int) -> JobEvent:
    result = job.result
    about = {
        "status": job.status.value,
        "error": problem(job),
        "metrics": dict(result.metrics) if result is not None else {},
        "completed_at": moment(job.completed),
    }
    return JobEvent(number, "completed", about, job.completed or 0.0)
