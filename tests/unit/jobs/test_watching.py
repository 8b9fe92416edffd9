"""The events of a job: kept, told again, told as they come."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from desks import PATIENCE, Scripted, bad, desk, event, good, request
from firstlight.jobs import current
from firstlight.jobs.current import Running
from firstlight.jobs.desk import Desk, JobNotFound
from firstlight.jobs.types import Job, JobEvent, Result


async def collected(desk: Desk, job_id: str, after: int = 0) -> list[JobEvent]:
    async with asyncio.timeout(PATIENCE):
        return [event async for event in desk.watch(job_id, after)]


def told(events: list[JobEvent]) -> list[tuple[int, str, object]]:
    return [(event.number, event.kind, event.data.get("text")) for event in events]


class Speaking:
    """Puts out one word each time it is asked, then answers."""

    def __init__(self) -> None:
        self.words: asyncio.Queue[str | None] = asyncio.Queue()

    async def __call__(self, job: Job, now: Running) -> Result:
        now.began(f"request-{job.attempts}")
        while (word := await self.words.get()) is not None:
            now.output(word)
        return good()


async def test_events_are_told_again_and_from_any_place(tmp_path: Path) -> None:
    speaking = Speaking()
    async with desk(tmp_path / "jobs", Scripted(speaking)) as made:
        for word in ("a ", "b ", None):
            speaking.words.put_nowait(word)
        await made.desk.submit(request())
        await made.ended("r1")
        events = await collected(made.desk, "r1")
        assert told(events) == [
            (1, "start", None),
            (2, "output", "a b "),
            (3, "metric", None),
            (4, "completed", None),
        ]
        assert events[-1].data["status"] == "succeeded"
        assert events[2].data == {"duration_ms": 1.0}
        assert told(await collected(made.desk, "r1", after=2)) == told(events)[2:]
        assert told(await collected(made.desk, "r1", after=3)) == told(events)[3:]
        assert await collected(made.desk, "r1", after=4) == []


async def test_several_watch_one_job_while_it_runs(tmp_path: Path) -> None:
    speaking = Speaking()
    async with desk(tmp_path / "jobs", Scripted(speaking)) as made:
        await made.desk.submit(request())
        watching = made.desk.watch("r1")
        assert (await anext(watching)).kind == "start"
        others = [asyncio.create_task(collected(made.desk, "r1")) for _ in range(3)]
        speaking.words.put_nowait("one ")
        assert (await anext(watching)).data == {"text": "one "}
        speaking.words.put_nowait("two")
        speaking.words.put_nowait(None)
        rest = [event async for event in watching]
        assert told(rest) == [(3, "output", "two"), (4, "metric", None), (5, "completed", None)]
        for other in others:
            texts = [event.data["text"] for event in await other if event.kind == "output"]
            assert "".join(texts) == "one two"
        assert not made.desk.shelf.watched("r1")


async def test_a_watcher_waits_for_a_job_that_has_not_begun(tmp_path: Path) -> None:
    async with desk(tmp_path / "jobs", Scripted(good()), room={}) as made:
        await made.desk.submit(event())
        watching = asyncio.create_task(collected(made.desk, "j1"))
        await asyncio.sleep(0)
        made.room["f"] = 1
        await made.later(0)
        assert [one.kind for one in await watching] == ["start", "metric", "completed"]


async def test_each_attempt_goes_on_counting(tmp_path: Path) -> None:
    async with desk(tmp_path / "jobs", Scripted(bad(), good())) as made:
        await made.desk.submit(event())
        await made.waiting_again("j1", 1)
        await made.later(60)
        await made.ended("j1")
        events = await collected(made.desk, "j1")
        assert [(one.number, one.kind) for one in events] == [
            (1, "start"),
            (2, "start"),
            (3, "metric"),
            (4, "completed"),
        ]
        assert [one.data["attempt"] for one in events[:2]] == [1, 2]


async def test_logs_go_to_the_job_whose_request_they_are_of(tmp_path: Path) -> None:
    speaking = Speaking()
    async with desk(tmp_path / "jobs", Scripted(speaking)) as made:
        await made.desk.submit(request())
        speaking.words.put_nowait("x")
        async with asyncio.timeout(PATIENCE):
            while not (await made.desk.get("r1")).partial:
                await asyncio.sleep(0.001)
        made.desk.log("f", "request-1", "START RequestId: request-1 Version: $LATEST\n")
        made.desk.log("f", "request-1", "loading\nready\n")
        made.desk.log("f", "request-2", "another's\n")
        speaking.words.put_nowait(None)
        await made.ended("r1")
        logs = [one.data["text"] for one in await collected(made.desk, "r1") if one.kind == "log"]
        assert logs == ["loading\nready\n"]
        made.desk.log("f", "request-1", "too late\n")


async def test_a_worker_that_writes_on_and_on_fills_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(current, "OUTPUT_LIMIT", 10)

    async def writes(job: Job, now: Running) -> Result:
        for _ in range(1000):
            now.log("x" * 1000 + "\n")
            now.output("abc")
        return good()

    async with desk(tmp_path / "jobs", Scripted(writes)) as made:
        await made.desk.submit(request())
        await made.ended("r1")
        events = await collected(made.desk, "r1")
        sizes = {
            kind: sum(len(one.data["text"]) for one in events if one.kind == kind)
            for kind in ("log", "output")
        }
        assert sizes == {"log": current.LOG_LIMIT, "output": 10}


async def test_nobody_watches_what_is_not_there(tmp_path: Path) -> None:
    async with desk(tmp_path / "jobs", Scripted(good())) as made:
        with pytest.raises(JobNotFound):
            await collected(made.desk, "nothing")


async def test_nobody_waits_for_what_a_server_that_ends_does_not_run(tmp_path: Path) -> None:
    speaking = Speaking()
    async with desk(tmp_path / "jobs", Scripted(speaking), room={"f": 1}) as made:
        await made.desk.submit(request("r1"))
        await made.desk.submit(request("r2"))
        waiting = [asyncio.create_task(made.desk.wait(name, 900)) for name in ("r1", "r2")]
        watching = [asyncio.create_task(collected(made.desk, name)) for name in ("r1", "r2")]
        await made.until("r1", lambda _: made.desk._notes.find("r1") is not None)
        made.desk.stop()
        assert (await waiting[1]).status.value == "starting"
        assert await watching[1] == []
        speaking.words.put_nowait(None)
        assert (await waiting[0]).status.value == "succeeded"
        assert [one.kind for one in await watching[0]] == ["start", "metric", "completed"]
