"""Downloads of the hub: how long one takes, and how much is sent in all when the process is killed ten times.

    python benchmarks/downloads.py [--rounds 5]

The local hub of ``firstlight.testing`` has a file of 90 MB (a MiniLM). Baseline: ``snapshot_download`` of the
``huggingface_hub`` that is installed. Without kills the rate is what the machine gives; with kills it is 40 MB/s, and
each kill comes when a number of bytes has gone out that is drawn anew for each round.
"""

from __future__ import annotations

import argparse
import os
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from importlib import metadata
from pathlib import Path

from firstlight.testing.hub import Hub, local_hub
from harness import paired, table, write

SIZE, KILLS, RATE = 90_900_000, 10, 40_000_000
MODEL = "someone/minilm/model.safetensors"
BASELINE = "huggingface_hub"
SCRIPTS = {
    BASELINE: "import huggingface_hub; huggingface_hub.snapshot_download('someone/minilm')",
    "firstlight": "from firstlight.build import hub; f = hub.look(hub.parse('someone/minilm')); hub.fetch(f, f.files)",
}


def started(hub: Hub, script: str, scratch: str) -> subprocess.Popen[bytes]:
    """A process that downloads into caches of its own."""
    kept = {key: value for key, value in os.environ.items() if not key.startswith(("HF_", "XDG_"))}
    own = {
        "HF_ENDPOINT": hub.url,
        "HF_HOME": scratch,
        "XDG_CACHE_HOME": scratch,
        "HF_HUB_DISABLE_PROGRESS_BARS": "1",
    }
    return subprocess.Popen([sys.executable, "-c", script], env=kept | own, stderr=subprocess.DEVNULL)


def ended(process: subprocess.Popen[bytes]) -> None:
    """It has to end well."""
    if process.wait() != 0:
        raise SystemExit(f"a download ended with {process.returncode}")


def whole(hub: Hub, script: str) -> Callable[[], float]:
    """Milliseconds of a download that nothing disturbs, the start of Python included."""

    def measure() -> float:
        with tempfile.TemporaryDirectory(prefix="firstlight-bench-") as scratch:
            start = time.perf_counter()
            ended(started(hub, script, scratch))
            return (time.perf_counter() - start) * 1e3

    return measure


def killed(hub: Hub, script: str) -> Callable[[], float]:
    """Megabytes sent until the file is there, over ten kills; the same moments for every variant of a round."""
    rounds = iter(range(1_000_000))

    def measure() -> float:
        moments = random.Random(next(rounds)).sample(range(1, SIZE // KILLS), KILLS)
        hub.forget()
        hub.faults.add(MODEL, bytes_per_second=RATE, times=KILLS)
        with tempfile.TemporaryDirectory(prefix="firstlight-bench-") as scratch:
            for moment in moments:
                goal = hub.sent(MODEL) + moment
                process = started(hub, script, scratch)
                hub.wait(lambda goal=goal: hub.sent(MODEL) >= goal)
                process.kill()
                process.wait()
            ended(started(hub, script, scratch))
        return hub.sent(MODEL) / 1e6

    return measure


def main() -> None:
    """Measure and write benchmarks/results/downloads.json."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    rounds = parser.parse_args().rounds
    with tempfile.TemporaryDirectory(prefix="firstlight-bench-") as scratch:
        folder = Path(scratch) / "someone/minilm"
        folder.mkdir(parents=True)
        (folder / "model.safetensors").write_bytes(random.Random(1).randbytes(SIZE))
        (folder / "config.json").write_text("{}")
        with local_hub(Path(scratch)) as hub:
            undisturbed = paired({name: whole(hub, each) for name, each in SCRIPTS.items()}, rounds)
            tables = [table("a download of 90.9 MB, ms", undisturbed, BASELINE)]
            disturbed = paired({name: killed(hub, each) for name, each in SCRIPTS.items()}, rounds, warmup=0)
            tables.append(table("sent for 90.9 MB with ten kills, MB", disturbed, BASELINE))
    versions = {"huggingface_hub": metadata.version("huggingface_hub")}
    print("\nwritten to", write("downloads", "ms and MB, as each table says", tables, versions))


if __name__ == "__main__":
    main()
