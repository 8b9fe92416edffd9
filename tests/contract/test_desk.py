"""The desk over every store: what it needs of the ports, and what a server that was killed leaves in them."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from desks import Scripted, bad, desk, event, good, request
from firstlight.jobs.current import Running
from firstlight.jobs.hooks import HookCarrier
from firstlight.jobs.types import Condition, Job, Kind, Result, Status
from firstlight.jobs.webhooks import Messenger
from firstlight.project import Asynchronous
from firstlight.runtime.errors import Conflict


async def never(job: Job, now: Running) -> Result:
    await asyncio.Event().wait()
    return good()


async def test_events_are_tried_again_and_told(place, tmp_path: Path):
    policy = Asynchronous(retries=1, on_failure="file:failed")
    async with desk(place.open(), Scripted(bad()), policy) as made:
        messenger = Messenger(tmp_path, made.clock)
        made.carriers[Kind.HOOK] = HookCarrier(made.desk, messenger, lambda: tmp_path)
        await made.desk.submit(event())
        await made.waiting_again("j1", 1)
        await made.later(60)
        assert (await made.ended("j1")).condition is Condition.RETRIES_EXHAUSTED
        assert (await made.ended("j1.on_failure")).status is Status.SUCCEEDED
        messenger.close()
    assert '"approximateInvokeCount":2' in (tmp_path / "failed").read_text()


async def test_events_of_a_job_are_told_again(place):
    async def speaks(job: Job, now: Running) -> Result:
        now.output("all of ")
        now.log("a line\n")
        now.output("it")
        return good()

    async with desk(place.open(), Scripted(speaks)) as made:
        await made.desk.submit(request(fingerprint="a"))
        await made.ended("r1")
        told = [one async for one in made.desk.watch("r1", after=1)]
        assert [(one.number, one.kind, one.data.get("text")) for one in told] == [
            (2, "output", "all of "),
            (3, "log", "a line\n"),
            (4, "output", "it"),
            (5, "metric", None),
            (6, "completed", None),
        ]
        with pytest.raises(Conflict):
            await made.desk.submit(request(fingerprint="b"))
        assert [job.id for job in (await made.desk.list()).jobs] == ["r1"]


async def test_jobs_of_a_server_that_was_killed_run_again(place, monkeypatch: pytest.MonkeyPatch):
    async with desk(place.open(), Scripted(never), owner="first") as made:
        for number in range(5):
            await made.desk.submit(event(f"j{number}"))
        await made.until("j1", lambda job: job.status is Status.PROCESSING)
        await made.kill()
    monkeypatch.setattr("firstlight.jobs.owners.gone", list)
    async with desk(place.open(), Scripted(good()), owner="second") as made:
        ended = [await made.ended(f"j{number}") for number in range(5)]
    assert [job.interrupted for job in ended] == [1, 1, 0, 0, 0]
    assert [job.attempts for job in ended] == [2, 2, 1, 1, 1]


async def test_a_running_and_a_waiting_job_are_canceled(place):
    async with desk(place.open(), Scripted(never), room={"f": 1}) as made:
        await made.desk.submit(request("r1"))
        await made.desk.submit(request("r2"))
        await made.until("r1", lambda _: made.desk._notes.find("r1") is not None)
        assert (await made.desk.cancel("r2")).status is Status.CANCELED
        assert (await made.desk.cancel("r1")).status is Status.CANCELED
