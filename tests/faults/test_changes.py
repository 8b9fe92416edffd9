"""Concurrency, versions and provisioned workers changed again and again under load, and workers killed meanwhile.

Three versions of a function, one of them with SnapStart; eight callers. Nobody waits for ever, what is answered is an
answer, a throttle or the crash of a worker that was killed, and in the end there are as many workers as were asked for.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import random
import signal
from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest

from firstlight.invoke.pool import PoolInvoker
from firstlight.invoke.types import LATEST, Invocation, Throttled, WorkerSpec

ROUNDS = int(os.environ.get("FIRSTLIGHT_FAULTS_ROUNDS", "3"))
CALLERS, CHANGES, PATIENCE = 8, 60, 30.0

SCRIPT = """
import time

def handler(event, context):
    time.sleep(event["s"])
    return context.function_version
"""


class Load:
    """Callers that ask one after the other, and what became of it."""

    def __init__(self, pool: PoolInvoker, chance: random.Random) -> None:
        self.pool = pool
        self.chance = chance
        self.outcomes: Counter[str] = Counter()
        self.answered = asyncio.Semaphore(0)
        self.over = False

    async def call(self) -> None:
        while not self.over:
            version = self.chance.choice([LATEST, "1", "2"])
            event = {"s": self.chance.choice([0, 0.01, 0.05])}
            invocation = Invocation("f", json.dumps(event).encode(), version=version)
            try:
                reply = await asyncio.wait_for(self.pool.invoke(invocation), PATIENCE)
            except Throttled as refused:
                self.outcomes[refused.reason] += 1
                await asyncio.sleep(0.01)  # as its Retry-After asks for, in short
            else:
                self.outcomes[reply.outcome] += 1
                if reply.outcome == "ok":
                    assert json.loads(reply.payload) == version
            self.answered.release()


def changed(specs: Mapping[str, WorkerSpec], chance: random.Random) -> dict[str, WorkerSpec]:
    """Another concurrency, and workers that are kept ready; the version with SnapStart has none of those."""
    limit = chance.randrange(4)
    return {
        name: replace(
            spec, concurrency=limit, provisioned=0 if spec.snap_start else min(limit, chance.randrange(3))
        )
        for name, spec in specs.items()
    }


@pytest.mark.parametrize("seed", range(ROUNDS))
async def test_changes_under_load(tmp_path: Path, seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("firstlight.invoke.scaling.pause_after_failures", lambda failures: 0.05)
    chance = random.Random(seed)
    script = tmp_path / "f.py"
    script.write_text(SCRIPT)
    specs = {
        "f": WorkerSpec("f", script=script, concurrency=2),
        "f:1": WorkerSpec("f", script=script, concurrency=2, version="1"),
        "f:2": WorkerSpec("f", script=script, concurrency=2, version="2", snap_start=True),
    }
    pool = PoolInvoker(specs, idle_s=0.3)
    try:
        await changes_under_load(pool, specs, chance)
    finally:
        await asyncio.wait_for(pool.close(), PATIENCE)


async def changes_under_load(pool: PoolInvoker, specs: dict[str, WorkerSpec], chance: random.Random) -> None:
    load = Load(pool, chance)
    callers = [asyncio.create_task(load.call()) for _ in range(CALLERS)]
    for number in range(CHANGES):
        for _ in range(chance.randrange(12)):
            await load.answered.acquire()
        match chance.randrange(5):
            case 0:
                specs["f:1"] = replace(specs["f:1"], digest=str(number))
                pool.replace(specs)
            case 1:
                pids = [pid for status in pool.status().values() for pid in status["pids"]]
                with contextlib.suppress(ProcessLookupError, IndexError):
                    os.kill(chance.choice(pids), signal.SIGKILL)
            case _:
                pool.replace(changed(specs, chance))
        running = sum(status["busy"] for status in pool.status().values())
        assert running <= 3  # the highest limit there is, for all versions together
    load.over = True
    pool.replace(
        {
            name: replace(spec, concurrency=3, provisioned=int(not spec.snap_start))
            for name, spec in specs.items()
        }
    )
    await asyncio.wait_for(asyncio.gather(*callers), PATIENCE)
    async with asyncio.timeout(PATIENCE):
        while not settled(pool, specs):
            await asyncio.sleep(0.02)
    assert load.outcomes["ok"] > CHANGES
    assert set(load.outcomes) <= {"ok", "crash", "ReservedFunctionConcurrentInvocationLimitExceeded"}


def settled(pool: PoolInvoker, specs: Mapping[str, WorkerSpec]) -> bool:
    """Whether there are as many workers as were asked for, and they are initialised."""
    workers = [len(status["pids"]) for status in pool.status().values()]
    return workers == [1, 1, 0] and all(pool.provisioned(name).status == "READY" for name in specs)
