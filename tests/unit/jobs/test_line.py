"""What a server that ended left behind, and what one that ends leaves."""

from __future__ import annotations

import asyncio
import logging
from pathlib import Path

import pytest

from desks import Made, Scripted, bad, desk, event, good, request
from firstlight.jobs import line
from firstlight.jobs.current import Running
from firstlight.jobs.sqlite import SqliteJobs
from firstlight.jobs.types import Job, Result, Status
from firstlight.project import Asynchronous
from firstlight.runtime.errors import JobError


async def never(job: Job, now: Running) -> Result:
    now.began(job.id)
    now.output("some")
    await asyncio.Event().wait()
    return good()


async def begun(made: Made, job_id: str) -> None:
    await made.until(job_id, lambda job: job.status is Status.PROCESSING)
    while made.desk._notes.find(job_id) is None:
        await asyncio.sleep(0.001)


def left_by(path: Path, owner: str, now: float, *jobs: Job) -> None:
    """A store in which a server claimed jobs and then was killed."""
    store = SqliteJobs(path)
    for job in jobs:
        store.put(job)
    store.claim(owner, now, line.LEASE_S, {"f": 100})
    store.close()


async def test_jobs_of_a_process_that_is_gone_are_taken_back_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    left_by(tmp_path / "jobs", "gone", 1_700_000_000.0, event("a"), event("b"))
    monkeypatch.setattr("firstlight.jobs.owners.gone", lambda names: [n for n in names if n == "gone"])
    async with desk(tmp_path / "jobs", Scripted(good())) as made:
        for name in ("a", "b"):
            job = await made.ended(name)
            assert (job.status, job.attempts, job.interrupted) == (Status.SUCCEEDED, 2, 1)


async def test_jobs_of_another_machine_are_taken_back_when_their_lease_ends(tmp_path: Path) -> None:
    left_by(tmp_path / "jobs", "elsewhere/1/1/a", 1_700_000_000.0, event("a"))
    async with desk(tmp_path / "jobs", Scripted(good())) as made:
        assert (await made.desk.get("a")).status is Status.PROCESSING
        made.clock.now += line.LEASE_S
        await made.desk._line._look_after()
        assert (await made.ended("a")).interrupted == 1


async def test_a_request_that_killed_three_servers_is_not_begun_again(tmp_path: Path) -> None:
    store = SqliteJobs(tmp_path / "jobs")
    store.put(request())
    for life in range(3):
        store.claim(f"life{life}", 1_700_000_000.0, 1, {"f": 1})
        store.recover(1_700_000_002.0)
    store.close()
    carrier = Scripted(good())
    async with desk(tmp_path / "jobs", carrier) as made:
        job = await made.ended("r1")
        assert (job.status, job.interrupted) == (Status.FAILED, 3)
        assert "the server ended 3 times" in job.error
        assert carrier.seen == []


async def test_what_runs_when_the_server_ends_goes_back(tmp_path: Path) -> None:
    path = tmp_path / "jobs"
    async with desk(path, Scripted(never)) as made:
        for number in range(4):
            await made.desk.submit(event(f"j{number}"))
        await begun(made, "j0")
        await begun(made, "j1")
    store = SqliteJobs(path)
    kept = [store.get(f"j{number}") for number in range(4)]
    store.close()
    assert [(job.status, job.interrupted, job.attempts, job.owner) for job in kept if job] == [
        (Status.STARTING, 1, 1, ""),
        (Status.STARTING, 1, 1, ""),
        (Status.STARTING, 0, 0, ""),
        (Status.STARTING, 0, 0, ""),
    ]
    async with desk(path, Scripted(good())) as made:
        assert (await made.ended("j0")).attempts == 2


async def test_what_runs_may_end_within_the_grace(tmp_path: Path) -> None:
    let = asyncio.Event()

    async def soon(job: Job, now: Running) -> Result:
        await let.wait()
        return good()

    path = tmp_path / "jobs"
    async with desk(path, Scripted(soon)) as made:
        await made.desk.submit(event())
        await made.desk.submit(event("j2"))
        await made.desk.submit(event("j3"))
        await begun(made, "j1")
        made.desk.stop()
        closing = asyncio.create_task(made.desk.close(60))
        await asyncio.sleep(0)
        let.set()
        await closing
    store = SqliteJobs(path)
    found = [store.get(name) for name in ("j1", "j3")]
    store.close()
    assert [job.status for job in found if job] == [Status.SUCCEEDED, Status.STARTING]


async def test_leases_are_renewed_and_what_was_lost_is_let_go(tmp_path: Path) -> None:
    async with desk(tmp_path / "jobs", Scripted(never)) as made:
        await made.desk.submit(event())
        await begun(made, "j1")
        made.clock.now += line.LEASE_S - 1
        await made.desk._line._look_after()
        job = made.store.get("j1")
        assert job is not None
        assert job.lease == made.clock.now + line.LEASE_S
        # Another program cancels it.
        assert made.store.change(job, status=Status.CANCELED) is not None
        await made.desk._line._look_after()
        async with asyncio.timeout(20):
            while made.desk._line.has("j1"):
                await asyncio.sleep(0.001)
        lost = made.store.get("j1")
        assert lost is not None
        assert lost.status is Status.CANCELED


async def test_old_jobs_are_deleted_in_quiet_moments(tmp_path: Path) -> None:
    async with desk(tmp_path / "jobs", Scripted(good())) as made:
        await made.desk.submit(event())
        await made.ended("j1")
        made.clock.now += 7 * 86400 + 1
        while made.desk._line.has("j1"):
            await asyncio.sleep(0.001)
        await made.desk._line._look_after()
        assert made.store.get("j1") is None


async def test_a_store_in_trouble_is_said_once_and_asked_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(line, "_TROUBLE_S", 0.001)
    troubles = iter([JobError("full")] * 3)

    class Troubled(SqliteJobs):
        def claim(self, *args: object) -> list[Job]:  # type: ignore[override]
            for trouble in troubles:
                raise trouble
            return super().claim(*args)  # type: ignore[arg-type,return-value]

    monkeypatch.setattr("desks.SqliteJobs", Troubled)
    async with desk(tmp_path / "jobs", Scripted(good())) as made:
        await made.desk.submit(event())
        assert (await made.ended("j1")).status is Status.SUCCEEDED
    assert [record.message for record in caplog.records if record.levelno == logging.WARNING] == [
        "jobs wait: full"
    ]


async def test_what_cannot_be_written_is_written_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("firstlight.jobs.attempts._AGAIN_S", 0.001)
    async with desk(tmp_path / "jobs", Scripted(bad()), Asynchronous(retries=0)) as made:
        change, troubles = made.store.change, iter([JobError("full")] * 3)

        def troubled(job: Job, **fields: object) -> Job | None:
            for trouble in troubles:
                raise trouble
            return change(job, **fields)

        monkeypatch.setattr(made.store, "change", troubled)
        await made.desk.submit(event())
        assert (await made.ended("j1")).status is Status.FAILED
    assert "could not be kept: full" in caplog.text
