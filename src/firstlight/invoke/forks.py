"""Asks a process to fork workers, and hears how they end: the server's side of ``zygote_process``."""

from __future__ import annotations

import asyncio
import json
import socket
from collections import deque
from typing import Any

from firstlight.invoke.processes import Launch, OnExit, Process

MESSAGE_BYTES = 128 * 1024


class Forks:
    """The conversation with a process that forks workers. Subclasses start that process."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._control: socket.socket | None = None
        self._asked: deque[tuple[asyncio.Future[Process], OnExit]] = deque()
        self._running: dict[int, OnExit] = {}

    def kill(self, pid: int) -> None:
        """Have a worker killed by its parent: it alone knows whether the process id is still the worker's."""
        if self._control is not None:
            try:
                self._control.send(json.dumps({"kill": pid}).encode())
            except OSError:
                self._lost()

    def _listen(self, control: socket.socket) -> None:
        """Talk over this socket from now on."""
        control.setblocking(False)
        self._control = control
        self._loop.add_reader(control, self._hear)

    async def _fork(self, launch: Launch, on_exit: OnExit) -> Process | None:
        """A new worker; None where nothing can be forked now.

        Raises:
            OSError: the process that forks has ended.
        """
        request = json.dumps({"fork": {"env": dict(launch.env), "cwd": str(launch.cwd)}}).encode()
        if self._control is None or len(request) > MESSAGE_BYTES or not launch.cwd.is_dir():
            return None
        answer: asyncio.Future[Process] = self._loop.create_future()
        socket.send_fds(self._control, [request], [launch.output])
        self._asked.append((answer, on_exit))
        return await answer

    def _hear(self) -> None:
        while self._control is not None:
            try:
                data = self._control.recv(MESSAGE_BYTES)
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
            process = Forked(message["pid"], self)
            if answer.done():
                process.kill()
            else:
                answer.set_result(process)
        else:
            # Soon, not now: who waits for the process must have been given it first.
            self._loop.call_soon(self._running.pop(message["exit"]), message["status"])

    def _stop(self) -> None:
        """End the process that forks, where it still runs."""

    def _lost(self) -> None:
        """It has ended, or is to: its workers end with it, and who waits for one is started otherwise."""
        control, self._control = self._control, None
        if control is None:
            return
        self._loop.remove_reader(control)
        control.close()
        self._stop()
        for answer, _ in self._asked:
            if not answer.done():
                answer.set_exception(ConnectionError("what forks workers has ended"))
        self._asked.clear()
        for on_exit in self._running.values():
            self._loop.call_soon(on_exit, -9)
        self._running.clear()


class Forked:
    """A worker that was forked."""

    def __init__(self, pid: int, forks: Forks) -> None:
        self.pid = pid
        self._forks = forks

    def kill(self) -> None:
        self._forks.kill(self.pid)
