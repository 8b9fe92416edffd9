"""What every invoker must do, whichever way its workers are started and whoever wrote their Runtime API client."""

from __future__ import annotations

import asyncio
import contextlib
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

from firstlight.invoke import pool as pool_module
from firstlight.invoke.pool import PoolInvoker
from firstlight.invoke.provisioning import Provisioned
from firstlight.invoke.types import REQUEST_LIMIT, RESPONSE_LIMIT, Invocation, Reply, Throttled, WorkerSpec
from firstlight.runtime.errors import EndpointNotFound, PayloadTooLarge, WorkerFailed

WAIT = 20.0

FUNCTIONS = """
import json, os, pathlib, signal, sys, time

def wait_for(path):
    while not pathlib.Path(path).exists():
        time.sleep(0.005)

def echo(event, context):
    return event

def pid(event, context):
    return os.getpid()

def boom(event, context):
    raise ValueError("boom \\u2603")

def sleep(event, context):
    pathlib.Path(event["started"]).touch()
    time.sleep(60)

def meet(event, context):
    pathlib.Path(event["mine"]).touch()
    wait_for(event["other"])
    return os.getpid()

def leave(event, context):
    os._exit(event["status"])

def die(event, context):
    os.kill(os.getpid(), event["signal"])
    time.sleep(60)

def grow(event, context):
    kept = []
    while True:
        kept.append(bytearray(4 * 1024 * 1024))

def grab(event, context):
    return len(bytearray(20 * 1024 ** 3))

def big(event, context):
    return "x" * (event["bytes"] - 2)

def environment(event, context):
    return dict(os.environ)

def about(event, context):
    return {
        "id": context.aws_request_id, "arn": context.invoked_function_arn, "name": context.function_name,
        "memory": context.memory_limit_in_mb, "left": context.get_remaining_time_in_millis(),
        "custom": context.client_context.custom if context.client_context else None,
        "trace": os.environ["_X_AMZN_TRACE_ID"],
    }

def write(event, context):
    print("to stdout", event["n"])
    print("to stderr", event["n"], file=sys.stderr)
    os.write(1, b"unfinished " * event.get("times", 1))

def mark(event, context):
    pathlib.Path(event["started"]).touch()
    wait_for(event["go"])
    pathlib.Path(event["done"]).touch()

def pieces(event, context):
    def body():
        yield "one "
        wait_for(event["go"])
        yield "two"
    return body()

def broken_pieces(event, context):
    def body():
        yield "one "
        raise KeyError("two")
    return body()

def endless_pieces(event, context):
    from firstlight.runtime import notes
    def body():
        made = 0
        try:
            while True:
                made += 1
                yield "x" * 1000
                time.sleep(0.001)
        finally:
            notes.count("pieces", made)
            pathlib.Path(event["made"]).write_text(str(made))
    return body()

def counted_pieces(event, context):
    def body():
        for number in range(100):
            if number:
                pathlib.Path(event["folder"], str(number)).touch()
                wait_for(event["go"])
            yield str(number)
    return body()

def until_unwanted(event, context):
    from firstlight.runtime import deadline, notes
    pathlib.Path(event["started"]).touch()
    while not deadline.current().passed:
        time.sleep(0.001)
    notes.count("generated_tokens", 7)
    pathlib.Path(event["done"]).write_text(str(deadline.current().left > 1))
    return "too late"

def handler(event, context):
    return globals()[event.pop("do")](event, context)
"""


@pytest.fixture(params=["spawned", "forked", "awslambdaric"])
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """How workers are started: as new programs, from a zygote, or with AWS's own client in place of ours."""
    if request.param == "forked":
        monkeypatch.setattr(pool_module, "_forkable", lambda spec: spec.command is None)
    return str(request.param)


class Bench:
    """Makes invokers over scripts and closes them."""

    def __init__(self, way: str, folder: Path) -> None:
        self.way = way
        self.folder = folder
        self.lines: list[tuple[str, str, str]] = []
        self._invokers: list[PoolInvoker] = []

    def spec(self, code: str = FUNCTIONS, name: str = "f", **fields: Any) -> WorkerSpec:
        script = self.folder / f"{name}_{len(list(self.folder.iterdir()))}.py"
        script.write_text(textwrap.dedent(code))
        fields = {"timeout_s": WAIT, "memory_mb": 512, **fields}
        if self.way == "awslambdaric":
            command = (sys.executable, "-m", "awslambdaric", f"{script.stem}.handler")
            handler = f"{script.stem}.handler"
            return WorkerSpec(name, handler=handler, command=command, cwd=self.folder, **fields)
        return WorkerSpec(name, script=script, **fields)

    def invoker(self, *specs: WorkerSpec, **options: Any) -> PoolInvoker:
        made = PoolInvoker(
            {spec.endpoint: spec for spec in specs or (self.spec(),)},
            log_sink=lambda *line: self.lines.append(line),
            **options,
        )
        self._invokers.append(made)
        return made

    async def close(self) -> None:
        for invoker in self._invokers:
            await invoker.close(0.1)


@pytest.fixture
async def bench(way: str, tmp_path: Path) -> AsyncIterator[Bench]:
    folder = tmp_path / "functions"
    folder.mkdir()
    made = Bench(way, folder)
    yield made
    await made.close()


async def call(invoker: PoolInvoker, event: Any, **fields: Any) -> Reply:
    invocation = Invocation(fields.pop("endpoint", "f"), json.dumps(event).encode(), **fields)
    return await asyncio.wait_for(invoker.invoke(invocation), WAIT)


def value(reply: Reply) -> Any:
    assert reply.function_error is None, reply.payload
    return json.loads(reply.payload)


def error(reply: Reply) -> dict[str, Any]:
    assert reply.function_error == "Unhandled", reply.payload
    return dict(json.loads(reply.payload))


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(WAIT):
        while not condition():
            await asyncio.sleep(0.005)


def running(pid: int) -> bool:
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    return False


class TestAnswers:
    @pytest.mark.parametrize("payload", [{}, [], "", 0, None, "naïve ☃ 😀", {"k": ["\u0000", 1.5, True]}])
    async def test_the_answer_is_the_functions(self, bench: Bench, payload: Any) -> None:
        invoker = bench.invoker(bench.spec("def handler(event, context):\n    return event\n"))
        reply = await call(invoker, payload)
        assert value(reply) == payload
        assert reply.executed_version == "$LATEST"
        assert reply.content_type == "application/json"
        assert reply.outcome == "ok"

    async def test_a_warm_worker_answers_again(self, bench: Bench) -> None:
        invoker = bench.invoker()
        first = await call(invoker, {"do": "pid"})
        second = await call(invoker, {"do": "pid"})
        assert value(first) == value(second)
        assert first.report.cold
        assert first.report.init_ms is not None
        assert first.report.init_ms > 0
        assert not second.report.cold
        assert second.report.init_ms is None
        assert first.report.billed_ms >= first.report.init_ms + first.report.duration_ms
        assert 0 < second.report.max_memory_mb < 512

    async def test_an_error_of_the_function(self, bench: Bench) -> None:
        invoker = bench.invoker()
        pid = value(await call(invoker, {"do": "pid"}))
        reply = await call(invoker, {"do": "boom"})
        said = error(reply)
        assert said["errorType"] == "ValueError"
        assert said["errorMessage"] == "boom ☃"
        assert said["requestId"] == reply.request_id
        assert any("raise ValueError" in line for line in said["stackTrace"])
        assert reply.outcome == "error"
        assert value(await call(invoker, {"do": "pid"})) == pid

    async def test_six_megabytes_each_way(self, bench: Bench) -> None:
        invoker = bench.invoker()
        text = "é" * (REQUEST_LIMIT // 2 - 100)
        payload = json.dumps({"do": "echo", "text": text}, ensure_ascii=False).encode()
        reply = await asyncio.wait_for(invoker.invoke(Invocation("f", payload)), WAIT)
        assert value(await call(invoker, {"do": "echo"})) == {}
        # Written with escapes the text may be too long for the way back, which is then said so.
        if reply.function_error is None:
            assert value(reply)["text"] == text
        else:
            assert error(reply)["errorType"] == "Function.ResponseSizeTooLarge"
        assert len((await call(invoker, {"do": "big", "bytes": RESPONSE_LIMIT})).payload) == RESPONSE_LIMIT

    async def test_an_answer_over_the_limit(self, bench: Bench) -> None:
        invoker = bench.invoker()
        reply = await call(invoker, {"do": "big", "bytes": RESPONSE_LIMIT + 1})
        assert error(reply) == {
            "errorType": "Function.ResponseSizeTooLarge",
            "errorMessage": "Response payload size exceeded maximum allowed payload size (6291556 bytes).",
        }
        assert value(await call(invoker, {"do": "echo", "a": 1})) == {"a": 1}

    async def test_an_event_over_the_limit(self, bench: Bench) -> None:
        invoker = bench.invoker()
        with pytest.raises(PayloadTooLarge, match=r"6291457 byte payload.*limit 6291456 bytes"):
            await invoker.invoke(Invocation("f", b" " * (REQUEST_LIMIT + 1)))

    async def test_an_unknown_endpoint(self, bench: Bench) -> None:
        with pytest.raises(EndpointNotFound, match="'g'") as caught:
            await call(bench.invoker(), {}, endpoint="g")
        assert "f" in caught.value.hint


class TestVersions:
    async def test_the_workers_of_a_version_answer_for_it(self, bench: Bench) -> None:
        latest, first = bench.spec(), bench.spec(version="1")
        invoker = bench.invoker()
        invoker.replace({"f": latest, "f:1": first})
        newest = await call(invoker, {"do": "environment"})
        reply = await call(invoker, {"do": "environment"}, version="1", qualifier="live")
        assert value(newest)["AWS_LAMBDA_FUNCTION_VERSION"] == newest.executed_version == "$LATEST"
        assert value(reply)["AWS_LAMBDA_FUNCTION_VERSION"] == reply.executed_version == "1"
        assert value(reply)["AWS_LAMBDA_FUNCTION_NAME"] == "f"
        assert "/[1]" in value(reply)["AWS_LAMBDA_LOG_STREAM_NAME"]
        assert reply.log.startswith(f"START RequestId: {reply.request_id} Version: 1\n".encode())
        assert invoker.function("f:1") == first

    async def test_the_arn_is_what_the_caller_asked_for(self, bench: Bench) -> None:
        invoker = bench.invoker()
        invoker.replace({"f:1": bench.spec(version="1")})
        arn = "arn:aws:lambda:us-east-1:000000000000:function:f"
        for qualifier in ("live", "1"):
            said = value(await call(invoker, {"do": "about"}, version="1", qualifier=qualifier))
            assert said["arn"] == f"{arn}:{qualifier}"

    async def test_a_version_that_is_not_there(self, bench: Bench) -> None:
        with pytest.raises(EndpointNotFound, match="'f:2'"):
            await call(bench.invoker(), {}, version="2")


class TestSurroundings:
    async def test_the_context(self, bench: Bench) -> None:
        context = json.dumps({"custom": {"who": "zoë\n"}}, indent=1, ensure_ascii=False)
        reply = await call(
            bench.invoker(), {"do": "about"}, client_context=context, trace_id="Root=1-2-3\r\nX: y"
        )
        said = value(reply)
        assert said["id"] == reply.request_id
        assert said["arn"] == "arn:aws:lambda:us-east-1:000000000000:function:f"
        assert said["name"] == "f"
        assert int(said["memory"]) == 512
        assert WAIT * 1000 - 5000 < said["left"] <= WAIT * 1000
        assert said["custom"] == {"who": "zoë\n"}
        assert said["trace"] == "Root=1-2-3  X: y"
        trace = value(await call(bench.invoker(), {"do": "about"}))["trace"]
        assert re.fullmatch(r"Root=1-[0-9a-f]{8}-[0-9a-f]{24};Parent=[0-9a-f]{16};Sampled=0", trace)

    async def test_the_environment_is_lambdas(self, bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
        for name in (
            "HOME",
            "HTTPS_PROXY",
            "AWS_SECRET_ACCESS_KEY",
            "AWS_PROFILE",
            "PYTHONPATH",
            "SOME_TOKEN",
        ):
            monkeypatch.setenv(name, "the user's")
        env = {"MINE": "1", "AWS_REGION": "eu-west-1", "AWS_LAMBDA_FUNCTION_NAME": "x"}
        invoker = bench.invoker(bench.spec(env=env))
        said = value(await call(invoker, {"do": "environment"}))
        assert "the user's" not in said.values()
        assert said["MINE"] == "1"
        assert said["AWS_REGION"] == said["AWS_DEFAULT_REGION"] == "eu-west-1"
        assert said["AWS_LAMBDA_FUNCTION_NAME"] == "f"
        assert said["AWS_LAMBDA_FUNCTION_VERSION"] == "$LATEST"
        assert said["AWS_LAMBDA_FUNCTION_MEMORY_SIZE"] == "512"
        assert said["AWS_LAMBDA_LOG_GROUP_NAME"] == "/aws/lambda/f"
        assert re.fullmatch(r"\d{4}/\d\d/\d\d/\[\$LATEST\][0-9a-f]{32}", said["AWS_LAMBDA_LOG_STREAM_NAME"])
        assert said["AWS_LAMBDA_INITIALIZATION_TYPE"] == "on-demand"
        assert said["AWS_EXECUTION_ENV"].startswith("AWS_Lambda_python3.")
        assert said["TZ"] == ":UTC"
        assert said["LAMBDA_TASK_ROOT"] == str(bench.folder)
        assert said["_HANDLER"].endswith(".handler")

    async def test_the_log(self, bench: Bench) -> None:
        invoker = bench.invoker()
        await call(invoker, {"do": "echo"})
        reply = await call(invoker, {"do": "write", "n": 7})
        log = reply.log.decode()
        lines = log.splitlines()
        assert lines[0] == f"START RequestId: {reply.request_id} Version: $LATEST"
        assert "to stdout 7" in lines
        assert "to stderr 7" in lines
        assert any(line.startswith("unfinished") for line in lines)
        assert lines[-2] == f"END RequestId: {reply.request_id}"
        assert re.fullmatch(
            rf"REPORT RequestId: {reply.request_id}\tDuration: [\d.]+ ms\tBilled Duration: \d+ ms\t"
            r"Memory Size: 512 MB\tMax Memory Used: \d+ MB\t",
            lines[-1],
        )
        told = "".join(text for endpoint, request_id, text in bench.lines if request_id == reply.request_id)
        assert told == log

    async def test_the_tail_is_four_kilobytes(self, bench: Bench) -> None:
        reply = await call(bench.invoker(), {"do": "write", "n": 1, "times": 100_000})
        assert len(reply.log) == 4096
        assert b"REPORT RequestId: " + reply.request_id.encode() in reply.log
        assert sum(len(text) for _, _, text in bench.lines) > 1_000_000


class TestFailures:
    async def test_a_timeout(self, bench: Bench, tmp_path: Path) -> None:
        invoker = bench.invoker(bench.spec(timeout_s=0.5))
        pid = value(await call(invoker, {"do": "pid"}))
        reply = await call(invoker, {"do": "sleep", "started": str(tmp_path / "started")})
        assert error(reply) == {
            "errorType": "Sandbox.Timedout",
            "errorMessage": f"RequestId: {reply.request_id} Error: Task timed out after 0.50 seconds",
        }
        assert reply.outcome == "timeout"
        assert b"Task timed out after 0.50 seconds" in reply.log
        assert reply.report.duration_ms >= 500
        assert (tmp_path / "started").exists()
        after = await call(invoker, {"do": "pid"})
        assert value(after) != pid
        assert after.report.cold

    @pytest.mark.parametrize(("status", "text"), [
        (3, "Runtime exited with error: exit status 3"),
        (0, "Runtime exited without providing a reason"),
    ])  # fmt: skip
    async def test_a_worker_that_exits(self, bench: Bench, status: int, text: str) -> None:
        invoker = bench.invoker()
        reply = await call(invoker, {"do": "leave", "status": status})
        assert error(reply) == {
            "errorType": "Runtime.ExitError",
            "errorMessage": f"RequestId: {reply.request_id} Error: {text}",
        }
        assert reply.outcome == "crash"
        assert value(await call(invoker, {"do": "echo", "a": 1})) == {"a": 1}

    @pytest.mark.parametrize(("number", "name"), [
        (signal.SIGSEGV, "segmentation fault"), (signal.SIGABRT, "aborted"), (signal.SIGILL, "illegal instruction"),
    ])  # fmt: skip
    async def test_a_worker_that_crashes(self, bench: Bench, number: int, name: str) -> None:
        reply = await call(bench.invoker(), {"do": "die", "signal": number})
        assert error(reply)["errorMessage"].endswith(f"Error: Runtime exited with error: signal: {name}")

    async def test_kill_9_of_a_busy_worker(self, bench: Bench, tmp_path: Path) -> None:
        invoker = bench.invoker()
        started = tmp_path / "started"
        assignment = asyncio.create_task(call(invoker, {"do": "sleep", "started": str(started)}))
        await until(started.exists)
        os.kill(invoker.status()["f"]["pids"][0], signal.SIGKILL)
        reply = await assignment
        assert error(reply)["errorType"] == "Runtime.ExitError"
        assert error(reply)["errorMessage"].endswith("signal: killed")
        assert value(await call(invoker, {"do": "echo"})) == {}

    async def test_kill_9_of_an_idle_worker(self, bench: Bench) -> None:
        invoker = bench.invoker()
        for _ in range(5):
            pid = value(await call(invoker, {"do": "pid"}))
            os.kill(pid, signal.SIGKILL)
            await until(lambda pid=pid: not running(pid))
            assert value(await call(invoker, {"do": "echo", "a": 1})) == {"a": 1}

    @pytest.mark.parametrize("how", ["grow", "grab"])
    async def test_more_memory_than_allowed(self, bench: Bench, how: str) -> None:
        invoker = bench.invoker(bench.spec(memory_mb=128))
        reply = await call(invoker, {"do": how})
        assert error(reply) == {
            "errorType": "Runtime.OutOfMemory",
            "errorMessage": f"RequestId: {reply.request_id} Error: Runtime exited with error: signal: killed",
        }
        assert b"memory: the worker used more than its 128 MB" in reply.log
        assert reply.outcome == "crash"
        assert value(await call(invoker, {"do": "echo", "a": 1})) == {"a": 1}

    async def test_an_init_that_raises_is_told_to_all_who_wait(self, bench: Bench) -> None:
        code = "import sys\nprint('starting')\nraise ImportError('no such thing')\ndef handler(event, context): ...\n"
        invoker = bench.invoker(bench.spec(code))
        replies = await asyncio.gather(*(call(invoker, {}) for _ in range(5)))
        for reply in replies:
            assert "no such thing" in error(reply)["errorMessage"]
            assert reply.outcome == "error"
            assert b"starting" in reply.log
        assert any("INIT_REPORT" in text and "Status: error" in text for _, _, text in bench.lines)
        assert sum("INIT_REPORT" in text for _, _, text in bench.lines) == 1

    async def test_an_init_that_exits(self, bench: Bench) -> None:
        invoker = bench.invoker(bench.spec("import os\nos._exit(5)\n"))
        reply = await call(invoker, {})
        assert error(reply) == {
            "errorType": "Runtime.ExitError",
            "errorMessage": f"RequestId: {reply.request_id} Error: Runtime exited with error: exit status 5",
        }
        assert ("f", "", "init: Runtime exited with error: exit status 5\n") in bench.lines

    async def test_an_init_that_takes_too_much_memory(self, bench: Bench) -> None:
        code = "kept = [bytearray(1024 * 1024) for _ in range(1000)]\ndef handler(event, context): ...\n"
        reply = await call(bench.invoker(bench.spec(code, memory_mb=128)), {})
        assert error(reply)["errorType"] == "Runtime.OutOfMemory"

    async def test_an_init_that_takes_too_long(self, bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("firstlight.invoke.scaling.INIT_LIMIT_S", 0.3)
        reply = await call(bench.invoker(bench.spec("import time\ntime.sleep(60)\n", timeout_s=0.5)), {})
        assert error(reply)["errorType"] == "Sandbox.Timedout"
        assert error(reply)["errorMessage"].endswith("Task timed out after 0.50 seconds")
        assert reply.outcome == "timeout"
        assert any(text.startswith("init: stopped after 0.") for _, _, text in bench.lines)

    async def test_a_worker_that_cannot_be_started(self, bench: Bench, tmp_path: Path) -> None:
        invoker = bench.invoker(replace(bench.spec(), cwd=tmp_path / "nowhere"))
        with pytest.raises(WorkerFailed, match="nowhere"):
            await call(invoker, {})
        assert invoker.status()["f"]["pids"] == []

    async def test_what_a_worker_started_ends_with_it(self, bench: Bench, tmp_path: Path) -> None:
        code = """
            import pathlib, subprocess, sys, time
            def handler(event, context):
                child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
                pathlib.Path(event["pid"]).write_text(str(child.pid))
                time.sleep(600)
        """
        invoker = bench.invoker(bench.spec(code, timeout_s=1.0))
        reply = await call(invoker, {"pid": str(tmp_path / "pid")})
        assert error(reply)["errorType"] == "Sandbox.Timedout"
        child = int((tmp_path / "pid").read_text())
        await until(lambda: not running(child))


class TestScaling:
    async def test_no_worker_before_the_first_invocation(self, bench: Bench) -> None:
        assert bench.invoker().status()["f"]["pids"] == []

    async def test_a_herd_starts_no_more_workers_than_allowed(self, bench: Bench) -> None:
        invoker = bench.invoker(bench.spec(concurrency=3))
        replies = await asyncio.gather(*(call(invoker, {"do": "pid"}) for _ in range(50)))
        pids = {value(reply) for reply in replies}
        assert 1 <= len(pids) <= 3
        assert len({reply.request_id for reply in replies}) == 50
        status = invoker.status()["f"]
        assert status["outcomes"]["ok"] == 50
        assert len(status["pids"]) <= 3
        assert sum(reply.report.cold for reply in replies) == len(pids) == status["cold_starts"]

    async def test_invocations_run_side_by_side(self, bench: Bench, tmp_path: Path) -> None:
        invoker = bench.invoker(bench.spec(concurrency=2))
        a, b = str(tmp_path / "a"), str(tmp_path / "b")
        replies = await asyncio.gather(
            call(invoker, {"do": "meet", "mine": a, "other": b}),
            call(invoker, {"do": "meet", "mine": b, "other": a}),
        )
        assert value(replies[0]) != value(replies[1])

    async def test_one_invocation_at_a_time_in_a_worker(self, bench: Bench, tmp_path: Path) -> None:
        invoker = bench.invoker(bench.spec(concurrency=1))
        first, second = tmp_path / "first", tmp_path / "second"
        go = str(tmp_path / "go")
        one = asyncio.create_task(call(invoker, {"do": "meet", "mine": str(first), "other": go}))
        await until(first.exists)
        two = asyncio.create_task(call(invoker, {"do": "meet", "mine": str(second), "other": go}))
        await until(lambda: invoker.status()["f"]["queued"] == 1)
        assert not second.exists()
        Path(go).touch()
        assert value(await one) == value(await two)

    async def test_the_worker_used_last_is_used_next(self, bench: Bench, tmp_path: Path) -> None:
        invoker = bench.invoker(bench.spec(concurrency=2))
        a, b, go = tmp_path / "a", tmp_path / "b", tmp_path / "go"
        one = asyncio.create_task(call(invoker, {"do": "meet", "mine": str(a), "other": str(b)}))
        two = asyncio.create_task(call(invoker, {"do": "meet", "mine": str(b), "other": str(go)}))
        await one
        await until(lambda: invoker.status()["f"]["idle"] == 1)
        go.touch()
        last = value(await two)
        for _ in range(3):
            await until(lambda: invoker.status()["f"]["idle"] == 2)
            assert value(await call(invoker, {"do": "pid"})) == last

    async def test_one_caller_needs_one_worker(self, bench: Bench) -> None:
        invoker = bench.invoker(bench.spec(concurrency=4))
        pids = {value(await call(invoker, {"do": "pid"})) for _ in range(20)}
        assert len(pids) == 1

    async def test_idle_workers_are_stopped(self, bench: Bench) -> None:
        invoker = bench.invoker(idle_s=0.05)
        pid = value(await call(invoker, {"do": "pid"}))
        await until(lambda: invoker.status()["f"]["pids"] == [])
        assert not running(pid)
        assert (await call(invoker, {"do": "pid"})).report.cold

    async def test_a_full_queue(self, bench: Bench, tmp_path: Path) -> None:
        invoker = bench.invoker(queue_limit=2)
        started, go = tmp_path / "started", tmp_path / "go"
        event = {"do": "meet", "mine": str(started), "other": str(go)}
        running = asyncio.create_task(call(invoker, event))
        await until(started.exists)
        queued = [asyncio.create_task(call(invoker, event)) for _ in range(2)]
        await until(lambda: invoker.status()["f"]["queued"] == 2)
        with pytest.raises(Throttled) as caught:
            await call(invoker, event)
        assert caught.value.reason == "ConcurrentInvocationLimitExceeded"
        assert caught.value.retry_after >= 1
        go.touch()
        for assignment in (running, *queued):
            value(await assignment)
        assert invoker.status()["f"]["throttled"] == 1

    async def test_an_endpoint_that_is_off(self, bench: Bench) -> None:
        with pytest.raises(Throttled) as caught:
            await call(bench.invoker(bench.spec(concurrency=0)), {})
        assert caught.value.reason == "ReservedFunctionConcurrentInvocationLimitExceeded"


class TestProvisioned:
    """Workers that are kept ready, and an endpoint's concurrency changed while it is served."""

    async def test_they_are_ready_before_anyone_asks(self, bench: Bench) -> None:
        invoker = bench.invoker(bench.spec(provisioned=2, concurrency=3))
        assert invoker.provisioned("f") == Provisioned(2, 2, 0, "IN_PROGRESS")
        await until(lambda: invoker.provisioned("f") == Provisioned(2, 2, 2, "READY"))
        assert (
            len([text for _, _, text in bench.lines if text.startswith("INIT_REPORT Init Duration: ")]) == 2
        )
        reply = await call(invoker, {"do": "environment"})
        assert value(reply)["AWS_LAMBDA_INITIALIZATION_TYPE"] == "provisioned-concurrency"
        assert (reply.report.cold, reply.report.init_ms) == (False, None)
        assert b"Init Duration" not in reply.log
        with pytest.raises(EndpointNotFound):
            invoker.provisioned("nobody")

    async def test_one_that_dies_is_replaced(self, bench: Bench) -> None:
        invoker = bench.invoker(bench.spec(provisioned=1))
        await until(lambda: invoker.provisioned("f").status == "READY")
        [pid] = invoker.status()["f"]["pids"]
        os.kill(pid, signal.SIGKILL)
        await until(lambda: invoker.status()["f"]["pids"] not in ([pid], []))
        await until(lambda: invoker.provisioned("f").status == "READY")
        reply = await call(invoker, {"do": "pid"})
        assert value(reply) != pid
        assert not reply.report.cold

    async def test_they_are_used_first(self, bench: Bench, tmp_path: Path) -> None:
        invoker = bench.invoker(bench.spec(provisioned=1, concurrency=2))
        kept = await self.two_workers(invoker, tmp_path)
        await until(lambda: invoker.status()["f"]["idle"] == 2)
        assert value(await call(invoker, {"do": "pid"})) == kept

    async def test_they_are_never_reaped(self, bench: Bench, tmp_path: Path) -> None:
        invoker = bench.invoker(bench.spec(provisioned=1, concurrency=2), idle_s=0.05)
        kept = await self.two_workers(invoker, tmp_path)
        await until(lambda: invoker.status()["f"]["pids"] == [kept])
        assert value(await call(invoker, {"do": "pid"})) == kept

    @staticmethod
    async def two_workers(invoker: PoolInvoker, folder: Path) -> int:
        """Has one that is kept ready, and one that is not, answer at once; the process id of the first."""
        await until(lambda: invoker.provisioned("f").status == "READY")
        [kept] = invoker.status()["f"]["pids"]
        a, b = str(folder / "a"), str(folder / "b")
        replies = await asyncio.gather(
            call(invoker, {"do": "meet", "mine": a, "other": b}),
            call(invoker, {"do": "meet", "mine": b, "other": a}),
        )
        assert [reply.report.cold for reply in replies] == [False, True]
        return int(kept)

    async def test_an_init_that_fails_is_said_and_tried_again(
        self, bench: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("firstlight.invoke.scaling.pause_after_failures", lambda failures: 0.05)
        code = f"""
            import os
            if not os.path.exists({str(tmp_path / "go")!r}):
                raise KeyError("not yet")
            def handler(event, context): ...
        """
        invoker = bench.invoker(bench.spec(code, provisioned=1))
        await until(lambda: invoker.provisioned("f").status == "FAILED")
        assert invoker.provisioned("f").reason
        (tmp_path / "go").touch()
        await until(lambda: invoker.provisioned("f").status == "READY")
        assert invoker.provisioned("f").reason == ""

    async def test_more_and_fewer(self, bench: Bench) -> None:
        spec = bench.spec(concurrency=2)
        invoker = bench.invoker(spec)
        pid = value(await call(invoker, {"do": "pid"}))
        invoker.replace({"f": replace(spec, provisioned=2)})
        await until(lambda: invoker.provisioned("f").status == "READY")
        pids = invoker.status()["f"]["pids"]
        assert len(pids) == 2
        assert pid not in pids
        invoker.replace({"f": replace(spec, provisioned=1)})
        assert invoker.provisioned("f") == Provisioned(1, 1, 1, "READY")
        assert invoker.status()["f"]["pids"] == pids

    async def test_off_and_on_again(self, bench: Bench, tmp_path: Path) -> None:
        spec = bench.spec(concurrency=1)
        invoker = bench.invoker(spec)
        started, go = tmp_path / "started", tmp_path / "go"
        event = {"do": "meet", "mine": str(started), "other": str(go)}
        assignment, queued = (asyncio.create_task(call(invoker, event)) for _ in range(2))
        await until(started.exists)
        invoker.replace({"f": replace(spec, concurrency=0)})
        for refused in (queued, asyncio.create_task(call(invoker, {"do": "echo"}))):
            with pytest.raises(Throttled, match="is turned off") as caught:
                await refused
            assert caught.value.reason == "ReservedFunctionConcurrentInvocationLimitExceeded"
        go.touch()
        pid = value(await assignment)
        await until(lambda: not running(pid))
        invoker.replace({"f": spec})
        assert value(await call(invoker, {"do": "pid"})) != pid


class TestSharing:
    """The versions of a function share its concurrency."""

    async def test_no_more_run_than_one_function_may(self, bench: Bench, tmp_path: Path) -> None:
        invoker = bench.invoker()
        invoker.replace({"f": bench.spec(concurrency=1), "f:1": bench.spec(version="1", concurrency=1)})
        await asyncio.gather(call(invoker, {"do": "pid"}), call(invoker, {"do": "pid"}, version="1"))
        await until(lambda: all(pool["idle"] == 1 for pool in invoker.status().values()))
        started, second, go = tmp_path / "started", tmp_path / "second", tmp_path / "go"
        one = asyncio.create_task(call(invoker, {"do": "meet", "mine": str(started), "other": str(go)}))
        await until(started.exists)
        later = {"do": "mark", "started": str(second), "go": str(go), "done": str(tmp_path / "done")}
        two = asyncio.create_task(call(invoker, later, version="1"))
        three = asyncio.create_task(call(invoker, {"do": "pid"}))
        await until(lambda: [pool["queued"] for pool in invoker.status().values()] == [1, 1])
        assert invoker.status()["f:1"] | {"pids": []} == invoker.status()["f:1"] | {
            "pids": [],
            "idle": 1,
            "busy": 0,
        }
        go.touch()
        replies = [await task for task in (one, two, three)]
        assert [reply.function_error for reply in replies] == [None, None, None]
        waited = [reply.report.queue_ms for reply in replies]
        assert waited[1] > waited[0]
        assert not replies[1].report.cold

    async def test_who_has_waited_longest_is_next(self, bench: Bench, tmp_path: Path) -> None:
        invoker = bench.invoker()
        invoker.replace({"f": bench.spec(concurrency=1), "f:1": bench.spec(version="1", concurrency=1)})
        started, go, order = tmp_path / "started", tmp_path / "go", []
        one = asyncio.create_task(call(invoker, {"do": "meet", "mine": str(started), "other": str(go)}))
        await until(started.exists)

        async def note(number: int, **fields: Any) -> None:
            await call(invoker, {"do": "echo"}, **fields)
            order.append(number)

        tasks = []
        for number in range(6):
            tasks.append(asyncio.create_task(note(number, version="1" if number % 2 else "$LATEST")))
            await asyncio.sleep(0)
        await until(lambda: invoker.status()["f:1"]["idle"] == 1)
        go.touch()
        await one
        await asyncio.gather(*tasks)
        assert order == [0, 1, 2, 3, 4, 5]

    @pytest.mark.parametrize("replaced", ["f", "f:1"])
    async def test_who_waits_for_what_is_replaced_waits_no_more(
        self, bench: Bench, tmp_path: Path, replaced: str
    ) -> None:
        invoker = bench.invoker()
        specs = {"f": bench.spec(concurrency=1), "f:1": bench.spec(version="1", concurrency=1)}
        invoker.replace(specs)
        await call(invoker, {"do": "pid"}, version="1")
        started, go = tmp_path / "started", tmp_path / "go"
        one = asyncio.create_task(call(invoker, {"do": "meet", "mine": str(started), "other": str(go)}))
        await until(started.exists)
        two = asyncio.create_task(call(invoker, {"do": "echo", "a": 1}, version="1"))
        await until(lambda: invoker.status()["f:1"]["queued"] == 1)
        invoker.replace({**specs, replaced: replace(specs[replaced], digest="new")})
        assert value(await two) == {"a": 1}
        go.touch()
        await one

    async def test_a_successor_does_not_wait_for_what_it_replaces(self, bench: Bench, tmp_path: Path) -> None:
        invoker = bench.invoker(bench.spec(concurrency=1))
        started, go = tmp_path / "started", tmp_path / "go"
        one = asyncio.create_task(call(invoker, {"do": "meet", "mine": str(started), "other": str(go)}))
        await until(started.exists)
        invoker.replace({"f": bench.spec(concurrency=1, digest="new")})
        assert value(await call(invoker, {"do": "echo", "a": 1})) == {"a": 1}
        go.touch()
        await one


class TestLeaving:
    async def test_a_caller_that_leaves_does_not_stop_the_function(
        self, bench: Bench, tmp_path: Path
    ) -> None:
        invoker = bench.invoker()
        await call(invoker, {"do": "echo"})
        started, go, done = tmp_path / "started", tmp_path / "go", tmp_path / "done"
        event = {"do": "mark", "started": str(started), "go": str(go), "done": str(done)}
        assignment = asyncio.create_task(call(invoker, event))
        await until(started.exists)
        assignment.cancel()
        await asyncio.wait([assignment])
        go.touch()
        await until(done.exists)
        assert value(await call(invoker, {"do": "echo", "a": 1})) == {"a": 1}

    async def test_close_lets_running_invocations_end(self, bench: Bench, tmp_path: Path) -> None:
        invoker = bench.invoker()
        started, go = tmp_path / "started", tmp_path / "go"
        assignment = asyncio.create_task(
            call(invoker, {"do": "meet", "mine": str(started), "other": str(go)})
        )
        await until(started.exists)
        closing = asyncio.create_task(invoker.close(WAIT))
        await asyncio.sleep(0)
        with pytest.raises(Throttled, match="shutting down"):
            await call(invoker, {"do": "echo"})
        go.touch()
        pid = value(await assignment)
        await closing
        await invoker.close()
        assert not running(pid)

    async def test_close_does_not_wait_for_ever(self, bench: Bench, tmp_path: Path) -> None:
        invoker = bench.invoker(bench.spec(concurrency=1))
        started = tmp_path / "started"
        event = {"do": "sleep", "started": str(started)}
        assignment, queued = (asyncio.create_task(call(invoker, event)) for _ in range(2))
        await until(started.exists)
        await invoker.close(0.05)
        assert error(await assignment)["errorType"] == "Runtime.ExitError"
        with pytest.raises(Throttled):
            await queued

    async def test_replace_keeps_what_is_equal(self, bench: Bench, tmp_path: Path) -> None:
        kept, old = bench.spec(name="kept"), bench.spec(name="changed")
        invoker = bench.invoker(kept, old)
        before = [value(await call(invoker, {"do": "pid"}, endpoint=name)) for name in ("kept", "changed")]
        started, go = tmp_path / "started", tmp_path / "go"
        event = {"do": "meet", "mine": str(started), "other": str(go)}
        assignment = asyncio.create_task(call(invoker, event, endpoint="changed"))
        await until(started.exists)
        new = bench.spec(name="changed", digest="new")
        invoker.replace({"kept": kept, "changed": new, "more": bench.spec(name="more")})
        after = [value(await call(invoker, {"do": "pid"}, endpoint=name)) for name in ("kept", "changed")]
        assert after[0] == before[0]
        assert after[1] != before[1]
        assert value(await call(invoker, {"do": "echo"}, endpoint="more")) == {}
        assert invoker.function("changed") == new
        go.touch()
        assert value(await assignment) == before[1]
        await until(lambda: not running(before[1]))


@pytest.mark.parametrize("way", ["spawned", "forked"], indirect=True)  # AWS's client cannot stream
class TestStreams:
    async def test_pieces_arrive_as_they_are_made(self, bench: Bench, tmp_path: Path) -> None:
        invoker = bench.invoker()
        go = tmp_path / "go"
        reply = await call(invoker, {"do": "pieces", "go": str(go)})
        assert reply.stream is not None
        assert await anext(reply.stream) == b"one "
        assert invoker.status()["f"]["busy"] == 1
        go.touch()
        assert [piece async for piece in reply.stream] == [b"two"]
        assert reply.function_error is None
        assert reply.report.duration_ms > 0
        assert b"REPORT RequestId" in reply.log
        assert value(await call(invoker, {"do": "echo", "a": 1})) == {"a": 1}

    async def test_a_stream_that_breaks_off(self, bench: Bench) -> None:
        invoker = bench.invoker()
        reply = await call(invoker, {"do": "broken_pieces"})
        assert reply.stream is not None
        assert b"".join([piece async for piece in reply.stream]) == b"one "
        assert error(reply)["errorType"] == "KeyError"
        assert reply.outcome == "error"
        assert value(await call(invoker, {"do": "echo"})) == {}

    async def test_a_stream_that_takes_too_long(self, bench: Bench, tmp_path: Path) -> None:
        invoker = bench.invoker(bench.spec(timeout_s=0.5))
        reply = await call(invoker, {"do": "pieces", "go": str(tmp_path / "never")})
        assert reply.stream is not None
        assert [piece async for piece in reply.stream] == [b"one "]
        assert error(reply)["errorType"] == "Sandbox.Timedout"
        assert reply.outcome == "timeout"

    async def test_a_reader_that_leaves_ends_the_work_and_not_the_worker(
        self, bench: Bench, tmp_path: Path
    ) -> None:
        invoker = bench.invoker()
        pid = value(await call(invoker, {"do": "pid"}))
        for number in range(3):
            made = tmp_path / f"made{number}"
            reply = await call(invoker, {"do": "endless_pieces", "made": str(made)})
            assert reply.stream is not None
            await anext(reply.stream)
            await asyncio.wait_for(reply.stream.aclose(), WAIT)
            assert reply.report.counts == {"pieces": int(made.read_text())}
            assert (reply.outcome, reply.function_error) == ("cancelled", None)
            assert reply.report.duration_ms > 0
            assert b"the caller went away, so the work was ended\nEND RequestId" in reply.log
            assert value(await call(invoker, {"do": "pid"})) == pid
        assert invoker.status()["f"]["outcomes"]["cancelled"] == 3

    async def test_a_reader_that_leaves_between_two_pieces_gets_no_third(
        self, bench: Bench, tmp_path: Path
    ) -> None:
        invoker = bench.invoker()
        folder, go = tmp_path / "pieces", tmp_path / "go"
        folder.mkdir()
        reply = await call(invoker, {"do": "counted_pieces", "folder": str(folder), "go": str(go)})
        assert reply.stream is not None
        await anext(reply.stream)
        await until(lambda: any(folder.iterdir()))
        leaving = asyncio.create_task(reply.stream.aclose())
        for _ in range(5):  # turns of the loop in which the connection is closed
            await asyncio.sleep(0)
        assert not leaving.done()
        go.touch()
        await asyncio.wait_for(leaving, WAIT)
        assert [path.name for path in folder.iterdir()] == ["1"]
        assert value(await call(invoker, {"do": "echo"})) == {}

    async def test_a_reader_that_leaves_while_the_worker_waits_for_it(
        self, bench: Bench, tmp_path: Path
    ) -> None:
        code = """
            def handler(event, context):
                return (bytes(65536) for _ in range(500)) if event else "next"
        """
        invoker = bench.invoker(bench.spec(code))
        reply = await call(invoker, {"a": 1})
        assert reply.stream is not None
        await asyncio.wait_for(reply.stream.aclose(), WAIT)
        assert value(await call(invoker, {})) == "next"

    async def test_a_worker_that_does_not_notice_is_stopped_at_its_deadline(
        self, bench: Bench, tmp_path: Path
    ) -> None:
        invoker = bench.invoker(bench.spec(timeout_s=0.5))
        reply = await call(invoker, {"do": "pieces", "go": str(tmp_path / "never")})
        assert reply.stream is not None
        await anext(reply.stream)
        await asyncio.wait_for(reply.stream.aclose(), WAIT)
        assert reply.outcome == "timeout"
        assert value(await call(invoker, {"do": "echo"})) == {}

    async def test_a_caller_who_leaves_for_good_ends_the_work_before_it_answers(
        self, bench: Bench, tmp_path: Path
    ) -> None:
        invoker = bench.invoker()
        started, done = tmp_path / "started", tmp_path / "done"
        event = {"do": "until_unwanted", "started": str(started), "done": str(done)}
        pid = value(await call(invoker, {"do": "pid"}))
        assignment = asyncio.create_task(call(invoker, event, request_id="r1"))
        await until(started.exists)
        waiting = asyncio.create_task(call(invoker, {"do": "echo"}, request_id="r2"))
        await until(lambda: invoker.status()["f"]["queued"] == 1)
        invoker.leave("nobody")
        invoker.leave("r2")
        assert invoker.status()["f"]["queued"] == 0
        reply = await waiting
        assert (reply.outcome, reply.payload, reply.function_error) == ("cancelled", b"", None)
        assert reply.report.queue_ms > 0
        invoker.leave("r1")
        invoker.leave("r1")
        reply = await assignment
        assert done.read_text() == "True"
        assert (reply.outcome, reply.payload, reply.function_error) == ("cancelled", b"", None)
        assert reply.report.counts == {"generated_tokens": 7}
        assert b"the caller went away, so the work was ended" in reply.log
        assert value(await call(invoker, {"do": "pid"})) == pid
        assert invoker.status()["f"]["outcomes"]["cancelled"] == 2

    async def test_a_worker_that_does_not_notice_is_ended_when_its_caller_says_so(
        self, bench: Bench, tmp_path: Path
    ) -> None:
        invoker = bench.invoker()
        started = tmp_path / "started"
        assignment = asyncio.create_task(
            call(invoker, {"do": "sleep", "started": str(started)}, request_id="r")
        )
        await until(started.exists)
        [pid] = invoker.status()["f"]["pids"]
        invoker.leave("r")
        invoker.leave("r", kill_after_s=0.05)
        reply = await assignment
        assert (reply.outcome, reply.payload, reply.function_error) == ("cancelled", b"", None)
        assert b"the worker went on all the same, and was ended\nEND RequestId" in reply.log
        await until(lambda: not running(pid))
        assert value(await call(invoker, {"do": "echo", "a": 1})) == {"a": 1}

    async def test_a_worker_that_notices_in_time_is_not_ended(self, bench: Bench, tmp_path: Path) -> None:
        invoker = bench.invoker()
        started, done = tmp_path / "started", tmp_path / "done"
        event = {"do": "until_unwanted", "started": str(started), "done": str(done)}
        assignment = asyncio.create_task(call(invoker, event, request_id="r"))
        await until(started.exists)
        [pid] = invoker.status()["f"]["pids"]
        invoker.leave("r", kill_after_s=WAIT)
        assert (await assignment).outcome == "cancelled"
        assert value(await call(invoker, {"do": "pid"})) == pid

    async def test_a_slow_reader_slows_the_worker_and_not_the_server(self, bench: Bench) -> None:
        code = "def handler(event, context):\n    return (bytes(65536) for _ in range(500))\n"
        reply = await call(bench.invoker(bench.spec(code)), {})
        assert reply.stream is not None
        await asyncio.sleep(0)
        total = sum([len(piece) async for piece in reply.stream])
        assert total == 500 * 65536


SERVER = """
import asyncio, json, pathlib, sys
from firstlight.invoke import pool
from firstlight.invoke.types import Invocation, WorkerSpec

async def main():
    fields = json.loads(sys.argv[1])
    if fields.pop("fork"):
        pool._forkable = lambda spec: True
    for name in ("script", "cwd"):
        fields[name] = fields[name] and pathlib.Path(fields[name])
    fields["command"] = fields["command"] and tuple(fields["command"])
    invoker = pool.PoolInvoker({"f": WorkerSpec("f", **fields)})
    reply = await invoker.invoke(Invocation("f", b'{"do": "pid"}'))
    zygote = invoker._fork.pid if invoker._fork else 0
    print(json.dumps([int(reply.payload), zygote]), flush=True)
    await asyncio.sleep(600)

asyncio.run(main())
"""


class TestServerDeath:
    async def test_workers_end_with_the_server(self, bench: Bench) -> None:
        """kill -9 of the server: nothing it started stays behind."""
        spec = bench.spec()
        fields = {name: getattr(spec, name) for name in ("script", "cwd", "command", "handler")}
        fields["fork"] = bench.way == "forked"
        server = await asyncio.create_subprocess_exec(
            *(sys.executable, "-c", SERVER, json.dumps(fields, default=str)), stdout=asyncio.subprocess.PIPE
        )
        assert server.stdout is not None
        worker, zygote = json.loads(await asyncio.wait_for(server.stdout.readline(), WAIT))
        assert running(worker)
        assert bool(zygote) == (bench.way == "forked")
        server.kill()
        await server.wait()
        await until(lambda: not running(worker) and not running(zygote))


@pytest.mark.parametrize("way", ["forked"], indirect=True)
class TestZygote:
    async def test_kill_9_of_the_zygote(self, bench: Bench) -> None:
        invoker = bench.invoker()
        pid = value(await call(invoker, {"do": "pid"}))
        zygote = invoker._fork.pid  # type: ignore[union-attr]
        os.kill(zygote, signal.SIGKILL)
        await until(lambda: not running(pid))
        assert value(await call(invoker, {"do": "echo", "a": 1})) == {"a": 1}
        assert invoker._fork.pid not in (None, zygote)  # type: ignore[union-attr]
