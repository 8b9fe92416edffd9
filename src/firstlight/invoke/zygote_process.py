"""The zygote: a process that has loaded what every model worker loads, and forks workers on request. Linux only.

Run as ``python -I -S -u zygote_process.py CONTROL_FD``. It has one thread and no model, so a fork of it is safe and
small. Over the control socket (SOCK_SEQPACKET, one JSON object a message) it is asked

    {"fork": {"env": {..}, "cwd": "/folder"}}   with the log's descriptor attached;   answers {"pid": n}
    {"kill": n}                                 kills the process group of a worker that it has not reaped yet

and says ``{"exit": n, "status": s}`` when a worker ends. With the control socket's other end gone it ends, and the
system kills its workers (PR_SET_PDEATHSIG).
"""

from __future__ import annotations

import _socket
import gc
import os
import select
import signal
import sys
import time
from ctypes import CDLL

sys.path[:0] = [entry for entry in os.environ.get("FIRSTLIGHT_PATH", "").split(os.pathsep) if entry]
# The script's own folder holds a module called types, which the library's must not be taken for.
sys.path[:] = [entry for entry in sys.path if entry != os.path.dirname(os.path.abspath(__file__))]  # noqa: PTH100, PTH120

from firstlight.invoke import families  # noqa: E402
from firstlight.runtime import jsons  # noqa: E402

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

MESSAGE_BYTES = 128 * 1024
_PR_SET_PDEATHSIG = 1
_LOADED = (
    *(
        "worker",
        "handler",
        "model",
        "bundle",
        "triggers",
        "tokenizers.wordpiece",
        "engines.onnx",
        "engines.echo",
    ),
    *(
        "tasks.text_classification",
        "tasks.token_classification",
        "tasks.question_answering",
        "tasks.embeddings",
    ),
    *("tasks.zero_shot", "tasks.fill_mask"),
)
"""Modules of the runtime that models' workers import."""

_SMALLEST_GRAPH = bytes.fromhex(
    "080712003a320a0b0a016112016222034e65671201675a0f0a0161120a0a08080112040a02"
    "0801620f0a0162120a0a08080112040a02080142040a00100d"
)
"""An ONNX model of one node, b = -a: opening it makes onnxruntime set up what every later session shares (3 ms)."""


class Zygote:
    """Waits for requests and for the ends of its children.

    Args:
        control: the connected control socket.
    """

    def __init__(self, control: _socket.socket) -> None:
        self._control = control
        self._children: dict[int, int] = {}  # pidfd -> pid
        families.adopt()
        self._poll = select.poll()
        self._poll.register(control.fileno(), select.POLLIN)

    def serve(self) -> dict[str, Any] | None:
        """Answer until the other end is gone (None); in a forked child, return what it was asked to become."""
        while True:
            for descriptor, _ in self._poll.poll():
                if descriptor in self._children:
                    self._reap(descriptor)
                    continue
                data, attached, _, _ = self._control.recvmsg(MESSAGE_BYTES, _socket.CMSG_SPACE(4))
                if not data:
                    self._end_all_but(set())
                    return None
                request = jsons.loads(data.decode())
                if "kill" in request:
                    self._kill(request["kill"])
                    continue
                log = int.from_bytes(attached[0][2][:4], sys.byteorder)
                if self._fork(log):
                    become: dict[str, Any] = request["fork"]
                    return {**become, "log": log}

    def _fork(self, log: int) -> bool:
        """Whether this is the child."""
        parent = os.getpid()
        pid = os.fork()
        if pid == 0:
            CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
            if os.getppid() != parent:
                os._exit(1)  # the zygote ended before it could be watched
            for descriptor in self._children:
                os.close(descriptor)
            self._control.close()
            families.adopt()  # what it loses sight of stays below it, and comes to the zygote when it ends
            return True
        os.close(log)
        pidfd = os.pidfd_open(pid)
        self._children[pidfd] = pid
        self._poll.register(pidfd, select.POLLIN)
        self._say({"pid": pid})
        return False

    def _reap(self, pidfd: int) -> None:
        pid = self._children.pop(pidfd)
        self._poll.unregister(pidfd)
        os.close(pidfd)
        _kill_group(pid)  # what the worker started must not outlive it; unreaped, its id is still its own
        self._say({"exit": pid, "status": os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])})
        self._end_all_but(set(self._children.values()))

    def _end_all_but(self, workers: set[int]) -> None:
        """Kill what workers that have ended left behind, and wait for it."""
        while rest := list(families.below(os.getpid(), workers)):
            for pid, threads, _, _ in rest:
                if threads:
                    families.kill(pid)
            for pid, _, _, _ in rest:
                try:
                    os.waitpid(pid, 0)
                except ChildProcessError:
                    pass  # not ours yet

    def _kill(self, pid: int) -> None:
        if pid in self._children.values():
            _kill_group(pid)

    def _say(self, message: dict[str, Any]) -> None:
        try:
            self._control.send(jsons.dumps(message).encode())
        except BrokenPipeError:
            os._exit(0)  # the server is gone


def _kill_group(pid: int) -> None:
    # The child may not have become the leader of its group yet.
    for kill in (os.killpg, os.kill):
        try:
            kill(pid, signal.SIGKILL)
        except (ProcessLookupError, PermissionError):
            pass


def become_worker(env: dict[str, str], cwd: str, log: int) -> None:
    """Turn this child into what a worker started as a new program would be."""
    os.setsid()
    os.dup2(log, 1)
    os.dup2(log, 2)
    os.close(log)
    # New objects: those of the zygote believe they write to a device that can seek, and a pipe cannot.
    for name, descriptor in (("stdout", 1), ("stderr", 2)):
        stream = open(descriptor, "w", 1, encoding="utf-8", errors="backslashreplace", closefd=False)  # noqa: SIM115
        setattr(sys, name, stream)
        setattr(sys, f"__{name}__", stream)
    os.environ.clear()
    os.environ.update(env)
    time.tzset()
    os.chdir(cwd)


def preload() -> None:
    """Import what model workers import, and load onnxruntime where it is installed."""
    from firstlight.runtime.errors import FirstlightError

    for name in _LOADED:
        __import__(f"firstlight.runtime.{name}")
    try:
        _open_smallest_graph()
    except FirstlightError:
        pass  # not installed, or not as it should be: the worker that needs it says so
    gc.collect()
    gc.freeze()


def _open_smallest_graph() -> None:
    from firstlight.runtime.engines.ort_api import Session

    descriptor = os.memfd_create("graph")
    os.write(descriptor, _SMALLEST_GRAPH)
    Session(f"/proc/self/fd/{descriptor}", 1, 0, {"session.intra_op.allow_spinning": "0"})
    os.close(descriptor)


def main() -> None:
    """Preload, then serve; in a child, run the worker."""
    control = _socket.socket(fileno=int(sys.argv[1]))
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    preload()
    become = Zygote(control).serve()
    if become is None:
        return
    start_ns = time.perf_counter_ns()
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    become_worker(become["env"], become["cwd"], become["log"])
    from firstlight.runtime import worker

    worker.main(start_ns)


if __name__ == "__main__":
    main()
