"""What surrounds a worker: its socket, its process, its log and the measure of its memory, opened and closed as one."""

from __future__ import annotations

import asyncio
import math
from pathlib import Path

from firstlight.invoke import limits, walled
from firstlight.invoke.connection import listen_tcp, listen_unix
from firstlight.invoke.forks import Forked
from firstlight.invoke.logs import LogPipe, LogSink
from firstlight.invoke.processes import Launch, Launcher, OnExit, Process
from firstlight.invoke.runtime_api import RuntimeApi
from firstlight.invoke.types import WorkerSpec


class Sandbox:
    """The surroundings of one worker.

    Args:
        spec: what runs in it.
        api: what its process talks to.
        sink: where its log lines go.
        kind: why it is started, as in AWS_LAMBDA_INITIALIZATION_TYPE.
    """

    def __init__(
        self, spec: WorkerSpec, api: RuntimeApi, sink: LogSink | None, kind: str = "on-demand"
    ) -> None:
        self.log = LogPipe(spec.endpoint, sink)
        self._spec = spec
        self._kind = kind
        self._api = api
        self._process: Process | None = None
        self._memory: limits.Memory | None = None
        self._server: asyncio.Server | None = None
        self._path: Path | None = None
        self._killed = False

    @property
    def pid(self) -> int | None:
        return self._process.pid if self._process is not None else None

    @property
    def restored(self) -> bool:
        """Whether it is a copy of a worker that was initialised before."""
        return self._spec.snap_start and isinstance(self._process, Forked)

    async def start(self, launcher: Launcher, path: Path, on_exit: OnExit) -> None:
        """Listen at ``path`` (a client of another make gets a loopback port), then start the process.

        Raises:
            WorkerFailed: the process could not be started.
        """
        spec = self._spec
        if spec.command is None:
            self._server, self._path = await listen_unix(self._api, path), path
            address = f"unix:{path}"
        else:
            self._server, address = await listen_tcp(self._api)
        env = limits.environment(spec, address, self._kind)
        words = walled.command(limits.command(spec), spec.walls, path.parent)
        launch = Launch(words, env, limits.task_root(spec), self.log.writer, spec.memory_mb)
        process = await launcher.launch(launch, on_exit)
        self._process = process
        self.log.close_writer()
        self._memory = limits.Memory(process.pid)
        limits.set_limits(process.pid, spec.memory_mb)
        if self._killed:
            process.kill()

    def explained(self, error: bytes) -> bytes:
        """A function error with a hint, in the log too, where a wall is its reason."""
        body, hint = walled.explained(error, self._spec)
        if hint:
            self.log.add(f"help: {hint}\n")
        return body

    def kill(self) -> None:
        """SIGKILL; at once when it is only about to start."""
        self._killed = True
        if self._process is not None:
            self._process.kill()

    def resident_mb(self) -> float | None:
        """Resident memory now, 0 before the process runs, None when it has ended or is ending."""
        return 0.0 if self._memory is None else self._memory.resident_mb()

    def peak_mb(self) -> int:
        """The most resident memory so far, rounded up."""
        return 0 if self._memory is None else math.ceil(self._memory.peak_mb())

    def close(self) -> None:
        """Let go of everything; the process has ended or never ran."""
        self._api.close()
        self.log.close()
        if self._server is not None:
            self._server.close()
        if self._path is not None:
            self._path.unlink(missing_ok=True)
        if self._memory is not None:
            self._memory.close()
