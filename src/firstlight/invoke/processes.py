"""Worker processes: how one is started, killed, and how its end is noticed."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from firstlight.runtime.errors import WorkerFailed

PROCESSES = 1024
"""Processes and threads of a worker (AWS Lambda quotas, "Execution processes/threads")."""

OnExit = Callable[[int], None]
"""Called once with the exit code, or the negative number of the signal."""


@dataclass(frozen=True, slots=True)
class Launch:
    """What to run.

    Args:
        output: the descriptor for both stdout and stderr.
        processes: processes and threads it may have, all it starts included.
    """

    command: tuple[str, ...]
    env: Mapping[str, str]
    cwd: Path
    output: int
    memory_mb: int
    processes: int = PROCESSES


class Process(Protocol):
    """A running worker process."""

    pid: int

    def kill(self) -> None:
        """SIGKILL to it and all it started; nothing when it has ended."""


class Launcher(Protocol):
    """Starts worker processes."""

    async def launch(self, launch: Launch, on_exit: OnExit) -> Process: ...

    async def close(self) -> None: ...


def not_started(launch: Launch, reason: str | None) -> WorkerFailed:
    """Why a program could not be started, for its user."""
    return WorkerFailed(
        f"a worker could not be started with {launch.command[0]} in {launch.cwd}: {reason}",
        "check that the program and the folder exist and may be used",
    )


class SpawnLauncher:
    """Starts every worker as a new program, with nothing above it but this process."""

    def prepare(self) -> None:
        """There is nothing to prepare."""

    async def launch(self, launch: Launch, on_exit: OnExit) -> Process:
        """Start it in a session of its own, so that it is killed with its children and Ctrl-C does not reach it.

        Raises:
            WorkerFailed: the system refused.
        """
        try:
            popen = subprocess.Popen(
                launch.command,
                env=dict(launch.env),
                cwd=launch.cwd,
                stdin=subprocess.DEVNULL,
                stdout=launch.output,
                stderr=launch.output,
                start_new_session=True,
            )
        except OSError as error:
            raise not_started(launch, error.strerror) from error
        return _Spawned(popen, on_exit)

    async def close(self) -> None:
        """Nothing is kept between launches."""


class _Spawned:
    """A child process of this one."""

    def __init__(self, popen: subprocess.Popen[bytes], on_exit: OnExit) -> None:
        self.pid = popen.pid
        self._popen = popen
        self._on_exit = on_exit
        self._loop = asyncio.get_running_loop()
        if sys.platform == "linux":
            self._pidfd = os.pidfd_open(popen.pid)
            self._loop.add_reader(self._pidfd, self._ended)
        else:
            threading.Thread(target=self._wait, name=f"wait-{popen.pid}", daemon=True).start()

    def kill(self) -> None:
        kill_session(self.pid, reaped=self._popen.returncode is not None)

    def _ended(self) -> None:
        self._loop.remove_reader(self._pidfd)
        os.close(self._pidfd)
        # What the worker itself started must not outlive it. The process is not reaped yet, so its id is still its own.
        kill_session(self.pid, reaped=False)
        self._on_exit(self._popen.wait())

    def _wait(self) -> None:
        status = self._popen.wait()
        try:
            self._loop.call_soon_threadsafe(self._on_exit, status)
        except RuntimeError:
            pass  # the loop was closed while the process ran: nobody is left to be told


def kill_session(pid: int, *, reaped: bool) -> None:
    """SIGKILL to the process group a worker leads; not once it is reaped, as its id may be another's by then."""
    if reaped:
        return
    try:
        os.killpg(pid, signal.SIGKILL)
    except (ProcessLookupError, PermissionError):
        pass  # it has ended meanwhile
