"""Keepers: what a worker starts ends with it, whatever it does to get away."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import sys
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from firstlight.invoke.families import System, below, own_mb
from firstlight.invoke.kept import KeptLauncher
from firstlight.invoke.pool import PoolInvoker
from firstlight.invoke.processes import Launch, Process
from firstlight.invoke.types import Invocation, WorkerSpec
from firstlight.runtime.errors import WorkerFailed

DAEMON = """
import os, sys, time
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        os.execve(sys.executable, [sys.executable, "-c", f"import time; time.sleep(60) # {sys.argv[1]}"], {})
    os._exit(0)
os.wait()
print("begun", flush=True)
if sys.argv[2] == "stay":
    time.sleep(60)
sys.exit(5)
"""
CROWD = """
import os, time
for _ in range(40):
    if os.fork() == 0:
        time.sleep(60)
print("all here", flush=True)
time.sleep(60)
"""

GREEDY = """
import os, time
if os.fork() == 0:
    kept = []
    for _ in range(200):
        kept.append(bytearray(b"x" * 1048576))
        time.sleep(0.002)
time.sleep(60)
"""
SHARING = """
import os, time
kept = bytearray(b"x" * 60 * 1048576)
for _ in range(5):
    if os.fork() == 0:
        time.sleep(60)
print("all here", flush=True)
time.sleep(60)
"""


class Started:
    """A worker, and what becomes of it."""

    def __init__(self, folder: Path, launcher: KeptLauncher) -> None:
        self._file = (folder / "log").open("w+b")
        self._launcher = launcher
        self.ended: asyncio.Future[int] = asyncio.get_running_loop().create_future()

    async def start(self, *command: str, processes: int = 1024, cwd: Path | None = None) -> Process:
        folder = cwd or Path(self._file.name).parent
        launch = Launch(command, {"A": "1"}, folder, self._file.fileno(), 128, processes)
        return await self._launcher.launch(launch, self.ended.set_result)

    def log(self) -> str:
        return Path(self._file.name).read_text()

    def close(self) -> None:
        self._file.close()


@pytest.fixture
async def launcher() -> AsyncIterator[KeptLauncher]:
    made = KeptLauncher()
    made.prepare()
    yield made
    await made.close()


@pytest.fixture
async def started(tmp_path: Path, launcher: KeptLauncher) -> AsyncIterator[Started]:
    made = Started(tmp_path, launcher)
    yield made
    made.close()


def with_mark(mark: str) -> list[int]:
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and int(entry.name) != os.getpid():
            try:
                if mark.encode() in (entry / "cmdline").read_bytes():
                    found.append(int(entry.name))
            except OSError:
                continue
    return found


async def until(condition: Callable[[], object]) -> None:
    async with asyncio.timeout(20):
        while not condition():
            await asyncio.sleep(0.005)


async def test_its_environment_its_folder_and_its_status(started: Started, tmp_path: Path) -> None:
    said = "import os, sys; print(dict(os.environ), os.getcwd()); sys.exit(4)"
    process = await started.start(sys.executable, "-I", "-S", "-c", said)
    assert await started.ended == 4
    assert str(tmp_path) in started.log()
    assert "'A': '1'" in started.log()
    process.kill()  # it has ended: nothing happens


@pytest.mark.parametrize("end", ["exit", "stay"])
async def test_a_daemon_ends_with_the_worker(started: Started, end: str) -> None:
    mark = f"daemon-{os.getpid()}-{end}"
    process = await started.start(sys.executable, "-I", "-S", "-c", DAEMON, mark, end)
    await until(lambda: "begun" in started.log())
    if end == "stay":
        await until(lambda: len(with_mark(mark)) == 2)
        process.kill()
    assert await started.ended == (-9 if end == "stay" else 5)
    await until(lambda: not with_mark(mark))


async def test_all_of_it_ends_with_the_server(started: Started, launcher: KeptLauncher) -> None:
    """The server's end of the socket is all that tells a keeper that it lives."""
    mark = f"orphan-{os.getpid()}"
    process = await started.start(sys.executable, "-I", "-S", "-c", DAEMON, mark, "stay")
    await until(lambda: len(with_mark(mark)) == 2)
    process.close()  # type: ignore[attr-defined]
    await until(lambda: not with_mark(mark))
    assert not started.ended.done()


async def test_a_crowd_is_stopped_and_its_log_says_why(started: Started) -> None:
    await started.start(sys.executable, "-I", "-S", "-c", CROWD, processes=20)
    assert await started.ended == -signal.SIGKILL
    assert re.search(
        r"stopped: it has \d+ processes and threads, and on AWS Lambda 20 is the most", started.log()
    )


async def test_memory_of_what_it_started_counts_too(started: Started) -> None:
    await started.start(sys.executable, "-I", "-S", "-c", GREEDY)
    assert await started.ended == -signal.SIGKILL
    said = re.search(r"stopped: with what it started it uses (\d+) MB, more than its 128 MB", started.log())
    assert said
    assert 128 < int(said[1]) < 1000


async def test_memory_that_is_shared_counts_once(started: Started) -> None:
    process = await started.start(sys.executable, "-I", "-S", "-c", SHARING)
    await until(lambda: "all here" in started.log())
    await until(lambda: sum(size for _, _, size, _ in below(process.pid)) > 200)
    process.kill()
    assert await started.ended == -signal.SIGKILL
    assert "stopped" not in started.log()


async def test_a_launch_that_is_given_up_leaves_nothing(started: Started) -> None:
    mark = f"given-up-{os.getpid()}"
    command = (sys.executable, "-I", "-S", "-c", f"import time; time.sleep(60) # {mark}")
    task = asyncio.create_task(started.start(*command))
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await until(lambda: not with_mark(mark))
    assert not started.ended.done()


async def test_a_program_that_is_not_there(started: Started, tmp_path: Path) -> None:
    with pytest.raises(WorkerFailed, match="No such file"):
        await started.start("/nowhere/at/all")
    with pytest.raises(WorkerFailed, match="No such file"):
        await started.start(sys.executable, cwd=tmp_path / "nowhere")


async def test_a_nursery_that_was_killed_is_started_again(started: Started, launcher: KeptLauncher) -> None:
    nursery = launcher._nursery
    assert nursery is not None
    nursery.kill()
    nursery.wait()
    await started.start(sys.executable, "-I", "-S", "-c", "print('here')")
    assert await started.ended == 0
    assert launcher._nursery is not nursery


async def test_an_environment_that_does_not_fit_a_message(tmp_path: Path, launcher: KeptLauncher) -> None:
    ended: asyncio.Future[int] = asyncio.get_running_loop().create_future()
    with (tmp_path / "out").open("wb") as output:
        command = (sys.executable, "-c", "import os; print(len(os.environ['B']))")
        env = {"A": "x" * 100_000, "B": "x" * 100_000}
        await launcher.launch(Launch(command, env, tmp_path, output.fileno(), 128), ended.set_result)
        assert await asyncio.wait_for(ended, 20) == 0
    assert (tmp_path / "out").read_text() == "100000\n"


def test_this_process_is_below_the_one_above_it() -> None:
    found = {pid: (threads, size) for pid, threads, size, _ in below(os.getppid())}
    threads, size = found[os.getpid()]
    assert threads >= 1
    system = System()
    assert 0 < own_mb(os.getpid()) <= size + 1 < system.available_mb()
    assert system.tasks() > 1
    system.close()
    assert os.getpid() not in [pid for pid, _, _, _ in below(os.getppid(), {os.getpid()})]
    assert own_mb(2**22 + 1) == 0


async def test_a_daemon_of_a_copy_of_a_snapshot_ends_with_it(tmp_path: Path) -> None:
    mark = f"copied-{os.getpid()}"
    script = tmp_path / "copied.py"
    lines = [line.replace("sys.argv[1]", repr(mark)) for line in DAEMON.splitlines()[:7]]
    body = "\n    ".join(line for line in lines if line and not line.startswith("import"))
    head = "import os, sys\n\n\ndef handler(event, context):\n    if event:\n        os._exit(1)\n"
    script.write_text(f"{head}    {body}\n")
    spec = WorkerSpec("copied", script=script, version="1", snap_start=True)
    pool = PoolInvoker({"copied:1": spec})
    try:
        for end in (b"true", b""):
            reply = await pool.invoke(Invocation("copied", b"null", version="1"))
            assert reply.outcome == "ok", reply.payload
            await until(lambda: len(with_mark(mark)) == 1)
            if end:
                await pool.invoke(Invocation("copied", end, version="1"))
                await until(lambda: not with_mark(mark))
    finally:
        await pool.close()
    await until(lambda: not with_mark(mark))
