"""Cold starts of the pool: a worker started anew, one forked from a zygote, one copied from a snapshot (SnapStart).

    python benchmarks/snapshots.py --rounds 21

From an invocation nobody has a worker for to its answer, milliseconds, page cache warm, one core. The worker is killed
after every round; the snapshot's process, like the zygote, is there before the first. Baseline: started anew.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import signal
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from firstlight import starters
from firstlight.invoke import pool as pools
from firstlight.invoke.pool import PoolInvoker
from firstlight.invoke.types import Invocation, WorkerSpec
from harness import paired, pin, table, write

SCRIPT = """
import numpy
table = {number: str(number) for number in range(300_000)}
def handler(event, context):
    return len(table)
"""


class Endpoint:
    """One endpoint, started in all ways there are.

    Args:
        loop: where the pools live.
        spec: of ``$LATEST``.
        event: what it is sent.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, spec: WorkerSpec, event: Any) -> None:
        self.loop = loop
        self.spec = spec
        self.event = json.dumps(event).encode()
        self.lines: list[str] = []
        self.ways = loop.run_until_complete(self._begin())

    async def _begin(self) -> dict[str, PoolInvoker]:
        snapshot = replace(self.spec, version="1", snap_start=True)
        ways = {
            "anew": PoolInvoker({"f": self.spec}, zygote=False),
            "snapshot": PoolInvoker({"f:1": snapshot}, log_sink=lambda *line: self.lines.append(line[2])),
        }
        return ways | ({"zygote": PoolInvoker({"f": self.spec})} if pools._forkable(self.spec) else {})

    def variants(self) -> dict[str, Callable[[], float]]:
        return {name: self._once(name) for name in self.ways}

    def _once(self, name: str) -> Callable[[], float]:
        return lambda: self.loop.run_until_complete(self._cold(self.ways[name], name == "snapshot"))

    async def _cold(self, pool: PoolInvoker, copied: bool) -> float:
        version, name = ("1", "f:1") if copied else ("$LATEST", "f")
        start = time.perf_counter()
        reply = await pool.invoke(Invocation("f", self.event, version=version))
        took = (time.perf_counter() - start) * 1e3
        if reply.function_error or not reply.report.cold or (reply.report.restore_ms is not None) != copied:
            raise RuntimeError(f"{reply.payload!r} {reply.report} {self.lines}")
        for pid in pool.status()[name]["pids"]:
            os.kill(pid, signal.SIGKILL)
        while pool.status()[name]["pids"]:
            await asyncio.sleep(0.001)
        return took

    def close(self) -> None:
        for pool in self.ways.values():
            self.loop.run_until_complete(pool.close())


def main() -> None:
    """Measure and write ``results/snapshots.json``."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=21)
    rounds = parser.parse_args().rounds
    pin()
    loop = asyncio.new_event_loop()
    with tempfile.TemporaryDirectory() as folder:
        script = Path(folder) / "f.py"
        script.write_text(SCRIPT)
        question = {
            "question": "Where does it rise?",
            "context": "The river rises in the hills north of town.",
        }
        endpoints = {
            "sentiment (ONNX)": (
                WorkerSpec("f", bundle=starters.path("sentiment")),
                {"inputs": "a lovely day"},
            ),
            "qa (ONNX)": (WorkerSpec("f", bundle=starters.path("qa")), {"inputs": question}),
            "stories (llama)": (
                WorkerSpec("f", bundle=starters.path("stories"), timeout_s=60),
                {"inputs": "Once", "parameters": {"max_new_tokens": 1}},
            ),
            "script that loads numpy and makes a table": (WorkerSpec("f", script=script), {}),
        }
        tables = []
        for title, (spec, event) in endpoints.items():
            endpoint = Endpoint(loop, spec, event)
            tables.append(table(title, paired(endpoint.variants(), rounds, 2), "anew"))
            endpoint.close()
    loop.close()
    print(write("snapshots", "milliseconds", tables, {}))


if __name__ == "__main__":
    main()
