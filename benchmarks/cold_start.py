"""Cold start: process start to first answer, page cache warm, one thread, in milliseconds.

    python benchmarks/cold_start.py --torch-python .venv-torch/bin/python

Baseline of every table: the C program (the same library, graph and token ids, nothing else).
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import models
from firstlight import starters
from firstlight.build.convert.encoder import convert
from floor import Floor
from harness import paired, pin, table, write
from worker import Worker

HERE = Path(__file__).parent
SENTENCE = "a gripping, funny and deeply humane film that I will happily watch again"
QUESTION = {
    "question": "Where does the river rise?",
    "context": "The river rises in the hills north of the old town, passes three mills and a bridge, and reaches "
    "the sea after ninety miles. " * 4,
}


def process(command: list[str]) -> Callable[[], float]:
    """A variant that is a process: its figure is the time to the first line it prints."""

    def once() -> float:
        start = time.perf_counter()
        child = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        assert child.stdout
        line = child.stdout.readline()
        elapsed = (time.perf_counter() - start) * 1e3
        child.communicate()
        if not line or child.returncode:
            raise RuntimeError(f"{command} failed")
        return elapsed

    return once


def worker(bundle: Path, inputs: object) -> Callable[[], float]:
    """A variant that is our worker behind a Runtime API."""

    def once() -> float:
        started = Worker(bundle, {"inputs": inputs})
        started.close()
        return started.first_ms

    return once


def variants(
    args: argparse.Namespace, bundle: Path, source: Path, task: str, output: str, inputs: object
) -> dict:
    """The variants of one table; torch last, as it is the slowest."""
    text = json.dumps(inputs)
    floor = Floor(bundle, output, inputs)
    return {
        "C program on the same library": process(floor.command(repeats=0)),
        "firstlight worker": worker(bundle, inputs),
        "onnxruntime (Python) + tokenizers": process(
            [
                sys.executable,
                str(HERE / "variants/onnxruntime_python.py"),
                str(bundle),
                output,
                text,
                "0",
                "1",
            ]
        ),
        "transformers.pipeline on torch": process(
            [args.torch_python, str(HERE / "variants/pipeline_torch.py"), task, str(source), text, "0", "1"]
        ),
    }


def main() -> None:
    """Measure every model and write benchmarks/results/cold_start.json."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--torch-python", default=".venv-torch/bin/python")
    parser.add_argument("--rounds", type=int, default=7)
    args = parser.parse_args()
    models.lift_limits()
    pin()
    tables = []
    with tempfile.TemporaryDirectory(prefix="firstlight-bench-") as scratch:
        classifier = models.distilbert_classifier(Path(scratch) / "distilbert")
        reader = models.bert_question_answering(Path(scratch) / "bert-qa")
        for precision in ("fp32", "int8"):
            cases = [
                ("DistilBERT-sized classifier, 67 M", classifier, "text-classification", "scores", SENTENCE),
                (
                    "BERT-base-sized question answering, 109 M",
                    reader,
                    "question-answering",
                    "start_logits",
                    QUESTION,
                ),
            ]
            for title, source, task, output, inputs in cases:
                bundle = convert(
                    source, Path(scratch) / f"{source.name}-{precision}", task=task, precision=precision
                )
                measured = paired(variants(args, bundle, source, task, output, inputs), args.rounds)
                tables.append(table(f"{title}, {precision}", measured, "C program on the same library"))
        sentiment = starters.path("sentiment")
        measured = paired(
            {
                "C program on the same library": process(
                    Floor(sentiment, "scores", SENTENCE).command(repeats=0)
                ),
                "firstlight worker": worker(sentiment, SENTENCE),
            },
            args.rounds,
        )
        tables.append(table("starter sentiment", measured, "C program on the same library"))
    print("\nwritten to", write("cold_start", "ms", tables, torch_versions(args.torch_python)))


def torch_versions(python: str) -> dict[str, str]:
    """Versions in the environment of the torch variants."""
    code = (
        "import json, torch, transformers as t; "
        "print(json.dumps({'torch': torch.__version__, 'transformers': t.__version__}))"
    )
    return json.loads(subprocess.run([python, "-c", code], capture_output=True, text=True, check=True).stdout)


if __name__ == "__main__":
    main()
