"""Starts model workers by forking a process that is loaded already (``zygote_process``): milliseconds, shared memory.

Where that is not possible, or the zygote does not answer, a worker is started as a new program instead.
"""

from __future__ import annotations

import asyncio
import json
import os
import socket
import subprocess
import sys
from collections import deque
from pathlib import Path
from typing import Any

from firstlight.invoke.limits import import_path
from firstlight.invoke.processes import Launch, Launcher, OnExit, Process, SpawnLauncher

_SCRIPT = Path(__file__).with_name("zygote_process.py")
_MESSAGE_BYTES = 128 * 1024


def available() -> bool:
    """Whether this system has what a zygote needs."""
    return sys.platform == "linux" and hasattr(os, "pidfd_open")


class ZygoteLauncher:
    """Forks workers from one zygote, started at once and again whenever it has ended."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._spawn: Launcher = SpawnLauncher()
        self._zygote: subprocess.Popen[bytes] | None = None
        self._control: socket.socket | None = None
        self._asked: deque[tuple[asyncio.Future[Process], OnExit]] = deque()
        self._running: dict[int, OnExit] = {}
        self._start()

    @property
    def pid(self) -> int | None:
        return None if self._zygote is None else self._zygote.pid

    async def launch(self, launch: Launch, on_exit: OnExit) -> Process:
        """Fork a worker; start it as a new program if that does not work.

        Raises:
            WorkerFailed: neither works.
        """
        answer: asyncio.Future[Process] = self._loop.create_future()
        request = json.dumps({"fork": {"env": dict(launch.env), "cwd": str(launch.cwd)}}).encode()
        try:
            if self._control is None:
                self._start()
            if self._control is None or len(request) > _MESSAGE_BYTES or not launch.cwd.is_dir():
                return await self._spawn.launch(launch, on_exit)
            socket.send_fds(self._control, [request], [launch.output])
            self._asked.append((answer, on_exit))
            return await answer
        except OSError:
            return await self._spawn.launch(launch, on_exit)

    def kill(self, pid: int) -> None:
        """Have the zygote kill a worker: it alone knows whether the process id is still the worker's."""
        if self._control is not None:
            try:
                self._control.send(json.dumps({"kill": pid}).encode())
            except OSError:
                self._lost()

    async def close(self) -> None:
        """End the zygote, and with it any worker it still has."""
        self._lost()

    def _start(self) -> None:
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            try:
                self._zygote = subprocess.Popen(
                    (sys.executable, "-I", "-S", "-u", str(_SCRIPT), str(theirs.fileno())),
                    env={"FIRSTLIGHT_PATH": import_path(), "LANG": "en_US.UTF-8", "TZ": ":UTC"},
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.DEVNULL,
                    pass_fds=(theirs.fileno(),),
                    start_new_session=True,
                )
            except OSError:
                ours.close()
                return
        ours.setblocking(False)
        self._control = ours
        self._loop.add_reader(ours, self._hear)

    def _hear(self) -> None:
        while self._control is not None:
            try:
                data = self._control.recv(_MESSAGE_BYTES)
            except BlockingIOError:
                return
            except OSError:
                data = b""
            if not data:
                self._lost()
                return
            self._told(json.loads(data))

    def _told(self, message: dict[str, Any]) -> None:
        if "pid" in message:
            answer, on_exit = self._asked.popleft()
            self._running[message["pid"]] = on_exit
            process = _Forked(message["pid"], self)
            if answer.done():
                process.kill()
            else:
                answer.set_result(process)
        else:
            # Soon, not now: who waits for the process must have been given it first.
            self._loop.call_soon(self._running.pop(message["exit"]), message["status"])

    def _lost(self) -> None:
        """The zygote has ended, or is to: its workers end with it, and who waits for one is started otherwise."""
        control, self._control = self._control, None
        if control is None:
            return
        self._loop.remove_reader(control)
        control.close()
        if self._zygote is not None:
            self._zygote.kill()
            self._zygote.wait()
            self._zygote = None
        for answer, _ in self._asked:
            if not answer.done():
                answer.set_exception(ConnectionError("the zygote has ended"))
        self._asked.clear()
        for on_exit in self._running.values():
            self._loop.call_soon(on_exit, -9)
        self._running.clear()


class _Forked:
    """A worker that is a child of the zygote."""

    def __init__(self, pid: int, zygote: ZygoteLauncher) -> None:
        self.pid = pid
        self._zygote = zygote

    def kill(self) -> None:
        self._zygote.kill(self.pid)
