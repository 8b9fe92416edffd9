"""From a name of the hub to a locked bundle: time, memory, size, and what eight bits cost in accuracy.

    python benchmarks/adding.py --torch-python .venv-torch/bin/python [--classifier FOLDER --labelled FILE.tsv]

``firstlight add`` downloads from the local hub of ``firstlight.testing``, converts and locks, each time into empty
caches. Baseline: an export with torch alone, of a folder that is there already. ``--classifier`` is a model folder,
``--labelled`` a file with a head line and ``text<TAB>label`` (the number of the class) in each line.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import models
from cold_start import HERE, torch_versions
from firstlight.build import resolve
from firstlight.runtime.model import Model
from firstlight.testing.hub import local_hub
from harness import Samples, paired, pin, table, write

BASELINE = "torch.onnx.export"
MOST_ROWS = 2000


class Command:
    """A command in a process of its own: milliseconds it takes; the peaks of its memory are kept beside.

    Args:
        make: gives the command and the environment, anew each time.
    """

    def __init__(self, make: Callable[[Path], tuple[list[str], dict[str, str], Path]]) -> None:
        self._make = make
        self.peaks = Samples()

    def __call__(self) -> float:
        with tempfile.TemporaryDirectory(prefix="firstlight-bench-") as scratch:
            command, environment, folder = self._make(Path(scratch))
            measured = [sys.executable, __file__, "--measure", *command]
            out = subprocess.run(
                measured, env=environment, cwd=folder, check=True, capture_output=True, text=True
            )
            found = json.loads(out.stdout.splitlines()[-1])
        self.peaks.values.append(found["peak_mb"])
        return float(found["ms"])


def measure(command: list[str]) -> None:
    """Run a command and print what it and its children took."""
    start = time.perf_counter()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    took = (time.perf_counter() - start) * 1e3
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
    print(json.dumps({"ms": took, "peak_mb": peak}))


def added(url: str, name: str, precision: str) -> Command:
    """``firstlight add`` of a repository into an empty project, with empty caches."""

    def make(scratch: Path) -> tuple[list[str], dict[str, str], Path]:
        kept = {key: value for key, value in os.environ.items() if not key.startswith(("HF_", "XDG_"))}
        words = ["add", name, "--quantize", precision, "--json"]
        environment = kept | {"HF_ENDPOINT": url, "HOME": str(scratch)}
        return [sys.executable, "-m", "firstlight", *words], environment, scratch

    return Command(make)


def exported(python: str, folder: Path, kind: str) -> Command:
    """The baseline."""

    def make(scratch: Path) -> tuple[list[str], dict[str, str], Path]:
        script = str(HERE / "variants/export_torch.py")
        return [python, script, str(folder), str(scratch / "model.onnx"), kind], dict(os.environ), scratch

    return Command(make)


def sizes(folder: Path) -> dict[str, Any]:
    """Bytes of a model's weights and of its bundles, and these as parts of the exact one."""
    rows: dict[str, Any] = {
        "its safetensors": sum(file.stat().st_size for file in folder.glob("*.safetensors"))
    }
    exact = 0
    for precision in ("fp32", "nb8", "int8"):
        place = resolve.resolve(str(folder), Path.cwd(), precision=precision)
        size = sum(file.stat().st_size for file in place.iterdir() if file.suffix != ".md")
        exact = exact or size
        rows[precision] = {"bytes": size, "to_fp32": size / exact}
    print(f"\nsize of {folder.name}: {rows}")
    return {"title": f"bytes of a bundle, {folder.name}", "rows": rows}


def accuracy(folder: Path, labelled: Path) -> dict[str, Any]:
    """Share of right answers of each precision, and of answers that are those of fp32."""
    lines = labelled.read_text(encoding="utf-8").splitlines()[1 : MOST_ROWS + 1]
    texts = [line.rpartition("\t")[0] for line in lines]
    labels = [int(line.rpartition("\t")[2]) for line in lines]
    answers, rows = {}, {}
    for precision in ("fp32", "nb8", "int8"):
        place = resolve.resolve(str(folder), Path.cwd(), precision=precision)
        model = Model.load(str(place))
        names = list(model.bundle.labels)
        answers[precision] = [names.index(model(text)[0]["label"]) for text in texts]
        right = sum(map(int.__eq__, answers[precision], labels)) / len(labels)
        same = sum(map(int.__eq__, answers[precision], answers["fp32"])) / len(labels)
        rows[precision] = {"accuracy": right, "as_fp32": same}
    print(f"\naccuracy on {len(labels)} rows of {labelled.name}: {rows}")
    return {"title": f"accuracy, {folder.name} on {labelled.name}, {len(labels)} rows", "rows": rows}


def main() -> None:
    """Measure and write benchmarks/results/adding.json."""
    if sys.argv[1:2] == ["--measure"]:
        measure(sys.argv[2:])
        return
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--torch-python", default=".venv-torch/bin/python")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--classifier", type=Path)
    parser.add_argument("--labelled", type=Path)
    args = parser.parse_args()
    models.lift_limits()
    pin()
    tables: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory(prefix="firstlight-bench-") as scratch:
        os.environ["XDG_CACHE_HOME"] = f"{scratch}/cache"
        hub = Path(scratch) / "hub"
        folders = {
            "MiniLM-sized, 22 M": models.minilm_encoder(hub / "someone/minilm"),
            "BERT-base-sized, 109 M": models.bert_question_answering(hub / "someone/bert-base"),
        }
        kinds = {"minilm": "AutoModel", "bert-base": "AutoModelForQuestionAnswering"}
        with local_hub(hub) as server:
            for title, folder in folders.items():
                variants = {
                    BASELINE: exported(args.torch_python, folder, kinds[folder.name]),
                    "firstlight add, fp32": added(server.url, f"someone/{folder.name}", "fp32"),
                }
                found = paired(variants, args.rounds)
                tables.append(table(f"{title}, ms", found, BASELINE))
                peaks = {name: Samples(one.peaks.values[-args.rounds :]) for name, one in variants.items()}
                tables.append(table(f"{title}, peak MB of one of its processes", peaks, BASELINE))
        if args.classifier:
            tables.append(sizes(args.classifier))
        if args.classifier and args.labelled:
            tables.append(accuracy(args.classifier, args.labelled))
    print("\nwritten to", write("adding", "ms", tables, torch_versions(args.torch_python)))


if __name__ == "__main__":
    main()
