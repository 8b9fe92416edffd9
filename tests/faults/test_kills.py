"""A long queue of Event invocations: its server is killed again and again, and its events are many megabytes.

None is lost, what ran twice is said, and what waits takes no memory.

FIRSTLIGHT_KILLS_JOBS and FIRSTLIGHT_KILLS set how many jobs and how many kills; 10000 and 20 are the figures of
docs/asynchronous.md.
"""

from __future__ import annotations

import asyncio
import http.client
import json
import os
import random
import signal
import threading
import time
from collections import Counter
from pathlib import Path
from urllib.parse import urlsplit

from faults.figures import Figures
from faults.watching import watched
from firstlight.jobs.sqlite import SqliteJobs
from firstlight.jobs.types import Condition, Job, Kind, Status
from serving import Server

JOBS = int(os.environ.get("FIRSTLIGHT_KILLS_JOBS", "1500"))
KILLS = int(os.environ.get("FIRSTLIGHT_KILLS", "6"))
PATIENCE = 600.0

PROJECT = """
name = "kills"
[endpoints.count]
script = "inference/count.py"
concurrency = 4
asynchronous = { on_success = "file:told.jsonl" }
"""
COUNT = '''
"""Notes that it ran, in a file that survives everything."""
import os

FILE = os.open(__file__ + ".ran", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)


def handler(event, context):
    os.write(FILE, f"{context.aws_request_id} {event['n']}\\n".encode())
    return event["n"]
'''
BULKY = """
name = "bulky"
[endpoints.bulky]
script = "inference/bulky.py"
concurrency = 1
[endpoints.canary]
script = "inference/canary.py"
"""
MEGABYTES = 300
INVOKE = "/2015-03-31/functions/count/invocations"


class Killed:
    """A server that is killed and started again on the same folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.server = Server(folder)
        self.changed = threading.Condition()

    def kill(self) -> None:
        os.kill(self.server.process.pid, signal.SIGKILL)
        self.server.__exit__()
        again = Server(self.folder)
        with self.changed:
            self.server = again
            self.changed.notify_all()

    def after(self, server: Server) -> Server:
        """The server that came after this one."""
        with self.changed:
            assert self.changed.wait_for(lambda: self.server is not server, PATIENCE)
            return self.server


def submit(killed: Killed, count: int, taken: dict[str, int]) -> None:
    """Send invocations one after the other; one without an answer is sent again to the next server."""
    number = 0
    while number < count:
        server = killed.server
        connection = http.client.HTTPConnection(urlsplit(server.url).netloc, timeout=PATIENCE)
        try:
            while number < count:
                body = json.dumps({"n": number}).encode()
                call = {"X-Amz-Invocation-Type": "Event", "amz-sdk-invocation-id": f"call-{number}"}
                connection.request("POST", INVOKE, body, call)
                answer = connection.getresponse()
                answer.read()
                assert answer.status == 202
                taken[answer.headers["x-amzn-RequestId"]] = number
                number += 1
        except (OSError, http.client.HTTPException):
            killed.after(server)
        finally:
            connection.close()


def drained(store: SqliteJobs) -> None:
    last = time.monotonic() + PATIENCE
    quiet = threading.Event()
    while store.depth() or store.owners():
        assert time.monotonic() < last, store.depth()
        quiet.wait(0.1)


def everything(store: SqliteJobs) -> list[Job]:
    found, cursor = [], None
    while True:
        page = store.list(limit=500, cursor=cursor)
        found += [job for job in page.jobs if job.kind is Kind.EVENT]
        cursor = page.next
        if cursor is None:
            return found


def test_a_killed_server_loses_nothing(tmp_path: Path, figures: Figures) -> None:
    (tmp_path / "inference").mkdir()
    (tmp_path / "firstlight.toml").write_text(PROJECT)
    (tmp_path / "inference" / "count.py").write_text(COUNT)
    ran_file = tmp_path / "inference" / "count.py.ran"
    chance = random.Random(20)
    killed = Killed(tmp_path)
    store = SqliteJobs(tmp_path / "data" / "jobs.sqlite")
    began = time.monotonic()
    try:
        taken: dict[str, int] = {}
        submitting = threading.Thread(target=submit, args=(killed, JOBS, taken))
        submitting.start()
        pause = threading.Event()
        for _ in range(KILLS):
            pause.wait(chance.uniform(0.05, 1.5))
            killed.kill()
        submitting.join(PATIENCE)
        assert not submitting.is_alive()
        drained(store)
    finally:
        killed.server.__exit__()
        jobs = everything(store)
        store.close()

    took = time.monotonic() - began
    ran = Counter(line.split()[0] for line in ran_file.read_text().splitlines())
    numbers = Counter(line.split()[1] for line in ran_file.read_text().splitlines())
    by_id = {job.id: job for job in jobs}
    assert len(by_id) == len(jobs)
    lost = [job_id for job_id in taken if job_id not in by_id]
    assert lost == []
    assert len(jobs) == JOBS  # what was sent again because the kill cut off its answer is the same event
    assert set(taken.values()) == set(range(JOBS))
    assert {int(number) for number in numbers} == set(range(JOBS))
    records = [json.loads(line) for line in (tmp_path / "told.jsonl").read_text().splitlines()]
    told = Counter(record["requestContext"]["requestId"] for record in records)
    assert told.keys() == by_id.keys()
    for job in jobs:
        assert (job.status, job.condition) == (Status.SUCCEEDED, Condition.SUCCESS)
        assert job.attempts == 1 + job.interrupted
        assert 1 <= ran[job.id] <= job.attempts
    more = sum(1 for job in jobs if ran[job.id] > 1)
    interrupted = sum(1 for job in jobs if job.interrupted)
    figures(
        f"{KILLS} kills while {JOBS} events came and ran",
        sent=JOBS,
        answered=len(taken),
        lost=len(lost),
        seconds=round(took, 1),
        interrupted=interrupted,
        ran_again=more,
        told_again=sum(told.values()) - JOBS,
    )
    assert more <= interrupted


async def test_megabytes_that_wait_take_no_memory_and_block_nobody(tmp_path: Path, figures: Figures) -> None:
    (tmp_path / "inference").mkdir()
    (tmp_path / "firstlight.toml").write_text(BULKY)
    work = "import time\n\n\ndef handler(event, context):\n    time.sleep(0.01)\n    return len(event.get('x', ''))\n"
    (tmp_path / "inference" / "bulky.py").write_text(work)
    (tmp_path / "inference" / "canary.py").write_text("def handler(event, context):\n    return event\n")
    body = json.dumps({"x": "y" * 1_000_000}).encode()
    path = "/2015-03-31/functions/bulky/invocations"
    with Server(tmp_path) as server:
        store = SqliteJobs(tmp_path / "data" / "jobs.sqlite")
        async with watched(server) as seen:
            for _ in range(MEGABYTES):
                event = {"X-Amz-Invocation-Type": "Event"}
                answer = await asyncio.to_thread(server.ask, "POST", path, body, event)
                assert answer[0] == 202
            waiting = store.depth()["bulky"]
            answer = await asyncio.to_thread(server.ask, "POST", path, b"{}")
            assert answer[2] == b"0"
            # It took its turn before all that came earlier.
            assert store.depth()["bulky"] > waiting / 2
            await asyncio.to_thread(drained, store)
        assert all(job.status is Status.SUCCEEDED for job in everything(store))
        store.close()
    figures(f"{MEGABYTES} events of 1 MB waited", seen, sent=MEGABYTES, answered=MEGABYTES, waiting=waiting)
    assert seen.peak_mb - seen.memory[0] < MEGABYTES / 3


def test_another_server_of_the_folder_takes_over(tmp_path: Path, figures: Figures) -> None:
    (tmp_path / "inference").mkdir()
    (tmp_path / "firstlight.toml").write_text(PROJECT)
    work = COUNT.replace("    os.write", "    import time\n\n    time.sleep(0.005)\n    os.write")
    (tmp_path / "inference" / "count.py").write_text(work)
    store = SqliteJobs(tmp_path / "data" / "jobs.sqlite")
    with Server(tmp_path) as second:
        first = Server(tmp_path)
        for number in range(400):
            server = (first, second)[number % 2]
            answer = server.ask("POST", INVOKE, {"n": number}, {"X-Amz-Invocation-Type": "Event"})
            assert answer[0] == 202
        os.kill(first.process.pid, signal.SIGKILL)
        first.__exit__()
        drained(store)
    jobs = everything(store)
    store.close()
    ran = Counter(
        line.split()[0] for line in (tmp_path / "inference" / "count.py.ran").read_text().splitlines()
    )
    assert len(jobs) == 400
    for job in jobs:
        assert job.condition is Condition.SUCCESS
        assert 1 <= ran[job.id] <= job.attempts == 1 + job.interrupted
    again = sum(1 for job in jobs if job.interrupted)
    figures("one of two servers of a folder killed", sent=400, answered=400, interrupted=again)
