"""kill -9 at any moment: the state is that before a change or that after it, and what it names is there."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

from firstlight.invoke.types import WorkerSpec
from firstlight.versions.registry import Registry

PROGRAM = """
import itertools, sys
from pathlib import Path
from firstlight.invoke.types import WorkerSpec
from firstlight.versions.registry import Registry
from firstlight.versions.types import Alias

data, script = map(Path, sys.argv[1:])
registry = Registry(data, lambda: {"f": WorkerSpec("f", script=script)})
print("ready", flush=True)
for number in itertools.count(len(registry.versions("f"))):
    script.write_text(str(number))
    print(number, flush=True)
    made = registry.publish("f")
    if registry.aliases("f"):
        registry.update_alias(Alias("f", "live", str(made.number)))
    else:
        registry.create_alias(Alias("f", "live", str(made.number)))
    if made.number > 2:
        registry.delete_version("f", made.number - 2)
"""


def test_kill_9(tmp_path: Path) -> None:
    data, script = tmp_path / "data", tmp_path / "code" / "f.py"
    script.parent.mkdir()
    last = 0
    for life in range(4):
        program = subprocess.Popen(
            (sys.executable, "-c", PROGRAM, str(data), str(script)), stdout=subprocess.PIPE, text=True
        )
        assert program.stdout is not None
        assert program.stdout.readline() == "ready\n"
        for _ in range(3):
            program.stdout.readline()
        end = time.perf_counter() + 0.0013 * life
        while time.perf_counter() < end:  # somewhere in the middle of something
            pass
        os.kill(program.pid, signal.SIGKILL)
        program.wait()
        program.stdout.close()
        registry = Registry(data, lambda: {"f": WorkerSpec("f", script=script)})
        assert registry.problem is None
        for version in registry.versions("f"):
            assert version.spec.script.read_text().isdecimal()
        for alias in registry.aliases("f"):
            assert registry.resolve("f", alias.name).version in registry.pools()[f"f:{alias.version}"].version
        numbers = [version.number for version in registry.versions("f")]
        assert max(numbers, default=0) >= last + 2
        last = max(numbers, default=0)
    script.write_text("the end")
    assert registry.publish("f").number == last + 1
    registry.delete_version("f", last + 1)
    left = {path.name for path in (data / "versions" / "code").iterdir()}
    assert left == {version.spec.script.parent.name for version in registry.versions("f")}


def test_two_programs_at_once(tmp_path: Path) -> None:
    """Each publishes ten versions; no number is given twice and nothing of the other's is lost."""
    data = tmp_path / "data"
    scripts = [tmp_path / name / "f.py" for name in ("one", "two")]
    for script in scripts:
        script.parent.mkdir()
    code = PROGRAM.replace('itertools.count(len(registry.versions("f")))', "range(10)").partition(
        "    if registry.aliases"
    )[0]
    code = code.replace("str(number)", "f'{script} {number}'")
    programs = [
        subprocess.Popen((sys.executable, "-c", code, str(data), str(script)), stdout=subprocess.DEVNULL)
        for script in scripts
    ]
    assert [program.wait(30) for program in programs] == [0, 0]
    versions = Registry(data, lambda: {"f": WorkerSpec("f", script=scripts[0])}).versions("f")
    assert [version.number for version in versions] == list(range(1, 21))
    assert len({version.spec.script.read_text() for version in versions}) == 20
