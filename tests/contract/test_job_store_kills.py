"""Stores of jobs whose process is killed (SIGKILL) while it writes: what a method returned from is there afterwards."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from firstlight.jobs.types import Job, Kind, Status
from job_stores import DynamoPlace, SqlitePlace

START = """
import sys
from job_stores import reopened
from firstlight.jobs.types import Job, JobEvent, Kind, Result, Status
name, *place = sys.argv[1:]
store = reopened(place)
print("ready", flush=True)
sys.stdin.readline()
"""
PUT = """
for number in range(100_000):
    payload = f"{name}-{number}".encode() * (1, 50_000)[number % 5 == 1]
    store.put(Job(f"{name}-{number}", Kind.EVENT, "mood", payload, float(number)))
    print(number, flush=True)
"""
WORK = """
while held := store.claim(name, 10.0, 30.0, {"mood": 2}):
    for job in held:
        print("claimed", job.id, flush=True)
        store.append(job.id, [JobEvent(1, "start", {"by": name}, 10.0)])
        store.change(job, status=Status.SUCCEEDED, result=Result(body=job.id.encode() * 900))
        print("done", job.id, flush=True)
"""


@contextmanager
def program(name: str, code: str, place: SqlitePlace | DynamoPlace) -> Iterator[subprocess.Popen[str]]:
    """Another process with the store open; it waits for a line."""
    command = [sys.executable, "-c", START + code, name, *place.arguments]
    tests = Path(__file__).parents[1]
    started = subprocess.Popen(command, cwd=tests, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    with started:
        assert started.stdout.readline() == "ready\n"
        try:
            yield started
        finally:
            started.kill()


def go(started: subprocess.Popen[str]) -> None:
    started.stdin.write("\n")
    started.stdin.flush()


def lines(started: subprocess.Popen[str]) -> list[str]:
    return [line.strip() for line in started.stdout if line.endswith("\n")]


@pytest.mark.parametrize("after", [5, 30])
def test_every_job_that_was_put_is_there(place, after):
    with program("w", PUT, place) as writer:
        go(writer)
        for _ in range(after):
            writer.stdout.readline()
        writer.kill()
        returned = after + len(lines(writer))
    store = place.open()
    for number in range(returned):
        kept = store.get(f"w-{number}")
        assert kept.payload == f"w-{number}".encode() * (1, 50_000)[number % 5 == 1]
    assert returned <= sum(store.depth().values()) <= returned + 1  # one more may be kept and not answered
    held = store.claim("me", 1e6, 30.0, {"mood": returned + 1})
    assert [job.id for job in held] == [f"w-{number}" for number in range(len(held))]


def test_nothing_is_left_of_a_body_that_was_never_named(dynamo_place):
    store = dynamo_place.open()
    with program("w", PUT, dynamo_place) as writer:
        go(writer)
        writer.stdout.readline()
        writer.kill()
        lines(writer)
    store.sweep(time.time() + 7200)
    items = dynamo_place.client.scan(TableName=dynamo_place.table, ProjectionExpression="pk, sk")["Items"]
    kept = {item["pk"]["S"] for item in items if item["sk"]["S"] == "META"}
    assert kept == {item["pk"]["S"] for item in items}
    assert not [item for item in items if item["sk"]["S"].startswith("BODY#")]


def test_what_a_killed_worker_had_is_done_by_others_and_nothing_twice(tmp_path):
    place = SqlitePlace(tmp_path)
    store = place.open()
    jobs = [f"j{number}" for number in range(300)]
    for job_id in jobs:
        store.put(Job(job_id, Kind.EVENT, "mood", b"{}", 1.0))
    with program("a", WORK, place) as first, program("b", WORK, place) as second:
        go(first)
        go(second)
        for _ in range(50):
            first.stdout.readline()
        first.kill()
        rest = lines(second)
        killed_done = [found.id for found in store.list(status=Status.SUCCEEDED, limit=999).jobs]
    left = [found.id for found in store.list(status=Status.PROCESSING, limit=999).jobs]
    assert sorted(killed_done + left) == sorted(jobs)
    assert not set(left) & {line.split()[1] for line in rest}  # nobody else had them while their lease held
    assert [found.id for found in store.recover(11.0, ["a"])] == sorted(left, key=jobs.index)
    assert len(store.claim("c", 11.0, 30.0, {"mood": 999})) == len(left)
    assert all(len(store.events(job_id)) == 1 for job_id in killed_done)
    place.close()
