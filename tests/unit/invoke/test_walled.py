"""What a worker within walls is given, and what is said of what they refuse."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from firstlight.invoke import limits, walled
from firstlight.invoke.types import WorkerSpec
from firstlight.isolation.walls import HOME


@pytest.fixture
def spec(tmp_path: Path) -> WorkerSpec:
    (tmp_path / "inference").mkdir()
    script = tmp_path / "inference" / "hello.py"
    script.write_text("def handler(event, context): ...\n")
    for path in (script, script.parent, tmp_path):
        path.chmod(0o755)
    return WorkerSpec("hello", script=script, cwd=tmp_path)


def hint(spec: WorkerSpec, message: str, kind: str = "OSError", trace: str = "") -> str:
    error = {"errorType": kind, "errorMessage": message, "stackTrace": [trace]}
    body, found = walled.explained(json.dumps(error).encode(), walled.walled(spec))
    assert json.loads(body) == ({**error, "hint": found} if found else error)
    return found


def test_walls_show_what_the_endpoint_is_made_of(spec: WorkerSpec, tmp_path: Path) -> None:
    layer, bundle = tmp_path / "layer", tmp_path / "bundle"
    for folder in (layer, bundle):
        folder.mkdir()
    (tmp_path / "weights").write_text("w")
    (bundle / "model.weights").symlink_to(tmp_path / "weights")
    model = WorkerSpec("m", bundle=bundle, env={"NLTK_DATA": f"{layer}:/not/there", "A": "b", "ROOT": "/"})
    walls = walled.walled(model).walls
    assert walls is not None
    assert set(walls.through) == {bundle, tmp_path / "weights", layer}
    walls = walled.walled(spec).walls
    assert walls is not None
    assert set(walls.through) == {tmp_path, tmp_path / "inference"}
    assert walls.home == HOME
    assert walls.network
    assert not walls.unreadable


def test_home_can_be_set_by_the_endpoint(tmp_path: Path) -> None:
    walls = walled.walled(WorkerSpec("m", bundle=tmp_path, env={"HOME": "/tmp"})).walls
    assert walls is not None
    assert walls.home == "/tmp"


def test_a_worker_within_walls_has_nobodys_cache(
    spec: WorkerSpec, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert "XDG_CACHE_HOME" in limits.environment(spec, "unix:/s")
    assert "XDG_CACHE_HOME" not in limits.environment(walled.walled(spec), "unix:/s")


def test_the_command_is_wrapped_only_within_walls(spec: WorkerSpec, tmp_path: Path) -> None:
    words = ("python", "x.py")
    assert walled.command(words, None, tmp_path) == words
    wrapped = walled.command(words, walled.walled(spec).walls, tmp_path / "sockets")
    assert wrapped[-2:] == words
    assert str(tmp_path / "sockets") in wrapped[-3]


def test_what_only_its_owner_may_read_is_found(tmp_path: Path) -> None:
    modes = {"a.py": 0o644, "model.safetensors": 0o600, "run": 0o711, "deep/b": 0o640, "deep/c": 0o604}
    (tmp_path / "deep").mkdir(mode=0o755)
    for name, mode in modes.items():
        (tmp_path / name).write_text("")
        (tmp_path / name).chmod(mode)
    for name in ("shut", ".git"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "inner").write_text("")
        (tmp_path / name).chmod(0o750)
    (tmp_path / "link").symlink_to(tmp_path / "model.safetensors")
    found = {str(path.relative_to(tmp_path)) for path in walled.unreadable([tmp_path, tmp_path / "deep"])}
    assert found == {"model.safetensors", "run", "deep/b", "shut"}
    assert walled.unreadable([tmp_path / "not there"]) == []


def test_the_number_of_mounts_has_a_limit(tmp_path: Path) -> None:
    for number in range(walled._MOST_UNREADABLE + 5):
        (tmp_path / str(number)).touch(0o600)
    assert len(walled.unreadable([tmp_path])) == walled._MOST_UNREADABLE


@pytest.mark.parametrize(
    "message",
    [
        f"[Errno 30] Read-only file system: '{HOME}'",
        f"[Errno 2] No such file or directory: '{HOME}/nltk_data'",
        f"[Errno 13] Permission denied: '{HOME}'",
        f"PermissionError at {HOME}/.cache when downloading x. Check cache directory permissions.",
    ],
)
def test_home(spec: WorkerSpec, message: str) -> None:
    said = hint(spec, message)
    assert said.startswith(f"HOME is {HOME} on AWS Lambda, which does not exist and cannot be made")
    assert "firstlight trace" in said
    assert "HOME=/tmp" in said


def test_files(spec: WorkerSpec, tmp_path: Path) -> None:
    (tmp_path / "model.safetensors").touch(0o600)
    read_only = hint(spec, "[Errno 30] Read-only file system: 'out.txt'")
    assert read_only.startswith("only /tmp can be written on AWS Lambda")
    assert hint(spec, "[Errno 13] Permission denied: 'out.txt'", "PermissionError") == read_only
    closed = hint(spec, "[Errno 13] Permission denied: 'model.safetensors'", "PermissionError")
    assert closed.startswith("only its owner may read model.safetensors")
    assert f"chmod -R a+rX {tmp_path}/model.safetensors" in closed
    assert "512 MB" in hint(spec, "[Errno 28] No space left on device")
    assert hint(spec, "[Errno 2] No such file or directory: 'typo.txt'") == ""


@pytest.mark.parametrize("number", [2, 13, 38])
def test_locks(spec: WorkerSpec, number: int) -> None:
    trace = 'File "/usr/lib/python3.12/multiprocessing/synchronize.py", line 57, in __init__'
    assert hint(spec, f"[Errno {number}] whatever", trace=trace) == walled.LOCKS
    assert hint(spec, f"[Errno {number}] whatever") == ""


def test_what_else_libraries_say(spec: WorkerSpec) -> None:
    assert hint(spec, "'getpwuid(): uid not found: 993'", "KeyError") == walled.UNKNOWN_USER
    numba = "cannot cache function 'f': no locator available for file '/x.py'"
    assert hint(spec, numba, "RuntimeError") == walled.NUMBA
    assert hint(spec, "boom", "ValueError") == ""


@pytest.mark.parametrize(
    "body", [b"", b"[1]", b"not json", b'{"errorMessage": "[Errno 30] x", "hint": "own"}']
)
def test_what_has_no_hint_stays_as_it_is(spec: WorkerSpec, body: bytes) -> None:
    assert walled.explained(body, walled.walled(spec)) == (body, "")


def test_without_walls_nothing_is_explained(spec: WorkerSpec) -> None:
    error: dict[str, Any] = {"errorMessage": f"[Errno 30] Read-only file system: '{HOME}'"}
    body = json.dumps(error).encode()
    assert walled.explained(body, spec) == (body, "")
