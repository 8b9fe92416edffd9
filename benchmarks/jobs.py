"""How fast the SQLite store keeps jobs and hands them out: python benchmarks/jobs.py [--waiting 100000] [--bytes 200].

One caller. Each method is timed by itself with that many jobs waiting in four endpoints, then the file is weighed.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from firstlight.jobs.sqlite import SqliteJobs
from firstlight.jobs.types import Job, JobEvent, Kind, Result, Status

NOW = 2e9
ENDPOINTS = ("a", "b", "c", "d")
ENDED = {"status": Status.SUCCEEDED, "completed": NOW, "keep_until": 3e9}


class Stopwatch:
    """Times calls by name."""

    def __init__(self) -> None:
        self.times: dict[str, list[float]] = {}

    def __call__(self, name: str, act: Callable[..., Any], *args: Any, **named: Any) -> Any:
        began = time.perf_counter()
        answer = act(*args, **named)
        self.times.setdefault(name, []).append(time.perf_counter() - began)
        return answer

    def show(self) -> None:
        print(f"{'':20}{'a second':>10}{'p50 ms':>10}{'p99 ms':>10}{'max ms':>10}")
        for name, times in self.times.items():
            times.sort()
            figures = [
                1000 * moment for moment in (times[len(times) // 2], times[len(times) * 99 // 100], times[-1])
            ]
            print(
                f"{name:20}{len(times) / sum(times):10,.0f}"
                + "".join(f"{figure:10.3f}" for figure in figures)
            )


def new_job(number: int, payload: bytes) -> Job:
    """A job as the server makes them."""
    name, moment = f"{number:08x}-0000-4000-8000-000000000000", 1e9 + number
    return Job(
        name,
        Kind.EVENT,
        ENDPOINTS[number % 4],
        payload,
        moment,
        due=moment,
        fingerprint="f" * 64,
        give_up=3e9,
    )


def measure(store: SqliteJobs, waiting: int, payload: bytes, watch: Stopwatch) -> None:
    """Puts, looks, then whole lives of some of the jobs."""
    for number in range(waiting):
        watch("put", store.put, new_job(number, payload))
    for _ in range(500):
        watch("depth", store.depth)
        watch("next_due", store.next_due, NOW, ENDPOINTS)
        watch("list of 50", store.list, endpoint="a", status=Status.STARTING)
    for number in range(min(waiting, 5000)):
        (held,) = watch("claim of one", store.claim, "me", NOW, 30.0, {ENDPOINTS[number % 4]: 1})
        held = watch("change, to begin", store.change, held, started=NOW)
        watch("renew of one", store.renew, "me", [held.id], NOW + 60)
        watch("append of one", store.append, held.id, [JobEvent(1, "start", {}, NOW)])
        result = Result(body=payload, log="l" * 300, metrics={"duration_ms": 1.0})
        watch("change, to end", store.change, held, result=result, **ENDED)
        watch("get", store.get, held.id)
    watch("sweep of all that", store.sweep, 4e9)


def main() -> None:
    """Measure in a folder that is deleted."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--waiting", type=int, default=100_000)
    options.add_argument("--bytes", type=int, default=200, help="of each payload and result")
    chosen = options.parse_args()
    watch = Stopwatch()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "jobs.sqlite"
        store = SqliteJobs(path)
        measure(store, chosen.waiting, os.urandom(chosen.bytes), watch)
        store.close()
        left = max(1, chosen.waiting - min(chosen.waiting, 5000))
        watch.show()
        print(f"{path.stat().st_size / left:,.0f} bytes of the file for each of {left:,} jobs that wait")


if __name__ == "__main__":
    main()
