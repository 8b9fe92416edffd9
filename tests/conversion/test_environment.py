"""The environment for conversions: made once, by one process at a time, whole or not at all."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from firstlight.build.convert.apart import environment
from firstlight.runtime.errors import ConversionError

# Another process with pins that take seconds: two small packages stand for PyTorch and the rest.
SMALL = """
import sys
from pathlib import Path
from firstlight.build.convert.apart import environment
from firstlight.build.types import Silent
environment.PINS = Path(sys.argv[1])
environment._NEEDED = ("packaging", "tqdm")
environment._TRIAL = "import packaging, tqdm"
class Told(Silent):
    def stage(self, name, total=None):
        print(name, flush=True)
print(environment.python(Told()), flush=True)
"""


@pytest.fixture
def pins(tmp_path: Path) -> Path:
    file = tmp_path / "pins.txt"
    file.write_text("# small\npackaging==26.3\ntqdm==4.70.1\n")
    return file


def start(pins: Path, data: Path) -> subprocess.Popen[str]:
    variables = {name: value for name, value in os.environ.items() if name != environment.VARIABLE}
    command = [sys.executable, "-c", SMALL, str(pins)]
    return subprocess.Popen(
        command, env=variables | {"XDG_DATA_HOME": str(data)}, stdout=subprocess.PIPE, text=True
    )


def test_it_is_made_with_what_is_pinned_and_says_so(made: Any) -> None:
    interpreter, told = made
    if told.stages:  # this run has made it
        assert "are downloaded once" in told.said[0]
        assert "installing torch==2.13.0" in told.stages
    script = (
        "import torch, transformers; print(torch.__version__, transformers.__version__, torch.version.cuda)"
    )
    done = subprocess.run([str(interpreter), "-I", "-c", script], capture_output=True, text=True, check=True)
    torch, transformers, cuda = done.stdout.split()
    assert torch.partition("+")[0] == environment.versions()["torch"]
    assert transformers == environment.versions()["transformers"]
    assert cuda == "None"


def test_it_is_found_again_without_a_word(interpreter: Path, told: Any) -> None:
    assert environment.python(told) == interpreter
    assert (told.stages, told.said) == ([], [])


def test_two_at_once_make_one(pins: Path, tmp_path: Path) -> None:
    both = [start(pins, tmp_path) for _ in range(2)]
    said = [process.communicate()[0].splitlines() for process in both]
    assert [process.returncode for process in both] == [0, 0]
    assert said[0][-1] == said[1][-1]
    assert sum("installing packaging==26.3" in lines for lines in said) == 1
    left = sorted(path.name for path in (tmp_path / "firstlight" / "environments").iterdir())
    assert len(left) == 2  # the environment and its lock
    assert not any("-" in name.removeprefix(".convert-") for name in left if name.startswith("."))


def test_one_killed_halfway_leaves_nothing_in_the_way(pins: Path, tmp_path: Path) -> None:
    with start(pins, tmp_path) as killed:
        assert killed.stdout is not None
        for line in killed.stdout:
            if line.startswith("installing"):
                killed.send_signal(signal.SIGKILL)
                break
    places = tmp_path / "firstlight" / "environments"
    assert [path for path in places.iterdir() if path.is_dir()] != []
    second = start(pins, tmp_path)
    said = second.communicate()[0].splitlines()
    assert second.returncode == 0
    assert Path(said[-1]).is_file()
    assert [path.name for path in places.iterdir() if path.is_dir()] == [Path(said[-1]).parent.parent.name]


def test_without_a_network(pins: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "nothing").mkdir()
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path / "nothing"))
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    monkeypatch.delenv(environment.VARIABLE, raising=False)
    monkeypatch.setattr(environment, "PINS", pins)
    with pytest.raises(
        ConversionError, match=r"No matching distribution found for packaging==26\.3"
    ) as caught:
        environment.python()
    assert "connect to the network" in caught.value.hint
    assert environment.VARIABLE in caught.value.hint
    assert [path for path in (tmp_path / "firstlight" / "environments").iterdir() if path.is_dir()] == []


@pytest.mark.parametrize("system", ["linux", "darwin"])
def test_where_torch_comes_from(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, system: str) -> None:
    """Linux's usual builds bring CUDA, so pip has to be told where those for CPUs are; others bring none."""
    monkeypatch.setattr(environment.sys, "platform", system)
    for source in environment._PIP_SOURCES:
        monkeypatch.delenv(f"PIP_{source.replace('-', '_').upper()}", raising=False)
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    here = Path(sys.executable)
    if system == "linux":
        with pytest.raises(ConversionError, match="not told where PyTorch's builds for CPUs are") as caught:
            environment._check_sources(here)
        assert "PIP_EXTRA_INDEX_URL" in caught.value.hint
    else:
        environment._check_sources(here)
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path))
    environment._check_sources(here)
