from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from examined import Making, spec_of, write
from firstlight import project as projects
from firstlight.doctor.types import Subject


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A project with one script."""
    folder = tmp_path / "demo"
    write(folder, "inference/hello.py", "def handler(event, context):\n    return event\n")
    return folder


@pytest.fixture
def subject(root: Path, tmp_path: Path) -> Making:
    def make(toml: str | None = None, **more: Any) -> Subject:
        if toml is not None:
            write(root, "firstlight.toml", toml)
        env = {"XDG_CACHE_HOME": str(tmp_path / "cache"), **more.pop("env", {})}
        project = projects.load(root, env=env)
        return Subject(root, env, project, file=project.file, spec_of=spec_of(root), **more)

    return make
