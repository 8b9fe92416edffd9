"""SnapStart here: a version's worker is initialised once, and its workers are forked from that one.

A fork stands for a snapshot where it is safe (``snapshot_safety``). Where it is not, every worker is started anew; the
hooks run in each of them, at the same places, so that only the time is not saved. The log says why.
"""

from __future__ import annotations

import asyncio
import json
import socket
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from firstlight.invoke import limits, outcomes
from firstlight.invoke.forks import Forks
from firstlight.invoke.logs import LogPipe, LogSink
from firstlight.invoke.processes import PROCESSES, Launch, Launcher, OnExit, Process
from firstlight.invoke.types import WorkerSpec
from firstlight.invoke.zygote import available
from firstlight.runtime.errors import FirstlightError

INIT_LIMIT_S = 130.0
"""Lambda's limit of the init of a snapshot, its hooks included; the function's timeout where that is longer."""

_COPIES = 16
"""Copies there is memory for at least, as concurrency may be raised later."""

_SCRIPT = Path(__file__).with_name("snapshot_process.py")


class SnapStartError(FirstlightError):
    """The snapshot of a version could not be made, or a hook failed after it was restored (SnapStartException)."""

    code = "snap-start"
    status = 400


HOOK_ERRORS = ("Runtime.BeforeSnapshotError", "Runtime.AfterRestoreError")
"""What a worker says to the Runtime API when a hook failed."""


def hook_failed(spec: WorkerSpec, body: bytes) -> SnapStartError:
    """A worker said that a hook failed.

    Args:
        body: the hook's error, as JSON.
    """
    try:
        told = json.loads(body)
        text = f"{told['errorType']}: {told['errorMessage']}"
    except (ValueError, LookupError, TypeError):
        text = "no reason was given"
    return SnapStartError(f"a hook of {spec.endpoint}:{spec.version} failed: {text}", "its log says where")


class SnapshotLauncher(Forks):
    """Starts the workers of one version as copies of one that is initialised.

    That one is started at once, and again at the next launch when it has ended.

    Args:
        spec: of the version.
        sink: where the log lines of its init go.
        anew: starts it, and the workers where copies are not safe.
        socket_path: makes the path of the socket over which it is asked for copies.

    Attributes:
        why: why workers are started anew; empty where they are copies, or nobody knows yet.
    """

    def __init__(
        self, spec: WorkerSpec, sink: LogSink | None, anew: Launcher, socket_path: Callable[[], Path]
    ) -> None:
        super().__init__()
        self.why = _impossible(spec)
        self._version = spec
        self._sink = sink
        self._anew = anew
        self._socket_path = socket_path
        self._process: Process | None = None
        self._life = 0
        self._gone = asyncio.Event()
        self._gone.set()
        self._log: LogPipe | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._beginning: asyncio.Task[None] | None = None
        self._taken: asyncio.Future[None] = self._loop.create_future()
        if self.why:
            self._explain(LogPipe(spec.endpoint, sink))
        else:
            self._start()

    async def launch(self, launch: Launch, on_exit: OnExit) -> Process:
        """Fork a worker, once there is something to fork.

        Raises:
            SnapStartError: the init or a hook failed.
            WorkerFailed: a worker could not be started anew either.
        """
        forked = None
        if not self.why:
            if self._taken.done() and self._control is None:
                self._taken = self._loop.create_future()
                self._start()
            await asyncio.shield(self._taken)
        if not self.why:
            try:
                forked = await self._fork(launch, on_exit)
            except OSError:
                pass  # it has ended just now
        return forked or await self._anew.launch(launch, on_exit)

    async def close(self) -> None:
        """End it, and with it any worker it still has."""
        self._let_go()
        if self._beginning is not None:
            await asyncio.wait([self._beginning])
            self._stop()
        await self._gone.wait()

    def _start(self) -> None:
        self._life += 1
        if self._log is not None:
            self._log.close()
        self._log = LogPipe(self._version.endpoint, self._sink)
        self._timer = self._loop.call_later(max(INIT_LIMIT_S, self._version.timeout_s), self._too_long)
        self._beginning = self._loop.create_task(self._begin(self._log, self._socket_path()))

    async def _begin(self, log: LogPipe, path: Path) -> None:
        """Start the process, and wait until it can be spoken to."""
        spec = self._version
        env = {**limits.environment(spec, "", "snap-start"), "FIRSTLIGHT_SNAPSHOT": str(path)}
        del env["AWS_LAMBDA_RUNTIME_API"]
        flags = ("-I", "-S", "-u") if spec.bundle is not None else ("-I", "-u")
        words = (sys.executable, *flags, str(_SCRIPT))
        await self._gone.wait()  # the one before may have said farewell, and not have ended
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as listening:
                listening.setblocking(False)
                listening.bind(str(path))
                listening.listen(1)
                # Each copy is held to its memory by the pool; this is for all of them, and what they start.
                copies = max(_COPIES, 2 * spec.concurrency)
                memory_mb, most = spec.memory_mb * copies, PROCESSES * copies
                launch = Launch(words, env, limits.task_root(spec), log.writer, memory_mb, most)
                process = await self._launched(launch)
                log.close_writer()
                limits.set_limits(process.pid, spec.memory_mb)
                control, _ = await self._loop.sock_accept(listening)
            self._listen(control)
        except (OSError, FirstlightError) as error:
            self._end(
                SnapStartError(f"the worker of the snapshot of {spec.endpoint} was not started: {error}")
            )
        except asyncio.CancelledError:
            self._stop()  # it has ended before it said anything, or is to
        finally:
            path.unlink(missing_ok=True)

    async def _launched(self, launch: Launch) -> Process:
        """The process; one that is started while this is cancelled is not lost."""
        self._gone.clear()
        launching = self._loop.create_task(self._anew.launch(launch, partial(self._exited, self._life)))
        try:
            await asyncio.shield(launching)
        finally:
            await asyncio.wait([launching])
            if launching.exception() is not None:
                self._gone.set()
            elif not self._gone.is_set():  # it may have ended by now
                self._process = launching.result()
        return launching.result()

    def _told(self, message: dict[str, Any]) -> None:
        if "ready" in message:
            if self._log is not None:
                self._log.drain()
                self._log.end(outcomes.init_line(float(message["ready"])))
            self._end(None)
        elif "unsafe" in message:
            self.why = str(message["unsafe"])
            if self._log is not None:
                self._explain(self._log)
            self._end(None)
        elif "failed" in message:
            error, version = message["failed"], self._version
            self._end(
                SnapStartError(
                    f"the snapshot of {version.endpoint}:{version.version} could not be made: "
                    f"{error.get('errorType')}: {error.get('errorMessage')}",
                    "what it runs when it is loaded, or a hook for the time before the snapshot, failed",
                )
            )
        else:
            super()._told(message)

    def _too_long(self) -> None:
        self._end(SnapStartError(f"the init of {self._version.endpoint} took longer than SnapStart allows"))
        self._let_go()

    def _exited(self, life: int, _status: int) -> None:
        """The process has ended; what it said before is heard first."""
        self._process = None
        self._gone.set()
        if life != self._life:
            return
        if self._control is not None:
            self._hear()
        self._let_go()

    def _let_go(self) -> None:
        """End what is left of it."""
        if self._beginning is not None and not self._beginning.done():
            self._beginning.cancel()
        self._lost()
        self._stop()
        self._end(
            SnapStartError(f"the worker of the snapshot of {self._version.endpoint} has ended in its init")
        )
        if self._log is not None:
            self._log.close()

    def _stop(self) -> None:
        if self._process is not None:
            self._process.kill()

    def _end(self, error: SnapStartError | None) -> None:
        """The snapshot is there, or will not be."""
        if self._timer is not None:
            self._timer.cancel()
        if self._taken.done():
            return
        if error is None:
            self._taken.set_result(None)
        else:
            self._taken.set_exception(error)
            self._taken.exception()  # there may be nobody who waits for it

    def _explain(self, log: LogPipe) -> None:
        log.add(f"SnapStart: workers are started anew, as {self.why}\n")
        log.close()


def _impossible(spec: WorkerSpec) -> str:
    """Why no worker of a version can be a copy, where that is known beforehand."""
    if not available():
        return "this system cannot fork them"
    if spec.walls is not None:
        return "they run within walls"
    if spec.command is not None or (spec.bundle is None and spec.script is None):
        return "they are not started by firstlight"
    return ""
