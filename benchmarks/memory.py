"""Memory of an idle server, and of a warm worker against the weights it has mapped.

python benchmarks/memory.py
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import models
from cold_start import SENTENCE
from firstlight import starters
from firstlight.build.convert.encoder import convert
from firstlight.runtime.bundle import Bundle
from harness import write
from running import children, pss_mb
from worker import Worker


def idle_server() -> dict[str, object]:
    """Proportional megabytes of a server that nobody has asked anything, and of everything it started."""
    with tempfile.TemporaryDirectory(prefix="firstlight-bench-") as folder:
        command = [sys.executable, "-m", "firstlight", "serve", "--port", "0", "--json"]
        process = subprocess.Popen(command, cwd=folder, stdout=subprocess.PIPE, text=True)
        try:
            assert process.stdout
            json.loads(process.stdout.readline())
            time.sleep(2)  # what it starts beside itself is loading
            rows = {"server": pss_mb(process.pid)}
            rows |= {f"child {number}": pss_mb(pid) for number, pid in enumerate(children(process.pid))}
        finally:
            process.terminate()
            process.wait(30)
    title = "proportional memory of an idle server"
    return {"title": title, "unit": "MB", "rows": rows, "sum": sum(rows.values())}


def warm_workers() -> dict[str, object]:
    """Resident memory of a warm worker against the weights it has mapped."""
    rows = {}
    with tempfile.TemporaryDirectory(prefix="firstlight-bench-") as scratch:
        source = models.distilbert_classifier(Path(scratch) / "distilbert")
        bundles = {
            f"DistilBERT-sized {p}": convert(source, Path(scratch) / p, precision=p) for p in ("fp32", "int8")
        }
        for name, bundle in (bundles | {"starter sentiment": starters.path("sentiment")}).items():
            worker = Worker(bundle, {"inputs": SENTENCE})
            for _ in range(50):
                worker.invoke({"inputs": SENTENCE})
            time.sleep(2)  # the worker packs its weights in idle time; the figure is of the state after that
            worker.invoke({"inputs": SENTENCE})
            weights = sum(weight_sizes(bundle)) / 1e6
            rows[name] = {
                "rss_mb": worker.memory_mb(),
                "weights_mb": weights,
                "wanted_mb": 1.15 * weights + 40,
            }
            worker.close()
    return {"title": "resident memory of a warm worker", "unit": "MB", "rows": rows}


def weight_sizes(bundle: Path) -> list[int]:
    """Bytes of the files of a bundle that hold weights."""
    opened = Bundle.open(str(bundle), verify="sizes")
    return [
        entry["size"]
        for file, entry in opened.files.items()
        if "token" not in file and "wordpiece" not in file
    ]


def main() -> None:
    """Measure and write benchmarks/results/memory.json."""
    models.lift_limits()
    tables = [idle_server(), warm_workers()]
    print(json.dumps(tables, indent=1))
    print("written to", write("memory", "MB", tables, {}))


if __name__ == "__main__":
    main()
