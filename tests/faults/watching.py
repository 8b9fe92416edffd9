"""What a server does and has while something is done to it: a canary that is called throughout, memory, files."""

from __future__ import annotations

import asyncio
import contextlib
import os
import threading
import time
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from faults.load import Client, Outcome, invoke, open_loop
from serving import Server

CANARY_RATE = 10.0
"""Calls of the canary in a second."""
_SAMPLE_S = 0.2


def memory_mb(pid: int) -> float:
    """Memory that is a process's own, and its part of what it shares (PSS); 0 when it has ended."""
    with contextlib.suppress(OSError):
        for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                return int(line.split()[1]) / 1024
    return 0.0


def descriptors(pid: int) -> int:
    """How many files a process has open."""
    return len(os.listdir(f"/proc/{pid}/fd"))


def threads(pid: int) -> int:
    return len(os.listdir(f"/proc/{pid}/task"))


def named(word: str) -> list[int]:
    """Processes that have a word in their command line, environment or folder, but for this one."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and int(entry.name) != os.getpid():
            with contextlib.suppress(OSError):
                known = (entry / "cmdline").read_bytes() + (entry / "environ").read_bytes()
                if word.encode() in known or word in os.readlink(entry / "cwd"):
                    found.append(int(entry.name))
    return found


async def until(condition: object, seconds: float = 60.0) -> None:
    """Return when ``condition()`` holds; a test that waits in vain fails."""
    last = time.monotonic() + seconds
    while not condition():  # type: ignore[operator]
        assert time.monotonic() < last, "this never came"
        await asyncio.sleep(0.02)


@dataclass(slots=True)
class Watched:
    """What was seen of a server.

    Attributes:
        memory: PSS in MB, every fifth of a second.
        canary: what became of the calls of the canary.
    """

    memory: list[float] = field(default_factory=list)
    canary: Outcome = field(default_factory=Outcome)

    @property
    def peak_mb(self) -> float:
        return max(self.memory, default=0.0)

    @property
    def growth_mb(self) -> float:
        """How much more memory the last quarter had than the second one: the first is for warming up."""
        quarter = len(self.memory) // 4
        if not quarter:
            return 0.0
        return mean(self.memory[-quarter:]) - mean(self.memory[quarter : 2 * quarter])


def mean(values: list[float]) -> float:
    return sum(values) / len(values)


class _Watch(threading.Thread):
    """Calls the canary and looks at the memory, on an event loop of its own: what the test does must not hold it up."""

    def __init__(self, server: Server, rate: float) -> None:
        super().__init__(name="canary")
        self.found = Watched()
        self._server = server
        self._rate = rate
        self._stopping = threading.Event()

    def run(self) -> None:
        asyncio.run(self._both())

    def stop(self) -> Watched:
        self._stopping.set()
        self.join()
        return self.found

    async def _both(self) -> None:
        client = Client(self._server.url)
        await asyncio.gather(self._call(client), self._look())
        await client.close()

    async def _call(self, client: Client) -> None:
        while not self._stopping.is_set():
            part = await open_loop(client, lambda _: invoke("canary", {"n": 1}), self._rate, 1.0)
            self.found.canary.samples += part.samples
            self.found.canary.late = max(self.found.canary.late, part.late)

    async def _look(self) -> None:
        while not self._stopping.is_set():
            self.found.memory.append(memory_mb(self._server.process.pid))
            await asyncio.sleep(_SAMPLE_S)


@contextlib.asynccontextmanager
async def watched(server: Server, rate: float = CANARY_RATE) -> AsyncIterator[Watched]:
    """Call the canary and look at the server's memory while something is done to it; no call may fail."""
    watch = _Watch(server, rate)
    watch.start()
    while not watch.found.memory:
        await asyncio.sleep(0.01)
    try:
        yield watch.found
    finally:
        found = await asyncio.to_thread(watch.stop)
    failures = {status: n for status, n in found.canary.statuses.items() if status != 200}
    assert not failures, f"the canary was not answered: {failures} of {found.canary.sent}"


@contextlib.contextmanager
def returns_to(server: Server, extra: int = 64) -> Iterator[None]:
    """After the block the server has as many files open as before it, and a few for each worker it has now."""
    pid = server.process.pid
    before = descriptors(pid)
    yield
    last = time.monotonic() + 30
    while descriptors(pid) > before + extra and time.monotonic() < last:
        time.sleep(0.05)
    assert descriptors(pid) <= before + extra
