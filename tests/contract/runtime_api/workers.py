"""A worker in a process of its own, and pipes by which a test and a script wait for each other."""

import os
import select
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import firstlight
from contract.runtime_api.recorder import PATIENCE

BARE = (sys.executable, "-I", "-S", str(Path(firstlight.__file__).parent / "runtime" / "bootstrap.py"))
"""How the pool starts a worker that runs a model."""


class WorkerProcess:
    """A started worker; what it printed is there once it has ended."""

    def __init__(self, command: tuple[str, ...], env: dict[str, str], cwd: Path) -> None:
        pipe = subprocess.PIPE
        self.process = subprocess.Popen(command, env=env, cwd=cwd, stdout=pipe, stderr=pipe, text=True)
        self._outputs: tuple[str, str] | None = None

    def end(self) -> tuple[int, str, str]:
        """Exit status, stdout and stderr, when the worker ends by itself."""
        if self._outputs is None:
            self._outputs = self.process.communicate(timeout=PATIENCE)
        return self.process.returncode, *self._outputs

    def kill(self) -> None:
        if self._outputs is None:
            self.process.kill()
            self.end()


Start = Callable[..., WorkerProcess]


class Pipe:
    """A named pipe that a script opens by its name: the test never waits longer than it has patience."""

    def __init__(self, path: Path) -> None:
        os.mkfifo(path)
        self._descriptor = os.open(path, os.O_RDWR)  # both ends, so that opening waits for nobody

    def read(self) -> bytes:
        """What the script has written, once it has."""
        return read_soon(self._descriptor)

    def write(self) -> None:
        """Let a script go on that reads one byte."""
        os.write(self._descriptor, b"x")

    def close(self) -> None:
        os.close(self._descriptor)


def read_soon(descriptor: int) -> bytes:
    """The bytes of a pipe, when there are any in time."""
    ready, _, _ = select.select([descriptor], [], [], PATIENCE)
    assert ready, "nothing was written"
    return os.read(descriptor, 1000)
