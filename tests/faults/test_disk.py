"""Full disks: a function's own, and the one that the records and the jobs of the server lie on.

The disk is a small tmpfs that only the server and its workers see (a mount namespace, which any user may make).
"""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

from faults.figures import Figures
from faults.functions import write_project
from faults.load import Answer, Client, invoke, request
from faults.watching import watched
from serving import Server

DISK_MB = 6
CONFINED = """
import os, sys
from firstlight.isolation import kernel
user, group = os.getuid(), os.getgid()
kernel.unshare(kernel.NEW_MOUNTS if user == 0 else kernel.NEW_MOUNTS | kernel.NEW_USER)
if user:
    for name, text in (("setgroups", "deny"), ("uid_map", f"{user} {user} 1"), ("gid_map", f"{group} {group} 1")):
        open(f"/proc/self/{name}", "w").write(text)
kernel.mount("none", "/", "", kernel.RECURSIVE | kernel.PRIVATE)
kernel.mount("tmpfs", os.environ["FIRSTLIGHT_DATA_DIR"], "tmpfs", 0, "size=DISK_MBm,mode=700")
os.execv(sys.executable, [sys.executable, "-m", "firstlight", *sys.argv[1:]])
""".replace("DISK_MB", str(DISK_MB))


class Disk:
    """The server's small disk, seen through the server.

    Args:
        server: which has it as its data folder.
    """

    def __init__(self, server: Server) -> None:
        self.inside = server.folder / "data"
        self.folder = Path(f"/proc/{server.process.pid}/root{self.inside}")

    def fill(self) -> None:
        """Take what is left, to the last byte."""
        with (self.folder / "filler").open("ab", buffering=0) as file:
            for size in (1 << 16, 1 << 12, 1):
                try:
                    while True:
                        file.write(b"x" * size)
                except OSError:
                    continue

    def clear(self) -> None:
        (self.folder / "filler").unlink()


@pytest.fixture
def confined(tmp_path: Path) -> Iterator[Server]:
    """A server whose data folder is the small disk, and which keeps all texts."""
    folder = write_project(tmp_path / "project")
    file = folder / "firstlight.toml"
    file.write_text(file.read_text().replace('store = "none"', 'store = "full"'))
    (folder / "data").mkdir()
    with Server(folder, program=("-c", CONFINED)) as running:
        yield running


async def ask(server: Server, *requests: bytes) -> list[Answer]:
    client = Client(server.url)
    try:
        return list(await asyncio.gather(*(client.ask(data) for data in requests)))
    finally:
        await client.close()


def is_whole(file: Path, copy: Path) -> bool:
    """Whether SQLite finds nothing wrong with a database, looked at in a copy."""
    copy.mkdir()
    for part in file.parent.glob(file.name + "*"):
        shutil.copy(part, copy)
    with sqlite3.connect(copy / file.name) as database:
        found = database.execute("PRAGMA integrity_check").fetchall()
    database.close()
    return found == [("ok",)]


async def test_a_function_that_fills_its_disk(confined: Server, figures: Figures) -> None:
    disk = Disk(confined)
    event = {"do": "fill", "folder": str(disk.inside), "megabytes": DISK_MB + 1}
    async with watched(confined) as seen:
        (answer,) = await ask(confined, invoke("faulty", event))
        echo = await ask(confined, *[invoke("faulty", {"do": "echo"})] * 20)
        (disk.folder / "filling").unlink()
    figures("a function fills the disk", seen, sent=21, answered=20, failed=1)
    assert json.loads(answer.body)["errorType"] == "OSError"
    assert "[Errno 28]" in json.loads(answer.body)["errorMessage"]
    assert {json.loads(answer.body)["do"] for answer in echo} == {"echo"}


async def test_the_disk_of_the_records_is_full(confined: Server, figures: Figures, tmp_path: Path) -> None:
    disk = Disk(confined)
    event = invoke("light", {"text": "x" * 20_000})
    async with watched(confined) as seen:
        before = await ask(confined, *[event] * 10)
        disk.fill()
        during = await ask(confined, *[event] * 200)
        disk.clear()
        after: list[Answer] = []
        while not after or "x-firstlight-warnings" in after[-1].headers:
            after += await ask(confined, event)
        after += await ask(confined, *[event] * 10)
    answers = [*before, *during, *after]
    warned = [answer for answer in during if "x-firstlight-warnings" in answer.headers]
    figures(
        "the disk of the records is full",
        seen,
        sent=len(answers),
        answered=sum(answer.status == 200 for answer in answers),
        warned=len(warned),
    )
    assert {answer.status for answer in answers} == {200}
    assert warned
    assert "not recorded" in warned[0].headers["x-firstlight-warnings"]
    assert is_whole(disk.folder / "records.sqlite", tmp_path / "copy")
    assert seen.peak_mb < seen.memory[0] + 64


async def test_the_disk_of_the_jobs_is_full(confined: Server, figures: Figures, tmp_path: Path) -> None:
    """An event that was accepted is answered in the end; one that cannot be kept is refused, not forgotten."""
    disk = Disk(confined)
    folder = tmp_path / "done"
    folder.mkdir()

    def event(number: int) -> bytes:
        body = {"do": "touch", "file": str(folder / str(number)), "text": "x" * 20_000}
        return request("/2015-03-31/functions/faulty/invocations", body, X_Amz_Invocation_Type="Event")

    async with watched(confined) as seen:
        before = await ask(confined, *(event(number) for number in range(10)))
        disk.fill()
        during = await ask(confined, *(event(number) for number in range(100, 200)))
        sync = await ask(confined, *[invoke("faulty", {"do": "echo"})] * 20)
        disk.clear()
        after: list[Answer] = []
        while not after or after[-1].status != 202:
            after += await ask(confined, event(1000 + len(after)))
        accepted = {str(n) for n, answer in zip(range(10), before, strict=True) if answer.status == 202}
        accepted |= {
            str(n) for n, answer in zip(range(100, 200), during, strict=True) if answer.status == 202
        }
        accepted.add(str(1000 + len(after) - 1))
        async with asyncio.timeout(30):
            while not accepted <= set(os.listdir(folder)):
                await asyncio.sleep(0.05)
    refused = [answer for answer in during if answer.status != 202]
    figures(
        "the disk of the jobs is full",
        seen,
        sent=len(before) + len(during) + len(after) + len(sync),
        answered=len(accepted) + len(sync),
        failed=len(refused) + len(after) - 1,
        lost=len(accepted - set(os.listdir(folder))),
    )
    assert {answer.status for answer in before} == {202}
    assert {answer.status for answer in sync} == {200}
    assert refused
    assert all(answer.status >= 500 or answer.status == 429 for answer in refused)
    assert is_whole(disk.folder / "jobs.sqlite", tmp_path / "copy")
