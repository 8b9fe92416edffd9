"""From no worker to the first answer through the local pool, in milliseconds: forked from the zygote, or started anew.

    python benchmarks/scale_from_zero.py

Baseline: the same pool starting each worker as a new process.
"""

from __future__ import annotations

import argparse
import itertools
import json
import tempfile
import time
from pathlib import Path

import models
from cold_start import SENTENCE
from firstlight import starters
from firstlight.build.convert.encoder import convert
from firstlight.invoke.pool import PoolInvoker
from firstlight.invoke.types import Invocation, WorkerSpec
from harness import Samples, table, write

PAYLOAD = json.dumps({"inputs": SENTENCE}).encode()
NEW, FORKED = "started anew", "forked from the zygote"


class Cold:
    """A pool whose every invocation is a cold start: a spec that differs from the last one has no workers."""

    def __init__(self, bundle: Path, zygote: bool) -> None:
        self.bundle = bundle
        self.numbers = itertools.count()
        self.invoker = PoolInvoker({}, zygote=zygote)

    async def start(self) -> float:
        """Milliseconds from the invocation to its answer."""
        spec = WorkerSpec("bench", bundle=self.bundle, digest=str(next(self.numbers)))
        self.invoker.replace({"bench": spec})
        began = time.perf_counter()
        reply = await self.invoker.invoke(Invocation("bench", PAYLOAD))
        elapsed = (time.perf_counter() - began) * 1e3
        if reply.function_error or not reply.report.cold:
            raise RuntimeError(reply.payload.decode())
        return elapsed


async def measured(title: str, bundle: Path, rounds: int) -> dict[str, object]:
    """One table; the first start of each pool, which starts the zygote too, is not counted."""
    pools = {NEW: Cold(bundle, zygote=False), FORKED: Cold(bundle, zygote=True)}
    samples = {name: Samples() for name in pools}
    for turn in range(rounds + 1):
        for name, pool in pools.items():
            value = await pool.start()
            if turn:
                samples[name].values.append(value)
    for pool in pools.values():
        await pool.invoker.close()
    return table(title, samples, NEW)


async def tables(rounds: int) -> list[dict[str, object]]:
    """Every model in turn."""
    with tempfile.TemporaryDirectory(prefix="firstlight-bench-") as scratch:
        source = models.distilbert_classifier(Path(scratch) / "distilbert")
        bundles = {
            f"DistilBERT-sized classifier, {precision}": convert(
                source, Path(scratch) / precision, precision=precision
            )
            for precision in ("int8", "fp32")
        }
        bundles["starter sentiment"] = starters.path("sentiment")
        return [await measured(title, bundle, rounds) for title, bundle in bundles.items()]


def main() -> None:
    """Measure and write benchmarks/results/scale_from_zero.json."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=15)
    args = parser.parse_args()
    models.lift_limits()
    import uvloop

    print("\nwritten to", write("scale_from_zero", "ms", uvloop.run(tables(args.rounds)), {}))


if __name__ == "__main__":
    main()
