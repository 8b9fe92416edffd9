"""The server itself is ended, gently and not, while it works: what was answered is recorded, nothing is left over."""

from __future__ import annotations

import asyncio
import os
import signal
import sqlite3
import time
import uuid
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from faults.figures import Figures
from faults.functions import write_project
from faults.load import Answer, Client, invoke
from faults.watching import named, until
from serving import Server

ROUNDS = int(os.environ.get("FIRSTLIGHT_FAULTS_ROUNDS", "3"))
CONNECTIONS = 16


@dataclass(slots=True)
class Asked:
    """Requests and what came of them, in the order in which they ended.

    Attributes:
        sent: when each request without an answer left, seconds of the monotonic clock.
    """

    answers: list[Answer] = field(default_factory=list)
    unanswered: list[float] = field(default_factory=list)

    def identities(self) -> set[str]:
        return {answer.headers["x-amzn-requestid"] for answer in self.answers if answer.status == 200}


async def keep_asking(server: Server, asked: Asked, endpoint: str) -> None:
    """One connection that asks until the server is gone."""
    client = Client(server.url)
    while True:
        sent = time.monotonic()
        try:
            asked.answers.append(await client.ask(invoke(endpoint, {"text": "x" * 100})))
        except (OSError, asyncio.IncompleteReadError):
            asked.unanswered.append(sent)
            break
    await client.close()


def recorded(folder: Path) -> set[str]:
    """The invocations the records of a project know of."""
    with sqlite3.connect(f"file:{folder / 'data' / 'records.sqlite'}?mode=ro", uri=True) as database:
        assert database.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        found = {row[0] for row in database.execute("SELECT request_id FROM records")}
    database.close()
    return found


async def under_load(server: Server, number: int, asked: Asked) -> float:
    """Send a signal to a server that works; when it was sent."""
    load = [
        asyncio.create_task(keep_asking(server, asked, endpoint))
        for endpoint in ("busy", "canary", "light", "faulty")
        for _ in range(CONNECTIONS // 4)
    ]
    expected = len(asked.answers) + 300
    await until(lambda: len(asked.answers) >= expected)
    sent = time.monotonic()
    server.process.send_signal(number)
    await asyncio.gather(*load)
    await asyncio.to_thread(server.process.wait, 60)
    return sent


def project(tmp_path: Path) -> Path:
    folder = write_project(tmp_path / f"project-{uuid.uuid4().hex}")
    file = folder / "inference" / "faulty.py"
    file.write_text(file.read_text().replace('globals()["do_" + event["do"]](event)', "event"))
    return folder


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGINT])
async def test_a_gentle_end(tmp_path: Path, figures: Figures, how: signal.Signals) -> None:
    folder, asked = project(tmp_path), Asked()
    with Server(folder) as server:
        sent = await under_load(server, how, asked)
    figures(
        f"{how.name} under load",
        sent=len(asked.answers) + len(asked.unanswered),
        answered=len(asked.identities()),
        refused_after=len(asked.unanswered),
        lost=len(asked.identities() - recorded(folder)),
    )
    assert {answer.status for answer in asked.answers} <= {200, 429, 503}
    # Whoever had asked before it was told to end was answered.
    assert not [when for when in asked.unanswered if when < sent]
    assert asked.identities() <= recorded(folder)
    assert server.process.returncode == 0
    await until(lambda: not named(str(folder)))


async def test_killed_and_started_again(tmp_path: Path, figures: Figures) -> None:
    folder, asked = project(tmp_path), Asked()
    began: list[float] = []
    for _ in range(ROUNDS):
        start = time.monotonic()
        with Server(folder) as server:
            await under_load(server, signal.SIGKILL, asked)
            began.append(time.monotonic() - start)
            # Workers, their keepers and what they started end with the server.
            await until(lambda: not named(str(folder)))
    with Server(folder) as server:
        client = Client(server.url)
        last = await client.ask(invoke("canary", {"n": 1}))
        await client.close()
    figures(
        f"killed {ROUNDS} times under load",
        sent=len(asked.answers) + len(asked.unanswered),
        answered=len(asked.identities()),
        unanswered=len(asked.unanswered),
        lost=len(asked.identities() - recorded(folder)),
    )
    assert last.status == 200
    assert {answer.status for answer in asked.answers} == {200}
    assert len(asked.unanswered) == ROUNDS * CONNECTIONS
    assert asked.identities() <= recorded(folder)


async def test_a_daemon_ends_with_a_server_that_is_killed(tmp_path: Path, figures: Figures) -> None:
    folder, mark = write_project(tmp_path / "project"), uuid.uuid4().hex
    with Server(folder) as server:
        client = Client(server.url)
        answer = await client.ask(invoke("faulty", {"do": "daemon", "mark": mark}))
        assert named(mark)
        server.process.kill()
        await until(lambda: not named(mark))
        await client.close()
        await until(lambda: not named(str(folder)))
    figures("daemon of a server that is killed", sent=1, answered=1)
    assert answer.status == 200
