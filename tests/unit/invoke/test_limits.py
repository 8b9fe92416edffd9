"""What a worker is given."""

from __future__ import annotations

import os
import resource
import subprocess
import sys
from pathlib import Path

import pytest

from firstlight.invoke import limits
from firstlight.invoke.types import WorkerSpec


def test_a_model_a_script_and_a_handler(tmp_path: Path) -> None:
    model = WorkerSpec("m", bundle=tmp_path, task="zero-shot-classification")
    env = limits.environment(model, "unix:/s")
    assert env["FIRSTLIGHT_BUNDLE"] == str(tmp_path) == env["LAMBDA_TASK_ROOT"]
    assert env["FIRSTLIGHT_TASK"] == "zero-shot-classification"
    assert env["AWS_LAMBDA_RUNTIME_API"] == "unix:/s"
    assert "-S" in limits.command(model)
    script = WorkerSpec("s", script=tmp_path / "x.py")
    env = limits.environment(script, "unix:/s")
    assert env["FIRSTLIGHT_SCRIPT"] == str(tmp_path / "x.py")
    assert env["LAMBDA_TASK_ROOT"] == str(tmp_path)
    assert "FIRSTLIGHT_BUNDLE" not in env
    assert "-S" not in limits.command(script)
    other = WorkerSpec("o", handler="a.b", cwd=tmp_path, command=("x", "y"))
    assert limits.environment(other, "h:1")["_HANDLER"] == "a.b"
    assert limits.command(other) == ("x", "y")


def test_nothing_of_the_users_own_is_inherited(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in list(os.environ):
        monkeypatch.setenv(name, "mine")
    monkeypatch.setenv("HF_TOKEN", "mine")
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    env = limits.environment(WorkerSpec("f", env={"A": "1"}), "h:1")
    assert "mine" not in env.values()
    assert "HOME" not in env
    assert env["A"] == "1"


def test_what_lambda_reserves_cannot_be_set() -> None:
    env = limits.environment(WorkerSpec("f", env={"AWS_LAMBDA_RUNTIME_API": "x", "LANG": "C"}), "h:1")
    assert env["AWS_LAMBDA_RUNTIME_API"] == "h:1"
    assert env["LANG"] == "C"


@pytest.mark.parametrize("kind", ["on-demand", "provisioned-concurrency", "snap-start"])
def test_a_version_knows_which_it_is_and_why_it_was_started(kind: str) -> None:
    env = limits.environment(WorkerSpec("f", version="7"), "h:1", kind)
    assert env["AWS_LAMBDA_FUNCTION_VERSION"] == "7"
    assert env["AWS_LAMBDA_INITIALIZATION_TYPE"] == kind
    # AWS Lambda developer guide, "Monitoring for Lambda SnapStart": not available in SnapStart functions.
    assert (
        ("AWS_LAMBDA_LOG_STREAM_NAME" in env)
        == ("AWS_LAMBDA_LOG_GROUP_NAME" in env)
        == (kind != "snap-start")
    )


def test_the_import_path_has_the_package_and_its_libraries() -> None:
    folders = [Path(folder) for folder in limits.import_path().split(os.pathsep)]
    assert (folders[0] / "firstlight" / "runtime").is_dir()
    assert any((folder / "onnxruntime").is_dir() for folder in folders)


@pytest.fixture
def sleeper() -> object:
    process = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    yield process
    process.communicate(b"\n")


def test_memory_of_a_process(sleeper: subprocess.Popen[bytes]) -> None:
    memory = limits.Memory(sleeper.pid)
    now = memory.resident_mb()
    assert now is not None
    assert 0 < now <= memory.peak_mb() + 1
    peak = memory.peak_mb()
    sleeper.kill()
    sleeper.wait()
    assert memory.resident_mb() is None
    assert memory.peak_mb() == peak
    memory.close()
    memory.close()


def test_a_process_that_never_was() -> None:
    memory = limits.Memory(2**22 + 1)
    assert memory.peak_mb() == 0
    limits.set_limits(2**22 + 1, 128)


def test_the_ceiling(sleeper: subprocess.Popen[bytes]) -> None:
    limits.set_limits(sleeper.pid, 128)
    expected = (128 + 1024) * 1024 * 1024
    assert resource.prlimit(sleeper.pid, resource.RLIMIT_DATA) == (expected, expected)
    assert resource.prlimit(sleeper.pid, resource.RLIMIT_NOFILE) == (1024, 1024)
    assert resource.prlimit(sleeper.pid, resource.RLIMIT_CORE) == (0, 0)
