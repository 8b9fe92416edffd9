"""Starts model workers by forking a process that is loaded already (``zygote_process``): milliseconds, shared memory.

Where that is not possible, or the zygote does not answer, a worker is started as a new program instead.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from firstlight.invoke import companions
from firstlight.invoke.forks import Forks
from firstlight.invoke.processes import Launch, Launcher, OnExit, Process, SpawnLauncher

_SCRIPT = Path(__file__).with_name("zygote_process.py")
_FAREWELL_S = 0.2


def available() -> bool:
    """Whether this system has what a zygote needs."""
    return sys.platform == "linux" and hasattr(os, "pidfd_open")


class ZygoteLauncher(Forks):
    """Forks workers from one zygote, started at once and again whenever it has ended."""

    def __init__(self) -> None:
        super().__init__()
        self._spawn: Launcher = SpawnLauncher()
        self._zygote: subprocess.Popen[bytes] | None = None
        self._start()

    @property
    def pid(self) -> int | None:
        return None if self._zygote is None else self._zygote.pid

    async def launch(self, launch: Launch, on_exit: OnExit) -> Process:
        """Fork a worker; start it as a new program if that does not work.

        Raises:
            WorkerFailed: neither works.
        """
        try:
            if self._control is None:
                self._start()
            forked = await self._fork(launch, on_exit)
        except OSError:
            forked = None
        return forked or await self._spawn.launch(launch, on_exit)

    async def close(self) -> None:
        """End the zygote, and with it any worker it still has."""
        self._lost()

    def _start(self) -> None:
        started = companions.start(_SCRIPT)
        if started is not None:
            self._zygote, control = started
            self._listen(control)

    def _stop(self) -> None:
        if self._zygote is not None:
            self._zygote.kill()
            self._zygote.wait()
            self._zygote = None
