"""Starts programs as workers below a keeper (``keeper_process``): whatever they start ends with them. Linux only.

Where that is not possible a worker is started without one, and only its own process group ends with it.
"""

from __future__ import annotations

import asyncio
import json
import os
import socket
import subprocess
import sys
from pathlib import Path

from firstlight.invoke import companions
from firstlight.invoke.processes import Launch, OnExit, Process, SpawnLauncher, not_started

_SCRIPT = Path(__file__).with_name("keeper_process.py")
_MESSAGE_BYTES = 128 * 1024


def launcher() -> KeptLauncher | SpawnLauncher:
    """What starts programs on this system."""
    return KeptLauncher() if sys.platform == "linux" else SpawnLauncher()


class KeptLauncher:
    """Starts every worker as a new program with a keeper above it.

    The nursery, which forks the keepers, is started by ``prepare`` or by the first launch, and again when it has ended.
    """

    def __init__(self) -> None:
        self._spawn = SpawnLauncher()
        self._nursery: subprocess.Popen[bytes] | None = None
        self._control: socket.socket | None = None

    def prepare(self) -> None:
        """Start the nursery, so that the first launch need not wait for it."""
        if self._nursery is not None and self._nursery.poll() is not None:
            self._let_go()
        if self._control is not None:
            return
        started = companions.start(_SCRIPT)
        if started is not None:
            self._nursery, self._control = started

    async def launch(self, launch: Launch, on_exit: OnExit) -> Process:
        """Start a worker.

        Raises:
            WorkerFailed: the system refused.
        """
        asked = {
            "command": launch.command,
            "env": dict(launch.env),
            "cwd": str(launch.cwd),
            "processes": launch.processes,
            "memory_mb": launch.memory_mb,
        }
        request = json.dumps(asked).encode()
        self.prepare()
        if self._control is None or len(request) > _MESSAGE_BYTES:
            return await self._spawn.launch(launch, on_exit)
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        try:
            with theirs:
                socket.send_fds(self._control, [request], [launch.output, theirs.fileno()])
        except OSError:
            ours.close()
            self._let_go()
            return await self._spawn.launch(launch, on_exit)
        kept = _Kept(ours, on_exit)
        try:
            error = await kept.started
        except asyncio.CancelledError:
            kept.close()  # its keeper ends what it may have started by now
            raise
        except OSError:
            ours.close()
            self._let_go()
            return await self._spawn.launch(launch, on_exit)
        if error:
            kept.close()
            raise not_started(launch, os.strerror(error))
        return kept

    async def close(self) -> None:
        """End the nursery; a keeper ends by itself, with its worker."""
        self._let_go()

    def _let_go(self) -> None:
        control, self._control = self._control, None
        if control is not None:
            control.close()
        if self._nursery is not None:
            self._nursery.kill()
            self._nursery.wait()
            self._nursery = None


class _Kept:
    """A worker below a keeper.

    Args:
        control: the keeper's socket.
        on_exit: is told once how the worker ended.

    Attributes:
        started: 0 once the worker runs, or the number of the error that prevents it.
    """

    def __init__(self, control: socket.socket, on_exit: OnExit) -> None:
        self.pid = 0
        self._control = control
        self._on_exit = on_exit
        self._loop = asyncio.get_running_loop()
        self.started: asyncio.Future[int] = self._loop.create_future()
        control.setblocking(False)
        self._loop.add_reader(control, self._hear)

    def kill(self) -> None:
        """SIGKILL to the worker and to all it started."""
        try:
            self._control.send(b"kill")
        except OSError:
            pass  # its keeper has ended, and so has it

    def close(self) -> None:
        """Let go; the keeper kills what it still has."""
        self._loop.remove_reader(self._control)
        self._control.close()

    def _hear(self) -> None:
        try:
            data = self._control.recv(4096)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        told = json.loads(data) if data else {"exit": -9}
        if not self.started.done():
            self.pid = told.get("pid", 0)
            if data:
                self.started.set_result(told.get("error", 0))
            else:
                self._loop.remove_reader(self._control)
                self.started.set_exception(ConnectionError("the keepers have ended"))
        elif "exit" in told:
            self.close()
            # Soon, not now: who waits for the worker must have been given it first.
            self._loop.call_soon(self._on_exit, told["exit"])
