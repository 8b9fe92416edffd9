"""One invocation of an endpoint in a worker of its own, within the walls of Lambda's sandbox, measured."""

from __future__ import annotations

import asyncio
import json
import os
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from firstlight.invoke.pool import PoolInvoker
from firstlight.invoke.types import Invocation, Reply, WorkerSpec
from firstlight.invoke.walled import walled
from firstlight.runtime.errors import FirstlightError

_NETWORK = (
    *(
        "Errno -2",
        "Errno -3",
        "Errno 101",
        "Errno 111",
        "Errno 13",
        "name resolution",
        "Name or service not known",
    ),
    *(
        "ConnectionError",
        "MaxRetryError",
        "URLError",
        "ConnectError",
        "Network is unreachable",
        "LocalEntryNotFound",
    ),
    *("offline", "We couldn't connect", "Connection refused"),
)
"""What is said where the network was needed and cut."""

_INIT_FAILED = "INIT_REPORT Init Duration"
"""What only the log of an init that did not succeed has."""


@dataclass(frozen=True, slots=True)
class Trial:
    """What came of it.

    Attributes:
        payload: the answer, or the function error.
        failed: the invocation ended with a function error.
        init_s: seconds from the start of the process to its first call for work; None where it never came so far.
        memory_mb: the most resident memory the worker had.
        tmp_mb: what was left in /tmp; None where it cannot be told.
        offline: it was done with the network cut; False where that failed and it worked with the network.
        log: the end of its log.
    """

    payload: Any
    bytes: int
    failed: bool
    outcome: str
    init_s: float | None
    memory_mb: int
    tmp_mb: float | None
    offline: bool
    log: str = field(default="", repr=False)

    @property
    def error(self) -> str:
        """The function error in a line; empty where it answered."""
        if not self.failed:
            return ""
        if not isinstance(self.payload, dict):
            return str(self.payload)[:300]
        return f"{self.payload.get('errorType', 'error')}: {self.payload.get('errorMessage', '')}"[:300]

    @property
    def hint(self) -> str:
        """What to do about the error, where that is known."""
        return str(self.payload.get("hint") or "") if self.failed and isinstance(self.payload, dict) else ""


def tried(spec: WorkerSpec, event: bytes | None) -> Trial:
    """Start a worker and call it once: with the network cut, and once more with it where that may be why it failed.

    Args:
        event: for a script; a model is called with its task's own example.

    Raises:
        FirstlightError: no worker can be started.
    """
    strict = walled(spec)
    payload = event_of(spec, event)
    cut = _once(replace(strict, walls=strict.walls and replace(strict.walls, network=False)), payload)
    if not cut.failed or not any(word in cut.error + cut.log for word in _NETWORK):
        return cut
    return replace(_once(strict, payload), offline=False)


def event_of(spec: WorkerSpec, event: bytes | None) -> bytes:
    """What an endpoint is called with: its task's example, what the user gave, or an empty object."""
    if spec.bundle is None:
        return event if event is not None else b"{}"
    from firstlight.runtime import tasks
    from firstlight.runtime.bundle import Bundle

    task = spec.task or Bundle.open(str(spec.bundle)).task
    return json.dumps(tasks.schema(task)["example"]).encode()


def _once(spec: WorkerSpec, payload: bytes) -> Trial:
    async def invoked() -> tuple[Reply, float | None]:
        pool = PoolInvoker({spec.endpoint: replace(spec, concurrency=1)})
        try:
            reply = await pool.invoke(Invocation(spec.endpoint, payload, tail=True))
            if reply.stream is not None:
                reply.payload = b"".join([piece async for piece in reply.stream]) or reply.payload
            return reply, _tmp_mb(pool.status()[spec.endpoint]["pids"])
        finally:
            await pool.close(0)

    reply, tmp_mb = asyncio.run(invoked())
    report, log = reply.report, reply.log.decode("utf-8", "replace")
    ready = report.init_ms is not None and _INIT_FAILED not in log
    return Trial(
        _parsed(reply.payload),
        len(reply.payload),
        bool(reply.function_error),
        reply.outcome,
        report.init_ms / 1000 if ready and report.init_ms is not None else None,
        report.max_memory_mb,
        tmp_mb,
        True,
        log,
    )


def _tmp_mb(pids: list[int]) -> float | None:
    """MB in the /tmp of a worker that waits, seen through its process."""
    for pid in pids:
        try:
            found = os.statvfs(Path("/proc", str(pid), "root", "tmp"))
        except OSError:
            return None
        return (found.f_blocks - found.f_bfree) * found.f_frsize / 1e6
    return None


def _parsed(payload: bytes) -> Any:
    try:
        return json.loads(payload) if payload else None
    except ValueError:
        return payload.decode("utf-8", "replace")


def failure(error: FirstlightError) -> str:
    """An error of ours in a line."""
    return f"{error.message}. {error.hint}".strip(". ")
