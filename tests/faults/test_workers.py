"""Functions that do what they must not do: their own callers are told, and every other endpoint keeps answering."""

from __future__ import annotations

import asyncio
import base64
import json
import os
import subprocess
import sys
import uuid
from pathlib import Path
from typing import Any

import pytest

from faults import load
from faults.figures import Figures
from faults.functions import write_project
from faults.load import Answer, Client, invoke
from faults.watching import memory_mb, named, returns_to, until, watched
from serving import Server

MEGABYTES = int(os.environ.get("FIRSTLIGHT_FAULTS_LOG_MB", "1024"))
MEMORY_MB = 64.0
"""What the server may need more than it had, whatever its functions do."""


def told(answer: Answer) -> tuple[str, str]:
    """The type and the message of a function's error."""
    body = json.loads(answer.body)
    assert answer.headers.get("x-amz-function-error") == "Unhandled", body
    return body["errorType"], body["errorMessage"]


def tail(answer: Answer) -> str:
    return base64.b64decode(answer.headers["x-amz-log-result"]).decode()


async def carried(server: Server, endpoint: str, *events: Any) -> list[Answer]:
    """The answers to events that are sent at once."""
    client = Client(server.url)
    try:
        return list(await asyncio.gather(*(client.ask(invoke(endpoint, event)) for event in events)))
    finally:
        await client.close()


async def well(server: Server, endpoint: str = "faulty") -> None:
    """The endpoint itself answers again."""
    (answer,) = await carried(server, endpoint, {"do": "echo"})
    assert json.loads(answer.body) == {"do": "echo"}


FAULTS = {
    "hangs in Python": ({"do": "spin"}, "Sandbox.Timedout"),
    "hangs in C, holding the lock": ({"do": "hold"}, "Sandbox.Timedout"),
    "is stopped": ({"do": "stop"}, "Sandbox.Timedout"),
    "ignores SIGTERM": ({"do": "ignore"}, "Sandbox.Timedout"),
    "leaks memory": ({"do": "leak"}, "Runtime.OutOfMemory"),
    "leaks memory in a child": ({"do": "leak", "below": True}, "Runtime.ExitError"),
    "reads address 0": ({"do": "crash"}, "Runtime.ExitError"),
    "closes its sockets": ({"do": "close"}, "Runtime.ExitError"),
    "opens files without end": ({"do": "descriptors"}, "OSError"),
    "answers 6 MB and a byte": ({"do": "large", "more": 1}, "Function.ResponseSizeTooLarge"),
}


@pytest.mark.parametrize("fault", FAULTS)
async def test_a_function_that(server: Server, figures: Figures, fault: str) -> None:
    event, expected = FAULTS[fault]
    with returns_to(server):
        async with watched(server) as seen:
            answers = await carried(server, "faulty", *[event] * 3)
            await well(server)
    figures(fault, seen, sent=3, failed=len(answers))
    assert {told(answer)[0] for answer in answers} == {expected}
    assert seen.peak_mb < seen.memory[0] + MEMORY_MB


async def test_exits_with_every_code(server: Server, figures: Figures) -> None:
    codes = range(256)
    async with watched(server) as seen:
        answers = await carried(server, "faulty", *({"do": "exit", "status": code} for code in codes))
        await well(server)
    figures("exits with every code", seen, sent=len(answers), failed=len(answers))
    for code, answer in zip(codes, answers, strict=True):
        kind, message = told(answer)
        assert kind == "Runtime.ExitError"
        reason = f"exit status {code}" if code else "Runtime exited without providing a reason"
        assert message.endswith(reason)


async def test_ends_by_every_signal(server: Server, figures: Figures) -> None:
    numbers = (1, 2, 3, 4, 6, 7, 8, 9, 11, 13, 14, 15, 24, 31)
    async with watched(server) as seen:
        events = ({"do": "signal", "number": number} for number in numbers)
        answers = await carried(server, "faulty", *events)
        await well(server)
    figures("ends by a signal", seen, sent=len(answers), failed=len(answers))
    assert {told(answer)[0] for answer in answers} <= {
        "Runtime.ExitError",
        "KeyboardInterrupt",
        "Sandbox.Timedout",
    }


async def test_exits_at_import(server: Server, figures: Figures) -> None:
    async with watched(server) as seen:
        answers = await carried(server, "unborn", *[{}] * 10)
    figures("exits at import", seen, sent=10, failed=len(answers))
    assert {told(answer)[0] for answer in answers} == {"Runtime.ExitError"}


@pytest.mark.parametrize("escape", [False, True], ids=["in one group", "each in a session of its own"])
async def test_a_fork_bomb(server: Server, figures: Figures, escape: bool) -> None:
    async with watched(server) as seen:
        before, others, peak = len(named(str(server.folder))), processes(), 0
        task = asyncio.create_task(carried(server, "faulty", {"do": "bomb", "escape": escape}))
        while not task.done():
            peak = max(peak, processes())
            await asyncio.sleep(0.02)
        (answer,) = task.result()
        await until(lambda: processes() < others + 200)
        await well(server)
    figures(f"fork bomb, {'escaping' if escape else 'plain'}", seen, sent=1, failed=1, processes=peak)
    # On a machine with much else to do the deadline may come before the limit.
    assert told(answer)[0] in ("Runtime.ExitError", "Sandbox.Timedout")
    assert len(named(str(server.folder))) <= before + 8


def processes() -> int:
    return sum(name.isdigit() for name in os.listdir("/proc"))


async def test_threads_without_end(server: Server, figures: Figures) -> None:
    async with watched(server) as seen:
        (answer,) = await carried(server, "patient", {"do": "threads"})
        await carried(server, "patient", {"do": "exit", "status": 0})  # they are still there
        await well(server, "patient")
    figures("3,000 threads", seen, sent=1, failed=1)
    assert told(answer)[0] in ("Runtime.ExitError", "RuntimeError")


@pytest.mark.parametrize("end", ["answers", "exits"])
async def test_daemons_left_behind(server: Server, figures: Figures, end: str) -> None:
    mark = uuid.uuid4().hex
    async with watched(server) as seen:
        await carried(server, "faulty", {"do": "daemon", "mark": mark, "exit": end == "exits"})
        if end != "exits":
            # What goes on in the background lives as long as its worker does.
            assert named(mark)
            (answer,) = await carried(server, "faulty", {"do": "echo"})
            assert answer.status == 200
            await asyncio.gather(*(carried(server, "faulty", {"do": "exit", "status": 1}) for _ in range(2)))
        await until(lambda: not named(mark))
        await well(server)
    figures(
        f"daemon of a worker that {end}",
        seen,
        sent=1,
        answered=int(end == "answers"),
        failed=int(end == "exits"),
    )


@pytest.mark.parametrize("lines", [True, False], ids=["in lines", "in one line"])
async def test_writes_a_gigabyte(server: Server, figures: Figures, lines: bool) -> None:
    start = memory_mb(server.process.pid)
    async with watched(server) as seen:
        (answer,) = await carried(server, "patient", {"do": "write", "megabytes": MEGABYTES, "lines": lines})
        await well(server, "patient")
    figures(f"{MEGABYTES} MB of log {'in lines' if lines else 'without one'}", seen, sent=1, answered=1)
    assert json.loads(answer.body) == "written"
    kept = tail(answer)
    assert len(kept.encode()) == 4096
    assert kept.startswith("x")
    assert "\nthe last words\nEND RequestId: " in kept
    assert kept.rpartition("\n")[0].splitlines()[-1].startswith("REPORT RequestId: ")
    assert seen.peak_mb < start + MEMORY_MB
    assert sum(map(len, server.log)) < 80_000_000


async def test_says_garbage_to_the_runtime_api(server: Server, figures: Figures) -> None:
    async with watched(server) as seen:
        answers = await carried(server, "patient", *[{"do": "garbage"}] * 4)
        await well(server, "patient")
    figures("garbage to the Runtime API", seen, sent=4, answered=4)
    assert {answer.body for answer in answers} == {b'"said"'}
    assert seen.peak_mb < seen.memory[0] + MEMORY_MB


async def test_streams_more_than_it_may(server: Server, figures: Figures) -> None:
    """210 MB to a reader that takes all of it, and to one that is slower."""
    event = {"do": "stream", "bytes": 1 << 20, "pieces": 210}
    async with watched(server) as seen:
        sizes = await asyncio.gather(*(streamed(server, event, pause) for pause in (0.0, 0.001)))
        await well(server, "patient")
    figures("streams 210 MB", seen, sent=2, answered=2, received_mb=max(sizes) >> 20)
    assert all(190 << 20 < size <= 200 << 20 for size in sizes)
    assert seen.peak_mb < seen.memory[0] + MEMORY_MB


async def test_streams_very_slowly(server: Server, figures: Figures) -> None:
    event = {"do": "stream", "bytes": 100, "pieces": 20, "pause": 0.1}
    async with watched(server) as seen:
        sizes = await asyncio.gather(*(streamed(server, event, 0.0) for _ in range(4)))
    figures("streams slowly", seen, sent=4, answered=4)
    assert set(sizes) == {2000}


async def streamed(server: Server, event: Any, pause: float) -> int:
    """Bytes of a streamed answer, taken with a pause after each piece, payload only."""
    client = Client(server.url)
    reader, writer = await client.connect()
    path = "/2021-11-15/functions/patient/response-streaming-invocations"
    writer.write(load.request(path, event))
    size = 0
    try:
        await reader.readuntil(b"\r\n\r\n")
        async for piece in load.chunks(reader):
            size += payload_bytes(piece)
            await asyncio.sleep(pause)
    except (asyncio.IncompleteReadError, ConnectionError):
        pass
    finally:
        writer.transport.abort()
    return size


def payload_bytes(message: bytes) -> int:
    """The payload of an event stream message (total, headers, .., payload, checksum); 0 of the last one."""
    if b"PayloadChunk" not in message[:256]:
        return 0
    return int.from_bytes(message[:4], "big") - int.from_bytes(message[4:8], "big") - 16


async def test_goes_on_after_its_answer(server: Server, figures: Figures) -> None:
    async with watched(server) as seen:
        answers = await carried(server, "faulty", *[{"do": "background"}] * 2)
        more = [await carried(server, "faulty", {"do": "echo"}) for _ in range(10)]
        await asyncio.gather(*(carried(server, "faulty", {"do": "exit", "status": 1}) for _ in range(2)))
    figures("goes on after its answer", seen, sent=12, answered=12)
    assert {answer.status for answer in answers} == {200}
    assert {answer.status for (answer,) in more} == {200}


async def test_nobody_reads_what_the_server_prints(tmp_path: Path, figures: Figures) -> None:
    """As with `firstlight serve 2>&1 | less`: its pipe is full, and stays so."""
    folder = write_project(tmp_path / "project")
    command = [sys.executable, "-m", "firstlight", "serve", "--port", "0", "--json"]
    env = {**os.environ, "FIRSTLIGHT_DATA_DIR": str(folder / "data")}
    pipes: Any = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with subprocess.Popen(command, cwd=folder, env=env, **pipes) as process:
        url = json.loads(process.stdout.readline())["url"]  # type: ignore[union-attr]
        client = Client(url)
        event = invoke("patient", {"do": "write", "megabytes": 4})
        answers = [await client.ask(event) for _ in range(3)]
        answers += [await client.ask(invoke("canary", {"n": 1})) for _ in range(10)]
        memory = memory_mb(process.pid)
        await client.close()
        process.terminate()
        process.wait(60)
    figures("nobody reads stderr", sent=13, answered=13, peak_mb=round(memory, 1))
    assert {answer.status for answer in answers} == {200}
    assert memory < 100
