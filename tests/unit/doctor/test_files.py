"""Checks of a project's files."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from importlib import metadata
from pathlib import Path

import pytest

from examined import Making, only, write
from firstlight.doctor import files
from firstlight.doctor.types import OK, PROBLEM, WARNING, Subject
from firstlight.runtime.errors import ProjectError

TOKEN = "hf_" + "abcdefghijklmnopqrstuvwx"


def test_a_project_file(subject: Making, root: Path) -> None:
    assert "no firstlight.toml" in only(files.project_file(subject())).what
    found = only(files.project_file(subject('[endpoints.mood]\nmodel = "bundle"\n')))
    assert (found.level, found.what, found.where) == (OK, "2 endpoints", "firstlight.toml")


def test_a_project_file_with_a_mistake(root: Path) -> None:
    mistake = ProjectError("firstlight.toml [endpoints.a] modle: is not a setting", "did you mean 'model'?")
    found = only(files.project_file(Subject(root, {}, mistake=mistake, file=root / "firstlight.toml")))
    assert (found.level, found.fix) == (PROBLEM, "did you mean 'model'?")


def test_scripts_that_are_fine(subject: Making) -> None:
    assert only(files.scripts(subject())).what == "1 script: all they import is installed"


def test_scripts_that_are_not(subject: Making, root: Path) -> None:
    write(
        root,
        "inference/a.py",
        "import json\nimport no_such_package\ndef handler(e, c):\n    import sklearn_x\n",
    )
    write(root, "inference/b.py", "def handler(event, context:\n")
    write(
        root,
        "inference/c.py",
        "try:\n    import no_such_package\nexcept ImportError:\n    pass\nhandler = 1\n",
    )
    found = list(files.scripts(subject()))
    assert [(one.level, one.where) for one in found] == [
        (PROBLEM, "inference/a.py:2"),
        (WARNING, "inference/a.py:4"),
        (PROBLEM, "inference/b.py:1"),
        (OK, ""),
    ]
    assert found[0].fix == "pip install no_such_package"
    assert "is not valid Python" in found[2].what
    assert [one.where for one in files.scripts(subject(names=("hello",)))] == [""]


def test_packages_whose_modules_are_called_otherwise(
    subject: Making, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "cv2", None)
    write(root, "inference/a.py", "import cv2\nhandler = 1\n")
    assert next(files.scripts(subject())).fix == "pip install opencv-python"


def test_requirements_that_are_not_needed(subject: Making, root: Path) -> None:
    write(root, "inference/a.py", "import numpy, firstlight, hello, json\nhandler = 1\n")
    assert only(files.requirements(subject())).what == "no script needs a package of its own"


def test_requirements_that_are_missing(subject: Making, root: Path) -> None:
    write(root, "inference/a.py", "import pytest, hypothesis\nhandler = 1\n")
    found = only(files.requirements(subject()))
    assert found.level == WARNING
    assert found.fix == "write requirements.txt: hypothesis pytest"
    have = metadata.version("hypothesis")
    write(
        root, "requirements.txt", f"# ours\nHypothesis[cli] == {have} ; python_version > '3'\n-r other.txt\n"
    )
    found = only(files.requirements(subject()))
    assert found.what == "does not name pytest"
    write(root, "requirements.txt", "hypothesis==0.0.1\npytest>=1\nno-such==1\n")
    found = only(files.requirements(subject()))
    assert f"hypothesis {have}, not 0.0.1" in found.what
    assert "no-such None" not in found.what
    assert "no-such not installed, not 1" in found.what
    write(root, "requirements.txt", f"hypothesis=={have}\npytest\n")
    assert only(files.requirements(subject())).level == OK


def test_secrets_are_found_by_name_and_by_shape_and_not_shown(subject: Making) -> None:
    env = f'MY_API_KEY = "12345", OTHER = "{TOKEN}", GREETING = "hi", DB_PASSWORD = ""'
    toml = f"[endpoints.hello]\nenv = {{ {env} }}\n"
    found = list(files.secrets(subject(toml)))
    assert [one.level for one in found] == [WARNING, WARNING]
    said = " ".join(f"{one.what} {one.why} {one.fix}" for one in found)
    assert "MY_API_KEY" in said
    assert "OTHER" in said
    assert TOKEN not in said
    assert "12345" not in said
    assert only(files.secrets(subject('[endpoints.hello]\nenv = { GREETING = "hi" }\n'))).level == OK


def git(root: Path) -> None:
    subprocess.run(("git", "init", "-q", str(root)), check=True)


def test_what_git_should_ignore(subject: Making, root: Path) -> None:
    assert only(files.ignored(subject())).what == "not a git repository"
    git(root)
    assert only(files.ignored(subject())).level == OK
    write(root, ".env", "A=1")
    write(root, ".firstlight/records.sqlite", "")
    write(root, ".venv/.gitignore", "*\n")
    write(root, ".gitignore", "*.log")
    found = only(files.ignored(subject()))
    assert (found.level, found.what) == (WARNING, "git does not ignore .firstlight, .env")
    assert found.repair is not None
    assert found.repair() == "added .firstlight/ .env to .gitignore"
    assert (root / ".gitignore").read_text() == "*.log\n.firstlight/\n.env\n"
    assert only(files.ignored(subject())).level == OK


def test_a_repository_without_git_at_hand(
    subject: Making, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    git(root)
    monkeypatch.setenv("PATH", "/nowhere")
    write(root, ".env", "A=1")
    assert only(files.ignored(subject())).level == WARNING
    write(root, ".gitignore", ".env\n")
    assert only(files.ignored(subject())).level == OK


def test_the_note_of_a_server(subject: Making, root: Path) -> None:
    assert "no server" in only(files.server(subject())).what
    note = write(root, ".firstlight/server.json", json.dumps({"url": "http://x", "pid": os.getpid()}))
    assert f"process {os.getpid()}" in only(files.server(subject())).what
    ended = subprocess.Popen(("true",))
    ended.wait()
    for text in (json.dumps({"pid": ended.pid}), "torn", "{}", json.dumps({"pid": "x"})):
        note.write_text(text)
        found = only(files.server(subject()))
        assert found.level == WARNING
        assert found.repair is not None
        assert found.repair() == f"removed {note}"
        assert not note.exists()
