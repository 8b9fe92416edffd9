"""The desk against a model of Lambda's rules: any outcomes in any order, and servers killed between them."""

from __future__ import annotations

import asyncio
import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from desks import PATIENCE, Clock, bad, desk, event, good
from firstlight.invoke.types import Throttled
from firstlight.jobs.current import Running
from firstlight.jobs.rules import invoke_count
from firstlight.jobs.sqlite import SqliteJobs
from firstlight.jobs.types import Condition, Job, Result, Status
from firstlight.project import Asynchronous
from firstlight.runtime.errors import WorkerFailed
from trying import examples

OUTCOMES = ("good", "bad", "throttled", "broken", "killed")


class Play:
    """Does what a script says, one entry an attempt; at its end every attempt is good."""

    def __init__(self, script: list[str]) -> None:
        self.script = script
        self.attempts = 0
        self.killed = asyncio.Event()

    async def __call__(self, job: Job, running: Running) -> Result:
        at, self.attempts = self.attempts, self.attempts + 1
        match self.script[at] if at < len(self.script) else "good":
            case "bad":
                return bad()
            case "throttled":
                raise Throttled("full", reason="x")
            case "broken":
                raise WorkerFailed("no fork")
            case "killed":
                self.killed.set()
                await asyncio.Event().wait()
        return good()


def expected(script: list[str], policy: Asynchronous) -> tuple[Condition, int, int, int, float]:
    """Condition, approximateInvokeCount, attempts, interruptions and age, by AWS's words alone."""
    age, errors, refusals, kills = 0.0, 0, 0, 0
    for attempt, outcome in enumerate([*script, "good"], 1):
        if outcome == "good":
            return Condition.SUCCESS, errors + 1, attempt, kills, age
        if outcome == "killed":
            kills += 1
            continue
        if outcome == "bad":
            errors, refusals = errors + 1, 0
            if errors > policy.retries:
                return Condition.RETRIES_EXHAUSTED, errors, attempt, kills, age
            wait = policy.backoff * errors
        else:
            wait = min(2**refusals, 300)
            refusals += 1
        if age + wait >= policy.max_age:
            return Condition.AGE_EXCEEDED, errors, attempt, kills, age
        age += wait
    raise AssertionError


async def played(script: list[str], policy: Asynchronous, file: Path) -> Job:
    """The event when it has ended."""
    play, clock, life = Play(script), Clock(), 0
    store = SqliteJobs(file)
    store.put(event(due=clock.now))
    while True:
        life += 1
        async with desk(SqliteJobs(file), play, policy, owner=f"life {life}", clock=clock) as made:
            async with asyncio.timeout(PATIENCE):
                while not play.killed.is_set():
                    job = store.get("j1")
                    assert job is not None
                    if job.status.final:
                        store.close()
                        return job
                    if job.status is Status.STARTING and job.due > clock.now:
                        await made.later(job.due - clock.now)
                    await asyncio.sleep(0.0005)
            await made.kill()
            made.store.close()
        play.killed.clear()


@settings(max_examples=examples(40), deadline=None)
@given(
    st.lists(st.sampled_from(OUTCOMES), max_size=8),
    st.builds(
        Asynchronous,
        retries=st.integers(0, 2),
        max_age=st.sampled_from([60.0, 100.0, 21600.0]),
        backoff=st.sampled_from([0.0, 1.0, 29.5, 60.0]),
    ),
)
def test_an_event_ends_as_lambda_says(script: list[str], policy: Asynchronous) -> None:
    with pytest.MonkeyPatch.context() as patch, tempfile.TemporaryDirectory() as folder:
        patch.setattr("firstlight.jobs.owners.gone", list)  # whoever had it was killed
        job = asyncio.run(played(script, policy, Path(folder) / "jobs"))
    age = (job.completed or 0) - job.created
    found = (job.condition, invoke_count(job), job.attempts, job.interrupted, age)
    assert found == expected(script, policy)
