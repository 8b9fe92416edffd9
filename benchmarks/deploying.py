"""How long deploying takes against the emulator of the tests: python benchmarks/deploying.py [--rounds 3].

A project of two models and a script, in both lanes: made with empty caches, the first deployment, one of a second
stage, one where nothing changed, one after a line of code was changed, going back, and removing it. Functions run in
containers, images go to a registry on this machine that asks for a password; both are those of tests/aws, where run.sh
installs them. What AWS itself takes is not in it: its CloudFormation is slower, and its network.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import harness

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from parts import managed, registry
from parts.daemon import Daemon
from parts.emulator import Emulator
from parts.shell import Shell

LANES = ("zip", "image")
STEPS = ("build", "first", "stage", "unchanged", "changed", "rollback", "destroy")


@contextmanager
def account(folder: Path) -> Iterator[tuple[Emulator, registry.RunningRegistry]]:
    """An emulator, and a registry that has the base of images."""
    daemon = Daemon(os.environ["DOCKER_HOST"])
    name = managed.imported(daemon)
    running = registry.with_password(folder)
    with Emulator(folder / "emulator", docker=daemon.host) as emulator:
        emulator.docker_login(running.host, registry.USER, registry.PASSWORD)
        base = f"{running.host}/lambda/python:3.13"
        logged_in = {**os.environ, "DOCKER_CONFIG": str(emulator.folder / "docker")}
        for words in (("tag", name, base), ("push", "--quiet", base), ("rmi", base)):
            subprocess.run(["docker", *words], env=logged_in, check=True, capture_output=True)
        yield emulator, running
    running.stop()


def life(emulator: Emulator, images: str, lane: str, home: Path) -> dict[str, float]:
    """Seconds of each step, and bytes that the changed one sent."""
    variables = {
        **emulator.variables(),
        "DOCKER_CONFIG": str(emulator.folder / "docker"),
        "XDG_DATA_HOME": str(home / "data"),
        "XDG_CACHE_HOME": str(home / "cache"),
    }
    project = home / "shop"
    Shell(home, variables)("init", "shop")
    shell = Shell(project, variables)
    shell("add", "starter:qa")
    with (project / "firstlight.toml").open("a") as file:
        file.write(
            f'\n[deploy]\narchitecture = "{emulator.architecture}"\npackage = "{lane}"\n'
            f'registry = "{images}/shop"\nbase = "{images}/lambda/python:3.13"\n[stage.try.deploy]\nlog_days = 3\n'
        )
    script = project / "inference/hello.py"
    took: dict[str, float] = {}

    def step(name: str, *words: str) -> str:
        began = time.monotonic()
        said = shell(*words).out
        took[name] = time.monotonic() - began
        return said

    step("build", "deploy", "--plan")
    step("first", "deploy", "--yes")
    step("stage", "deploy", "--yes", "--stage", "try")
    step("unchanged", "deploy", "--yes")
    script.write_text(script.read_text().replace("Hello", "Good day"))
    said = step("changed", "deploy", "--yes", "--json")
    took["changed_bytes"] = json.loads(said.splitlines()[-1])["deployed"]["sent"]
    step("rollback", "rollback", "--yes")
    step("destroy", "destroy", "--yes")
    shell("destroy", "--yes", "--stage", "try")
    return took


def main() -> None:
    """Measure, print, and write results/deploying.json."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    asked = parser.parse_args()
    figures: dict[str, list[dict[str, float]]] = {lane: [] for lane in LANES}
    with tempfile.TemporaryDirectory() as scratch, account(Path(scratch)) as (emulator, images):
        for turn in range(asked.rounds):
            for lane in LANES:
                home = Path(scratch) / f"{lane}-{turn}"
                home.mkdir()
                figures[lane].append(life(emulator, images.host, lane, home))
                print(lane, {name: round(value, 1) for name, value in figures[lane][-1].items()}, flush=True)
    medians = {
        lane: {name: statistics.median(one[name] for one in rounds) for name in rounds[0]}
        for lane, rounds in figures.items()
    }
    for lane, median in medians.items():
        print(f"{lane:6}" + "".join(f"{name} {median[name]:6.1f} s   " for name in STEPS))
    tables = [{"title": lane, "median": medians[lane], "rounds": figures[lane]} for lane in LANES]
    harness.write("deploying", "seconds", tables, {"ministack": "1.5.33"})


if __name__ == "__main__":
    main()
