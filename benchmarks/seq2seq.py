"""Encoder-decoder models on CTranslate2: cold start, warm calls, and the memory of four workers.

    python benchmarks/seq2seq.py --torch-python .venv-torch/bin/python

Models of real size with random weights; every answer has the same number of tokens, four beams. The baseline is the
library by itself: of a cold start ctranslate2 and tokenizers in Python, of a warm call the same call of the same loaded
weights, in turn with ours in one process.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import models
import sequence_models
from cold_start import HERE, process, torch_versions
from firstlight.build.convert import ct2
from harness import paired, pin, table, write
from worker import Worker

WORDS = "wobaba wepo jegubi tikule and a few more words of a made up language for it "
SHORT, LONG = WORDS.strip(), (WORDS * 3).strip()
TOKENS = 12


def event(text: str, tokens: int) -> dict:
    """What a worker is asked."""
    return {
        "inputs": text,
        "parameters": {"num_beams": 4, "max_new_tokens": tokens, "min_new_tokens": tokens},
    }


def cold(args: argparse.Namespace, bundle: Path, source: Path, task: str) -> dict[str, Callable[[], float]]:
    """The variants of a cold start."""

    def ours() -> float:
        started = Worker(bundle, event(SHORT, TOKENS))
        started.close()
        return started.first_ms

    script = str(HERE / "variants/pipeline_seq2seq.py")
    return {
        "ctranslate2 (Python) + tokenizers": process(
            [sys.executable, str(HERE / "variants/ctranslate2_python.py"), str(bundle), SHORT, str(TOKENS)]
        ),
        "firstlight worker": ours,
        "transformers.pipeline on torch": process(
            [args.torch_python, script, task, str(source), SHORT, str(TOKENS), "0"]
        ),
    }


class Calls:
    """Both sides of a warm call, measured together; a round takes each side's median of one process."""

    def __init__(self, bundle: Path, text: str, tokens: int, repeats: int) -> None:
        parameters = json.dumps(event(text, tokens)["parameters"])
        script = str(HERE / "variants/seq2seq_calls.py")
        self._command = [sys.executable, script, str(bundle), text, parameters, str(repeats)]
        self._last: dict[str, float] = {}

    def side(self, name: str) -> Callable[[], float]:
        """The figure of one side; the one asked for first runs the process."""

        def once() -> float:
            if name not in self._last:
                out = subprocess.run(self._command, capture_output=True, text=True, check=True).stdout
                times = json.loads(out.splitlines()[-1])
                self._last = {side: statistics.median(values) for side, values in times.items()}
            return self._last.pop(name)

        return once


def warm(args: argparse.Namespace, bundle: Path, source: Path, task: str, text: str, tokens: int) -> dict:
    """The variants of a warm call."""
    calls = Calls(bundle, text, tokens, args.repeats)
    script, length = str(HERE / "variants/pipeline_seq2seq.py"), str(tokens + 1)
    command = [
        args.torch_python,
        script,
        task,
        str(source),
        text,
        length,
        length,
        str(max(1, args.repeats // 4)),
    ]

    def torch() -> float:
        out = subprocess.run(command, capture_output=True, text=True, check=True).stdout
        return statistics.median(json.loads(out.splitlines()[-1]))

    return {
        "ctranslate2, the same search": calls.side("bare"),
        "ctranslate2, ended by its own rule": calls.side("bare, ended by its own rule"),
        "firstlight model": calls.side("ours"),
        "transformers.pipeline on torch": torch,
    }


def memory(bundle: Path) -> dict[str, object]:
    """Proportional set sizes (megabytes) of one worker and of four that have settled."""
    rows = {}
    for count in (1, 4):
        workers = [Worker(bundle, event(SHORT, TOKENS)) for _ in range(count)]
        for worker in workers:
            _settled(worker.process.pid, bundle / "model.bin")
        rows[f"{count} settled"] = sum(_proportional(worker.process.pid) for worker in workers)
        for worker in workers:
            worker.close()
    rows["each more, of the first"] = (rows["4 settled"] - rows["1 settled"]) / 3 / rows["1 settled"]
    print(f"\nmemory of {bundle.name}: {rows}")
    return {"title": f"memory, {bundle.name}", "rows": rows}


def _settled(pid: int, weights: Path) -> None:
    """Wait until an idle worker has let the file stand in for its weights: it maps it, and changes no more."""
    before = 0.0
    for _ in range(200):
        time.sleep(0.3)
        now = _proportional(pid)
        if str(weights) in Path(f"/proc/{pid}/maps").read_text() and abs(now - before) < 0.5:
            return
        before = now
    raise RuntimeError("the worker did not settle")


def _proportional(pid: int) -> float:
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("Pss:")) / 1024


def main() -> None:
    """Measure every model and write benchmarks/results/seq2seq.json."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--torch-python", default=".venv-torch/bin/python")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--repeats", type=int, default=12)
    args = parser.parse_args()
    models.lift_limits()
    pin()
    tables = []
    with tempfile.TemporaryDirectory(prefix="firstlight-bench-") as scratch:
        folders = {
            "Marian, 75 M": (
                sequence_models.marian(Path(scratch) / "marian"),
                "translation_en_to_fr",
                SHORT,
                25,
            ),
            "BART 6-6, 230 M": (sequence_models.bart(Path(scratch) / "bart"), "summarization", LONG, 40),
        }
        for title, (source, task, text, tokens) in folders.items():
            for precision in ("int8", "fp32"):
                bundle = ct2.convert(
                    source, Path(scratch) / f"{source.name}-{precision}", task=task.partition("_")[0],
                    precision=precision,
                )  # fmt: skip
                baseline = "ctranslate2 (Python) + tokenizers"
                started = paired(cold(args, bundle, source, task), args.rounds)
                tables.append(table(f"cold start, {title}, {precision}, {TOKENS} tokens", started, baseline))
                called = paired(warm(args, bundle, source, task, text, tokens), args.rounds)
                name = f"warm, {title}, {precision}, {tokens} tokens"
                tables.append(table(name, called, "ctranslate2, the same search"))
                tables.append(memory(bundle))
    print("\nwritten to", write("seq2seq", "ms", tables, torch_versions(args.torch_python)))


if __name__ == "__main__":
    main()
