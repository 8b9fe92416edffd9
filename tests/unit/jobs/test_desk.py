"""Jobs at the desk: what is asked of it, and what the function's answers make of them."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path

import pytest

from desks import PATIENCE, Scripted, bad, desk, event, good, request
from firstlight.invoke.types import Throttled
from firstlight.jobs.current import Running, running
from firstlight.jobs.desk import JobNotFound
from firstlight.jobs.lineage import RecursiveInvocation
from firstlight.jobs.types import Condition, Job, Kind, Result, Status
from firstlight.jobs.unavailable import Unavailable
from firstlight.project import Asynchronous
from firstlight.runtime.errors import Conflict, EndpointNotFound, JobError, WorkerFailed


class Gate:
    """A carrier that begins, and goes on when it is let."""

    def __init__(self, result: Result | None = None) -> None:
        self.began = asyncio.Event()
        self.open = asyncio.Event()
        self.result = result or good()
        self.most = 0
        self._now = 0

    async def __call__(self, job: Job, now: Running) -> Result:
        self._now += 1
        self.most = max(self.most, self._now)
        now.began(job.id)
        self.began.set()
        try:
            await self.open.wait()
        finally:
            self._now -= 1
        return self.result


async def test_an_event_is_carried_with_its_own_id(tmp_path: Path) -> None:
    carrier = Scripted(good())
    async with desk(tmp_path / "jobs", carrier) as made:
        taken, new = await made.desk.submit(event())
        assert new
        assert taken.give_up == taken.created + 21600
        job = await made.desk.wait("j1", PATIENCE)
        assert (job.status, job.condition, job.attempts) == (Status.SUCCEEDED, Condition.SUCCESS, 1)
        assert job.result == good()
        assert job.keep_until == made.clock.now + 7 * 86400
        assert carrier.seen[0].payload == b'{"n":1}'


async def test_errors_are_tried_again_and_then_given_up(tmp_path: Path) -> None:
    async with desk(tmp_path / "jobs", Scripted(bad("one"), bad("two"), bad("three"))) as made:
        await made.desk.submit(event())
        first = await made.waiting_again("j1", 1)
        assert first.due == first.created + 60
        await made.later(60)
        second = await made.waiting_again("j1", 2)
        assert second.due == second.created + 180
        await made.later(120)
        job = await made.ended("j1")
        assert (job.condition, job.error, job.failures) == (Condition.RETRIES_EXHAUSTED, "three", 3)


async def test_throttles_and_the_servers_own_failures_are_not_retries(tmp_path: Path) -> None:
    full = Throttled("full", reason="x")
    carrier = Scripted(full, WorkerFailed("no fork"), RuntimeError("ours"), bad(), good())
    async with desk(tmp_path / "jobs", carrier, Asynchronous(retries=1)) as made:
        await made.desk.submit(event())
        for attempt, seconds in enumerate((1, 2, 4), 1):
            job = await made.waiting_again("j1", attempt)
            assert (job.due, job.held_back, job.failures) == (made.clock.now + seconds, attempt, 0)
            await made.later(seconds)
        job = await made.waiting_again("j1", 4)
        assert (job.held_back, job.failures) == (0, 1)
        await made.later(60)
        assert (await made.ended("j1")).condition is Condition.SUCCESS


async def test_a_function_that_is_gone_counts_as_a_failure(tmp_path: Path) -> None:
    carrier = Scripted(EndpointNotFound("there is no endpoint 'gone'"))
    async with desk(tmp_path / "jobs", carrier, Asynchronous(retries=0), room={}) as made:
        made.store.put(event(endpoint="gone"))
        await made.desk._line._look_after()
        job = await made.ended("j1")
        assert job.condition is Condition.RETRIES_EXHAUSTED
        assert job.result is not None
        assert job.result.status == 404


async def test_a_loop_is_stopped(tmp_path: Path) -> None:
    async with desk(tmp_path / "jobs", Scripted(RecursiveInvocation("stopped"))) as made:
        await made.desk.submit(event())
        assert (await made.ended("j1")).condition is Condition.RECURSIVE


async def test_an_endpoint_that_is_off_is_not_tried(tmp_path: Path) -> None:
    carrier = Scripted(good())
    async with desk(tmp_path / "jobs", carrier, room={"f": 0}) as made:
        await made.desk.submit(event())
        job = await made.ended("j1")
        assert (job.condition, job.failures) == (Condition.ZERO_CONCURRENCY, 0)
        assert carrier.seen == []


async def test_what_was_never_begun_in_time_is_too_old(tmp_path: Path) -> None:
    carrier = Scripted(good())
    async with desk(tmp_path / "jobs", carrier, Asynchronous(max_age=60)) as made:
        made.clock.now += 60
        await made.desk.submit(event())
        assert (await made.ended("j1")).condition is Condition.AGE_EXCEEDED
        assert carrier.seen == []


async def test_first_come_first_served_and_no_more_at_once_than_there_is_room(tmp_path: Path) -> None:
    gate = Gate()
    carrier = Scripted(gate)
    async with desk(tmp_path / "jobs", carrier, room={"f": 3, "g": 1}) as made:
        for number in range(10):
            await made.desk.submit(event(f"f{number}"))
        await made.desk.submit(event("g0", endpoint="g"))
        while len(carrier.seen) < 4:
            await asyncio.sleep(0.001)
        gate.open.set()
        for number in range(10):
            await made.ended(f"f{number}")
        assert gate.most == 4
        assert [job.id for job in carrier.seen if job.endpoint == "f"] == [f"f{n}" for n in range(10)]


async def test_the_same_job_is_taken_once(tmp_path: Path) -> None:
    carrier = Scripted(good())
    async with desk(tmp_path / "jobs", carrier) as made:
        first = replace(request(), fingerprint="a")
        assert (await made.desk.submit(first))[1]
        await made.ended("r1")
        again, new = await made.desk.submit(first)
        assert (again.status, new) == (Status.SUCCEEDED, False)
        with pytest.raises(Conflict):
            await made.desk.submit(replace(first, fingerprint="b"))
        assert len(carrier.seen) == 1


async def test_an_error_answer_to_a_request_is_its_result(tmp_path: Path) -> None:
    carrier = Scripted(Result(503, b'{"error":"loading"}'))
    async with desk(tmp_path / "jobs", carrier) as made:
        await made.desk.submit(request())
        job = await made.ended("r1")
        assert (job.status, job.error, job.attempts) == (Status.FAILED, "loading", 1)
        assert job.condition is Condition.NONE


async def test_what_is_not_there_is_not_found(tmp_path: Path) -> None:
    async with desk(tmp_path / "jobs", Scripted(good())) as made:
        made.store.put(Job("h", Kind.HOOK, "@other", b"{}", made.clock.now, due=made.clock.now + 1e6))
        for ask in (made.desk.get, made.desk.cancel):
            with pytest.raises(JobNotFound):
                await ask("nothing")
            with pytest.raises(JobNotFound):
                await ask("h")
        with pytest.raises(JobNotFound):
            await made.desk.wait("nothing", 1)


async def test_the_list_has_pages_and_no_hooks(tmp_path: Path) -> None:
    async with desk(tmp_path / "jobs", Scripted(good()), room={}) as made:
        for number in range(5):
            await made.desk.submit(event(f"j{number}"))
            made.store.put(Job(f"h{number}", Kind.HOOK, "@other", b"{}", 0, due=1e12))
        page = await made.desk.list(limit=3)
        assert [job.id for job in page.jobs] == ["j4", "j3", "j2"]
        rest = await made.desk.list(limit=3, cursor=page.next)
        assert [job.id for job in rest.jobs] == ["j1", "j0"]
        assert rest.next is None


async def test_a_waiting_job_is_canceled_at_once(tmp_path: Path) -> None:
    async with desk(tmp_path / "jobs", Scripted(good()), room={}) as made:
        await made.desk.submit(event())
        job = await made.desk.cancel("j1")
        assert (job.status, job.attempts) == (Status.CANCELED, 0)
        assert job.completed == made.clock.now
        assert (await made.desk.cancel("j1")).status is Status.CANCELED
        assert made.left == []


async def test_the_work_of_a_running_job_ends_when_it_is_canceled(tmp_path: Path) -> None:
    gate = Gate()
    async with desk(tmp_path / "jobs", Scripted(gate)) as made:
        await made.desk.submit(event())
        await gate.began.wait()
        canceling = asyncio.create_task(made.desk.cancel("j1"))
        while not made.left:
            await asyncio.sleep(0.001)
        assert made.left == ["j1"]
        gate.open.set()  # the pool's reply comes, whatever it is
        assert (await canceling).status is Status.CANCELED
        assert (await made.desk.cancel("j1")).status is Status.CANCELED


async def test_the_carrier_of_a_running_request_is_cancelled(tmp_path: Path) -> None:
    gate = Gate()

    async def telling(job: Job, now: Running) -> Result:
        now.output("half ")
        return await gate(job, now)

    async with desk(tmp_path / "jobs", Scripted(telling)) as made:
        await made.desk.submit(request())
        await gate.began.wait()
        job = await made.desk.cancel("r1")
        assert (job.status, job.partial) == (Status.CANCELED, "half ")
        assert made.left == ["r1"]


async def test_a_running_job_is_shown_as_it_is_now(tmp_path: Path) -> None:
    gate = Gate()

    async def telling(job: Job, now: Running) -> Result:
        found = running.get()
        assert found is now
        now.output("so ")
        now.output("far")
        return await gate(job, now)

    async with desk(tmp_path / "jobs", Scripted(telling)) as made:
        await made.desk.submit(request())
        await gate.began.wait()
        job = await made.desk.wait("r1", 0)
        assert (job.status, job.partial, job.started) == (Status.PROCESSING, "so far", made.clock.now)
        gate.open.set()
        done = await made.desk.wait("r1", PATIENCE)
        assert (done.status, done.partial) == (Status.SUCCEEDED, "")
    assert running.get() is None


async def test_without_a_store_jobs_are_refused(tmp_path: Path) -> None:
    async with desk(tmp_path / "jobs", Scripted(good())) as made:
        made.desk.shelf.store.close()
        made.desk.shelf.store = Unavailable(JobError("the disk is gone", "find it"))
        for asked in (made.desk.submit(event()), made.desk.get("j1"), made.desk.list()):
            with pytest.raises(JobError, match="the disk is gone"):
                await asked
