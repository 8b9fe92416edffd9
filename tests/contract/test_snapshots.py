"""SnapStart: workers that are copies of one that was initialised, and what may not be copied."""

from __future__ import annotations

import asyncio
import json
import os
import re
import signal
import sys
import textwrap
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from firstlight import starters
from firstlight.invoke import snapshot
from firstlight.invoke.pool import PoolInvoker
from firstlight.invoke.snapshot import SnapStartError
from firstlight.invoke.types import Invocation, Reply, WorkerSpec

WAIT = 20.0

HOOKS = """
import os, random, uuid
from snapshot_restore_py import register_after_restore, register_before_snapshot

print("initialising")
born = os.getpid()
done = []
os.environ["SET_BY_INIT"] = "yes"
words = open(__file__)
words.read(7)
random.seed(7)

@register_before_snapshot
def first():
    done.append("before 1")

@register_before_snapshot
def second():
    done.append("before 2")

@register_after_restore
def restored():
    done.append("restored")

def handler(event, context):
    if event and "path" in event:
        with open(event["path"], "w"):
            pass
        while not os.path.exists(event["go"]):
            pass
    return {
        "born": born, "pid": os.getpid(), "done": done, "read": words.read(6), "random": random.random(),
        "uuid": str(uuid.uuid4()), "environment": dict(os.environ), "arn": context.invoked_function_arn,
    }
"""


class Bench:
    """Makes pools of one version of a script."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.lines: list[str] = []
        self.invokers: list[PoolInvoker] = []

    def spec(self, code: str, **fields: Any) -> WorkerSpec:
        script = self.folder / f"f{len(list(self.folder.iterdir()))}.py"
        script.write_text(textwrap.dedent(code))
        fields = {"timeout_s": WAIT, "memory_mb": 512, "version": "1", "snap_start": True, **fields}
        return WorkerSpec("f", script=script, **fields)

    def invoker(self, spec: WorkerSpec, **options: Any) -> PoolInvoker:
        made = PoolInvoker(
            {"f:1": spec}, log_sink=lambda endpoint, request_id, text: self.lines.append(text), **options
        )
        self.invokers.append(made)
        return made

    def wrote(self, text: str) -> int:
        return "".join(self.lines).count(text)


@pytest.fixture
async def bench(tmp_path: Path) -> AsyncIterator[Bench]:
    folder = tmp_path / "functions"
    folder.mkdir()
    made = Bench(folder)
    yield made
    for invoker in made.invokers:
        await invoker.close(0.1)


async def call(invoker: PoolInvoker, event: Any = None) -> Reply:
    invocation = Invocation("f", json.dumps(event).encode(), version="1", qualifier="live")
    return await asyncio.wait_for(invoker.invoke(invocation), WAIT)


def value(reply: Reply) -> Any:
    assert reply.function_error is None, reply.payload
    return json.loads(reply.payload)


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(WAIT):
        while not condition():
            await asyncio.sleep(0.005)


async def two_copies(invoker: PoolInvoker, folder: Path) -> list[Reply]:
    """The replies of two workers that ran side by side."""
    a, b = str(folder / "a"), str(folder / "b")
    return list(
        await asyncio.gather(
            call(invoker, {"path": a, "go": b}),
            call(invoker, {"path": b, "go": a}),
        )
    )


class TestCopies:
    async def test_the_init_is_done_once(self, bench: Bench, tmp_path: Path) -> None:
        invoker = bench.invoker(bench.spec(HOOKS, concurrency=2))
        replies = await two_copies(invoker, tmp_path)
        one, two = map(value, replies)
        assert one["born"] == two["born"] not in (one["pid"], two["pid"])
        assert one["pid"] != two["pid"]
        assert one["done"] == two["done"] == ["before 2", "before 1", "restored"]
        assert bench.wrote("initialising") == 1
        assert bench.wrote("INIT_REPORT Init Duration: ") == 1

    async def test_copies_share_nothing_they_should_not(self, bench: Bench, tmp_path: Path) -> None:
        invoker = bench.invoker(bench.spec(HOOKS, concurrency=2))
        one, two = map(value, await two_copies(invoker, tmp_path))
        assert one["read"] == two["read"] == " os, r"
        assert one["random"] != two["random"]
        assert one["uuid"] != two["uuid"]

    async def test_the_environment_and_the_log(self, bench: Bench) -> None:
        invoker = bench.invoker(bench.spec(HOOKS))
        reply = await call(invoker)
        env = value(reply)["environment"]
        assert env["AWS_LAMBDA_INITIALIZATION_TYPE"] == "snap-start"
        assert env["AWS_LAMBDA_FUNCTION_VERSION"] == "1"
        assert env["SET_BY_INIT"] == "yes"
        assert not {name for name in env if name.startswith("AWS_LAMBDA_LOG_")}
        assert value(reply)["arn"].endswith(":function:f:live")
        lines = reply.log.decode().splitlines()
        assert re.fullmatch(r"RESTORE_START Runtime Version: python:3\.\d+", lines[0])
        restored = re.fullmatch(r"RESTORE_REPORT Restore Duration: ([\d.]+) ms", lines[1])
        assert restored is not None
        assert lines[2].startswith("START RequestId")
        assert f"\tRestore Duration: {restored[1]} ms\tBilled Restore Duration: " in lines[-1]
        assert "Init Duration" not in lines[-1]
        assert reply.report.cold
        assert (reply.report.init_ms, reply.report.restore_ms) == (
            None,
            pytest.approx(float(restored[1]), abs=0.01),
        )
        warm = await call(invoker)
        assert (warm.report.cold, warm.report.restore_ms) == (False, None)
        assert b"Restore" not in warm.log

    async def test_what_a_copy_writes_is_its_own(self, bench: Bench) -> None:
        code = """
            import sys, logging
            logging.basicConfig(stream=sys.stdout, format="logged %(message)s")
            def handler(event, context):
                print("to stdout")
                print("to stderr", file=sys.stderr)
                logging.warning("too")
        """
        log = (await call(bench.invoker(bench.spec(code)))).log.decode()
        assert {"to stdout", "to stderr"} <= set(log.splitlines())
        assert "too" in log

    async def test_a_copy_that_takes_too_much_memory_ends_alone(self, bench: Bench) -> None:
        code = """
            import os
            def handler(event, context):
                kept = [bytearray(4 * 1024 * 1024) for _ in range(1000 if event else 0)]
                return os.getppid()
        """
        invoker = bench.invoker(bench.spec(code, memory_mb=128))
        parent = value(await call(invoker))
        reply = await call(invoker, {"grow": True})
        assert json.loads(reply.payload)["errorType"] == "Runtime.OutOfMemory"
        assert value(await call(invoker)) == parent

    async def test_kill_9_of_the_snapshot(self, bench: Bench) -> None:
        invoker = bench.invoker(bench.spec(HOOKS))
        before = value(await call(invoker))
        os.kill(before["born"], signal.SIGKILL)
        await until(lambda: invoker.status()["f:1"]["pids"] == [])
        after = value(await call(invoker))
        assert after["born"] not in (before["born"], after["pid"])

    async def test_closing_ends_it(self, bench: Bench) -> None:
        invoker = bench.invoker(bench.spec(HOOKS))
        born = value(await call(invoker))["born"]
        await invoker.close()
        assert not Path(f"/proc/{born}").exists()

    async def test_closing_while_it_begins(self, bench: Bench) -> None:
        invoker = bench.invoker(bench.spec("import time\ntime.sleep(60)"))
        await invoker.close()
        invoker = bench.invoker(bench.spec("import time\nprint('here')\ntime.sleep(60)"))
        await until(lambda: bench.wrote("here") == 1)
        await invoker.close()

    async def test_what_a_copy_started_ends_with_the_version(self, bench: Bench) -> None:
        code = """
            import os, subprocess, sys
            def handler(event, context):
                words = (sys.executable, "-c", "input()")
                child = subprocess.Popen(words, stdin=subprocess.PIPE, start_new_session=True)
                return [child.pid, os.getppid()]
        """
        invoker = bench.invoker(bench.spec(code))
        started, born = value(await call(invoker))
        [copy] = invoker.status()["f:1"]["pids"]
        assert born != copy
        os.kill(born, signal.SIGKILL)
        await until(lambda: not any(Path(f"/proc/{pid}").exists() for pid in (started, copy)))

    async def test_a_model_is_copied(self, bench: Bench) -> None:
        spec = WorkerSpec(
            "f",
            bundle=starters.path("sentiment"),
            timeout_s=WAIT,
            version="1",
            snap_start=True,
            concurrency=2,
        )
        invoker = bench.invoker(spec)
        reply = await call(invoker, {"inputs": "what a lovely day"})
        assert value(reply)[0]["label"] == "POSITIVE"
        assert reply.report.restore_ms is not None
        assert bench.wrote("SnapStart: workers are started anew") == 0


UNSAFE = [
    ("import threading\nthreading.Thread(target=threading.Event().wait, name='poller', daemon=True).start()",
     r"it has 2 threads \(poller\)"),
    ("import socket\nkept = socket.socket()", "it has a socket open"),
    ("import os\nkept = os.pipe()", "it has a pipe open"),
    ("import tempfile\nkept = tempfile.TemporaryFile()", "it has .* open for writing"),
    ("import mmap\nkept = mmap.mmap(-1, 4096)", "it has memory that is shared"),
    ("import subprocess, sys\nkept = subprocess.Popen([sys.executable, '-c', 'input()'], stdin=0)",
     "it has started a process that still runs"),
    ("import select\nkept = select.epoll()", r"it has anon_inode:\[eventpoll\] open"),
]  # fmt: skip


class TestWhatIsNotCopied:
    @pytest.mark.parametrize(("code", "why"), UNSAFE)
    async def test_workers_are_started_anew(self, bench: Bench, code: str, why: str) -> None:
        rest = """
            import os
            from snapshot_restore_py import register_after_restore
            born, done = os.getpid(), []
            register_after_restore(done.append, "restored")
            def handler(event, context):
                return [born == os.getpid(), done, os.environ["AWS_LAMBDA_INITIALIZATION_TYPE"]]
        """
        invoker = bench.invoker(bench.spec(code + "\n" + textwrap.dedent(rest)))
        reply = await call(invoker)
        assert value(reply) == [True, ["restored"], "snap-start"]
        assert reply.report.init_ms is not None
        assert re.search(f"SnapStart: workers are started anew, as {why}", "".join(bench.lines))

    async def test_libraries_that_know_of_forks_are_no_hindrance(self, bench: Bench) -> None:
        code = """
            import os
            import numpy
            numpy.ones((64, 64)) @ numpy.ones((64, 64))
            born = os.getpid()
            def handler(event, context):
                return [born != os.getpid(), float((numpy.ones((64, 64)) @ numpy.ones((64, 64))).sum())]
        """
        assert value(await call(bench.invoker(bench.spec(code)))) == [True, 64.0**3]

    async def test_a_system_that_cannot_fork(self, bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(snapshot, "available", lambda: False)
        found = value(await call(bench.invoker(bench.spec(HOOKS))))
        assert found["born"] == found["pid"]
        assert bench.wrote("this system cannot fork them") == 1


class TestFailures:
    async def test_an_init_that_fails(self, bench: Bench) -> None:
        invoker = bench.invoker(bench.spec("raise KeyError('no such thing')"))
        with pytest.raises(SnapStartError, match="f:1 could not be made: KeyError: 'no such thing'"):
            await call(invoker)
        with pytest.raises(SnapStartError):
            await call(invoker)

    async def test_an_init_that_ends_the_process(self, bench: Bench) -> None:
        with pytest.raises(SnapStartError, match="has ended in its init"):
            await call(bench.invoker(bench.spec("import os\nos._exit(3)")))

    async def test_an_init_that_takes_too_long(self, bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(snapshot, "INIT_LIMIT_S", 0.2)
        code = "import time\ntime.sleep(60)"
        with pytest.raises(SnapStartError, match="longer than SnapStart allows"):
            await call(bench.invoker(bench.spec(code, timeout_s=0.2)))

    @pytest.mark.parametrize("when", ["register_before_snapshot", "register_after_restore"])
    @pytest.mark.parametrize("copied", [True, False])
    async def test_a_hook_that_fails(
        self, bench: Bench, monkeypatch: pytest.MonkeyPatch, when: str, copied: bool
    ) -> None:
        monkeypatch.setattr(snapshot, "available", lambda: copied)
        code = f"""
            import snapshot_restore_py
            @snapshot_restore_py.{when}
            def hook():
                raise OSError("gone")
            def handler(event, context): ...
        """
        with pytest.raises(SnapStartError, match="OSError: gone"):
            await call(bench.invoker(bench.spec(code)))

    async def test_another_concurrency_keeps_it(self, bench: Bench) -> None:
        spec = bench.spec(HOOKS)
        invoker = bench.invoker(spec)
        born = value(await call(invoker))["born"]
        invoker.replace({"f:1": replace(spec, concurrency=2)})
        assert value(await call(invoker))["born"] == born


SERVER = """
import asyncio, json, sys
from pathlib import Path
from firstlight.invoke.pool import PoolInvoker
from firstlight.invoke.types import Invocation, WorkerSpec

async def main():
    pool = PoolInvoker({"f:1": WorkerSpec("f", script=Path(sys.argv[1]), version="1", snap_start=True)})
    reply = await pool.invoke(Invocation("f", b"null", version="1"))
    print(reply.payload.decode(), flush=True)
    await asyncio.sleep(600)

asyncio.run(main())
"""


async def test_nothing_stays_behind_when_the_server_is_killed(tmp_path: Path) -> None:
    script = tmp_path / "f.py"
    script.write_text("import os\ndef handler(event, context):\n    return [os.getppid(), os.getpid()]\n")
    server = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", SERVER, str(script)), stdout=asyncio.subprocess.PIPE
    )
    assert server.stdout is not None
    pids = json.loads(await asyncio.wait_for(server.stdout.readline(), WAIT))
    server.kill()
    await server.wait()
    await until(lambda: not any(Path(f"/proc/{pid}").exists() for pid in pids))
