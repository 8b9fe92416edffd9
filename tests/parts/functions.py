"""A project's functions as images, made once by ``firstlight build`` and loaded into the daemon."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from parts.daemon import Daemon

PROJECT = """
name = "shop"

[endpoints.mood]
model = "starter:sentiment"

[endpoints.hello]
script = "inference/hello.py"

[deploy]
architecture = "x86_64"
"""
HELLO = '''
"""Answers, streams, takes memory, and says where it runs."""
import os


def handler(event, context):
    what = event.get("do")
    if what == "memory":
        return len(b"x" * event["bytes"])
    if what == "where":
        return {"home": os.environ.get("HOME"), "user": os.getuid(), "function": context.function_name}
    if what == "stream":
        return (piece.encode() for piece in ("first ", "light"))
    return {"hello": event.get("name", "world")}
'''


@dataclass(frozen=True)
class Functions:
    """What was built.

    Attributes:
        root: the project's folder.
        said: what ``firstlight build --json`` printed.
        names: endpoint -> what its image is called in the daemon.
        tars: endpoint -> its tar file.
    """

    root: Path
    said: dict[str, Any]
    names: dict[str, str]
    tars: dict[str, Path]

    def package(self, name: str) -> dict[str, Any]:
        """What was said of an endpoint's image."""
        return next(one for one in self.said["packages"] if one["endpoint"] == name)


def write_project(root: Path) -> Path:
    """A project with a model and a script."""
    (root / "inference").mkdir(parents=True)
    (root / "inference" / "hello.py").write_text(HELLO)
    (root / "firstlight.toml").write_text(PROJECT)
    return root


def build(root: Path, *options: str | Path) -> dict[str, Any]:
    """``firstlight build`` in a project's folder; what it printed."""
    done = subprocess.run(
        [sys.executable, "-m", "firstlight", "build", "--json", *map(str, options)],
        cwd=root,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    said: dict[str, Any] = json.loads(done.stdout)
    return said


@pytest.fixture(scope="session")
def functions(tmp_path_factory: pytest.TempPathFactory, base: Path, daemon: Daemon) -> Functions:
    """The project's images, in the daemon."""
    root = write_project(tmp_path_factory.mktemp("shop") / "shop")
    said = build(root, "--base", base, "--tarball", root / "images")
    tars = {name: root / "images" / f"{name}.tar" for name in ("mood", "hello")}
    return Functions(root, said, {name: daemon.load(tar) for name, tar in tars.items()}, tars)
