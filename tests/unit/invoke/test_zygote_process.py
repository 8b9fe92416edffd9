"""The zygote and what it has loaded."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from pathlib import Path

import pytest

from firstlight.invoke import zygote_process
from firstlight.invoke.limits import environment, import_path
from firstlight.invoke.processes import Launch
from firstlight.invoke.types import WorkerSpec
from firstlight.invoke.zygote import ZygoteLauncher
from firstlight.runtime.bundle import Bundle
from firstlight.starters import path

CHECK = """
import sys, json
sys.path[:0] = json.loads(sys.argv[1])
import importlib.util, os
spec = importlib.util.spec_from_file_location("zygote", sys.argv[2])
module = importlib.util.module_from_spec(spec)
spec.loader.exec_module(module)
module.preload()
before = set(sys.modules)
from firstlight.runtime import entry
entry.load({"FIRSTLIGHT_BUNDLE": sys.argv[3]})({"inputs": "a text"}, None)
print(json.dumps([sorted(set(sys.modules) - before), len(os.listdir("/proc/self/task"))]))
"""


def preloaded(*arguments: str) -> tuple[list[str], int]:
    folders = json.dumps(import_path().split(":"))
    command = (sys.executable, "-I", "-S", "-c", CHECK, folders, zygote_process.__file__, *arguments)
    output = subprocess.run(command, capture_output=True, check=True, text=True).stdout
    modules, threads = json.loads(output.splitlines()[-1])
    return modules, threads


@pytest.mark.parametrize("starter", ["sentiment", "embeddings"])
def test_a_worker_of_a_starter_imports_nothing_more(
    starter: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    Bundle.open(path(starter), verify="first")  # the first look at a file hashes it, once on each machine
    modules, _ = preloaded(str(path(starter)))
    assert [name for name in modules if not name.startswith("encodings.")] == []


def launch(env: dict[str, str], folder: Path, output: int) -> Launch:
    return Launch(("unused",), env, folder, output, 128)


async def test_a_zygote_has_one_thread_and_little_memory(tmp_path: Path) -> None:
    zygote = ZygoteLauncher()
    ended: asyncio.Future[int] = asyncio.get_running_loop().create_future()
    output = (tmp_path / "out").open("wb")
    env = environment(WorkerSpec("f"), "unix:/nowhere")
    process = await zygote.launch(launch(env, tmp_path, output.fileno()), ended.set_result)
    assert len(list(Path(f"/proc/{zygote.pid}/task").iterdir())) == 1
    assert process.pid != zygote.pid
    # The worker finds no Runtime API there, says so in its log and ends.
    assert await asyncio.wait_for(ended, 20) == 1
    output.close()
    assert "/nowhere" in (tmp_path / "out").read_text()
    await zygote.close()


async def test_an_environment_that_does_not_fit_a_message_is_spawned(tmp_path: Path) -> None:
    zygote = ZygoteLauncher()
    ended: asyncio.Future[int] = asyncio.get_running_loop().create_future()
    env = {"PAD": "x" * 100_000, "PAD2": "x" * 100_000}
    with (tmp_path / "out").open("wb") as output:
        command = (sys.executable, "-c", "import os; print(len(os.environ['PAD2']))")
        await zygote.launch(Launch(command, env, tmp_path, output.fileno(), 128), ended.set_result)
        assert await asyncio.wait_for(ended, 20) == 0
    assert (tmp_path / "out").read_text() == "100000\n"
    await zygote.close()
