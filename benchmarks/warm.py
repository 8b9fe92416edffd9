"""Warm latency: p50 and p99 of one call, one thread, in milliseconds; short (about 16 tokens) and long (256 tokens).

    python benchmarks/warm.py --torch-python .venv-torch/bin/python

Baseline: the C program with packed weights. Each round starts every variant anew and takes its p50.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import models
from cold_start import HERE, SENTENCE, torch_versions
from firstlight import starters
from firstlight.build.convert.encoder import convert
from floor import Floor
from harness import Samples, paired, pin, table, write

LONG = " ".join([SENTENCE] * 16)


class Loop:
    """A variant that runs a process's loop and keeps the p99 beside the p50 it returns."""

    def __init__(self, command: list[str], scale: float = 1.0, lines: bool = False) -> None:
        self.command, self.scale, self.lines = command, scale, lines
        self.p99 = Samples()

    def __call__(self) -> float:
        out = subprocess.run(self.command, capture_output=True, text=True, check=True).stdout.splitlines()
        times = [float(line) for line in out[1:]] if self.lines else json.loads(out[-1])
        times = sorted(value * self.scale for value in times)
        self.p99.values.append(times[int(len(times) * 0.99)])
        return statistics.median(times)


def variants(
    args: argparse.Namespace, bundle: Path, source: Path | None, task: str, output: str, text: str
) -> dict[str, Loop]:
    """The variants of one table."""
    repeats, inputs = str(args.repeats), json.dumps(text)
    python = [sys.executable, str(HERE / "variants/onnxruntime_python.py")]
    found = {
        "C program on the same library": Loop(
            Floor(bundle, output, text).command(args.repeats), 1e-3, lines=True
        ),
        "firstlight model": Loop(
            [sys.executable, str(HERE / "variants/firstlight_model.py"), str(bundle), inputs, repeats]
        ),
        "onnxruntime (Python) + tokenizers": Loop([*python, str(bundle), output, inputs, repeats, "1"]),
    }
    if source:
        script = str(HERE / "variants/pipeline_torch.py")
        found["transformers.pipeline on torch"] = Loop(
            [args.torch_python, script, task, str(source), inputs, repeats, "1"]
        )
    return found


def measured(title: str, loops: dict[str, Loop], rounds: int) -> dict[str, object]:
    """One table with the p99 beside each variant's p50."""
    calls: dict[str, Callable[[], float]] = dict(loops)
    result = table(title, paired(calls, rounds), "C program on the same library")
    result["p99"] = {name: statistics.median(loop.p99.values[1:]) for name, loop in loops.items()}
    return result


def main() -> None:
    """Measure every model and write benchmarks/results/warm.json."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--torch-python", default=".venv-torch/bin/python")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--repeats", type=int, default=100)
    args = parser.parse_args()
    models.lift_limits()
    pin()
    tables = []
    with tempfile.TemporaryDirectory(prefix="firstlight-bench-") as scratch:
        source = models.distilbert_classifier(Path(scratch) / "distilbert")
        for precision in ("fp32", "int8"):
            bundle = convert(
                source, Path(scratch) / precision, task="text-classification", precision=precision
            )
            for name, text in (("short", SENTENCE), ("long", LONG)):
                loops = variants(args, bundle, source, "text-classification", "scores", text)
                tables.append(
                    measured(f"DistilBERT-sized classifier, {precision}, {name}", loops, args.rounds)
                )
    for starter, output in (("sentiment", "scores"), ("embeddings", "sentence_embedding")):
        loops = variants(args, starters.path(starter), None, "", output, SENTENCE)
        tables.append(measured(f"starter {starter}, short", loops, args.rounds))
    print("\nwritten to", write("warm", "ms", tables, torch_versions(args.torch_python)))


if __name__ == "__main__":
    main()
