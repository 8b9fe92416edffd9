"""The environment for conversions, made for real by pip, once for all tests."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from firstlight.build.convert.apart import environment


class Told:
    """A Progress that remembers."""

    def __init__(self) -> None:
        self.stages: list[str] = []
        self.said: list[str] = []

    def stage(self, name: str, total: int | None = None) -> None:
        self.stages.append(name)

    def advance(self, count: int) -> None:
        pass

    def say(self, text: str) -> None:
        self.said.append(text)


@pytest.fixture
def told() -> Told:
    return Told()


@pytest.fixture(scope="session")
def data_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the environment is kept; FIRSTLIGHT_TEST_DATA names one to be kept between runs."""
    named = os.environ.get("FIRSTLIGHT_TEST_DATA")
    return Path(named) if named else tmp_path_factory.mktemp("data")


@pytest.fixture(scope="session")
def made(data_home: Path) -> tuple[Path, Told]:
    """The interpreter with PyTorch, and what was said while its environment was made."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_DATA_HOME", str(data_home))
        patch.delenv("FIRSTLIGHT_CONVERT_PYTHON", raising=False)
        telling = Told()
        return environment.python(telling), telling


@pytest.fixture
def interpreter(made: tuple[Path, Told], data_home: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The same, found by whoever asks for it in this test."""
    monkeypatch.setenv("XDG_DATA_HOME", str(data_home))
    monkeypatch.delenv("FIRSTLIGHT_CONVERT_PYTHON", raising=False)
    return made[0]


@pytest.fixture(scope="session")
def there(made: tuple[Path, Told]) -> Callable[..., str]:
    """Runs a script where PyTorch is: ``there(script, argument, ...)``; returns what it printed."""

    def run(script: str, *arguments: Any) -> str:
        command = [str(made[0]), "-c", script, *map(str, arguments)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert not done.returncode, done.stderr
        return done.stdout

    return run
