"""Keepers: one small process above every worker that is started as a program, so that nothing it starts outlives it.

Run as ``python -I -S -u keeper_process.py CONTROL_FD``; Linux only. That process, the nursery, forks a keeper for every
message on the control socket (SOCK_SEQPACKET)

    {"command": [..], "env": {..}, "cwd": "/folder", "processes": 1024, "memory_mb": 512}

with two descriptors attached, the worker's log and a socket of the keeper's own: one that waits for the next message is
always there. Over its own socket a keeper says
``{"pid": n}`` or ``{"error": errno}``, then ``{"exit": status}``; any message to it, or its end, is the order to kill.

Whatever loses its parent below a keeper becomes its child (PR_SET_CHILD_SUBREAPER), whatever session or group it made
for itself. So a keeper can always find, count and kill all there is, also once the server itself was killed.
"""

from __future__ import annotations

import _socket
import errno
import gc
import os
import resource
import select
import signal
import sys
import time

sys.path[:0] = [entry for entry in os.environ.get("FIRSTLIGHT_PATH", "").split(os.pathsep) if entry]
# The script's own folder holds a module called types, which the library's must not be taken for.
sys.path[:] = [entry for entry in sys.path if entry != os.path.dirname(os.path.abspath(__file__))]  # noqa: PTH100, PTH120

from firstlight.invoke.families import System, adopt, below, halt, kill, own_mb  # noqa: E402
from firstlight.runtime import jsons  # noqa: E402

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

MESSAGE_BYTES = 128 * 1024
_LOOK_MS = 50
"""Between two looks at how much the system has to do; one costs 20 microseconds."""
_COUNT_S = 10.0
"""A family is counted at least this often; at once when the system has grown by what the family may still have."""
_SPARE = 256
"""What the kernel lets a family have beyond its limit: it counts what others of the same user have, too."""
_AT_ONCE = 256
_ROUND_S = 0.002
_STEADY, _LARGE = 16, 64
"""Memory is looked at closely in families of so many processes, while there are not many more tasks than before."""


class Keeper:
    """Starts one worker, reaps what loses its parent, and ends all of it with the worker."""

    def __init__(self) -> None:
        self._control: _socket.socket
        self._log = self._limit = self._memory_mb = self._worker = self._tasks = 0
        self._free = self._then = 0.0
        self._room, self._room_mb = 0, 0.0
        self._system = System()
        self._wake, wake = os.pipe()
        os.set_blocking(self._wake, False)
        os.set_blocking(wake, False)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.set_wakeup_fd(wake, warn_on_full_buffer=False)
        adopt()

    def run(self, asked: dict[str, Any], control: _socket.socket, log: int) -> None:
        """Start the worker and return when nothing of it is left.

        Args:
            asked: the message.
            control: where the server listens.
            log: descriptor of the worker's log.
        """
        self._control, self._log = control, log
        self._limit, self._memory_mb = asked["processes"], asked["memory_mb"]
        self._room, self._room_mb = self._limit, self._memory_mb / 8
        try:
            self._worker = start(asked, log)
        except OSError as error:
            self._say({"error": error.errno})
            return
        self._say({"pid": self._worker})
        hurry()
        self._watch()
        self._end()

    def _watch(self) -> None:
        """Until the worker has ended, or is to."""
        self._tasks, self._free = self._system.tasks(), self._system.available_mb()
        self._then = time.monotonic()
        self._allow()
        poll = select.poll()
        poll.register(self._control.fileno(), select.POLLIN)
        poll.register(self._wake, select.POLLIN)
        while self._worker:
            for descriptor, _ in poll.poll(_LOOK_MS):
                if descriptor == self._control.fileno():
                    return
                drain(self._wake)
            self._reap()
            if self._worker and self._too_much():
                return

    def _too_much(self) -> bool:
        """Whether the worker and what it started are more than they may be; counted only when that is possible."""
        now, free, clock = self._system.tasks(), self._system.available_mb(), time.monotonic()
        if (
            now - self._tasks <= self._room
            and self._free - free <= self._room_mb
            and clock - self._then < _COUNT_S
        ):
            self._tasks, self._free = min(now, self._tasks), max(free, self._free)
            return False
        family = list(below(os.getpid()))
        count = sum(max(1, threads) for _, threads, _, _ in family)
        size = self._size(family) if now - self._tasks <= _STEADY else 0.0
        self._tasks, self._free, self._then = now, free, clock
        self._room = max(self._limit // 8, self._limit - count)
        self._room_mb = max(self._memory_mb / 8, self._memory_mb - size)
        if count > self._limit:
            self._note(f"it has {count} processes and threads, and on AWS Lambda {self._limit} is the most")
        elif size > self._memory_mb:
            self._note(f"with what it started it uses {size:.0f} MB, more than its {self._memory_mb} MB")
        else:
            self._allow()
            return False
        return True

    def _size(self, family: list[tuple[int, int, float, bool]]) -> float:
        """MB of a family; 0 of a worker that is alone, which the server itself watches, and of a large one.

        To know what is shared, the memory of a process is locked, and one that forks all the time holds that lock.
        """
        size = sum(size for _, _, size, _ in family)
        if not 1 < len(family) <= _LARGE:
            return 0.0
        return size if size <= self._memory_mb else sum(own_mb(pid) for pid, _, _, _ in family)

    def _allow(self) -> None:
        """Have the kernel itself refuse more. It counts all that a user has, and nothing where that is root."""
        hard = resource.getrlimit(resource.RLIMIT_NPROC)[1]
        most = self._tasks + self._room + _SPARE
        most = most if hard == resource.RLIM_INFINITY else min(most, hard)
        try:
            resource.prlimit(self._worker, resource.RLIMIT_NPROC, (most, hard))
        except OSError:
            pass  # it has ended

    def _note(self, text: str) -> None:
        """Why the worker is stopped, in its log, unless that is full."""
        if select.select((), (self._log,), (), 0)[1]:
            os.write(self._log, f"stopped: {text}\n".encode())

    def _reap(self) -> None:
        """Take note of what has ended, of so many at most: in a crowd there is always another one."""
        for _ in range(_AT_ONCE):
            try:
                ended = os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
            except ChildProcessError:
                return
            if ended is None:
                return
            if ended.si_pid == self._worker:
                kill(-self._worker)  # unreaped, its id is still its own
            status = os.waitpid(ended.si_pid, 0)[1]
            if ended.si_pid == self._worker:
                self._worker = 0
                self._say({"exit": os.waitstatus_to_exitcode(status)})

    def _end(self) -> None:
        """Kill until nothing is left: what is killed may have started something else meanwhile."""
        if self._worker:
            kill(-self._worker)
            kill(self._worker)  # it may not have become the leader of its group yet
        if os.geteuid() != 0:  # for root the kernel counts no places
            halt(os.getpid())
        while True:
            for pid, threads, _, _ in below(os.getpid()):
                if threads:
                    kill(pid)
            self._reap()
            try:
                if os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT) is None:
                    select.select((self._wake,), (), (), _ROUND_S)
                    drain(self._wake)
            except ChildProcessError:
                return

    def _say(self, message: dict[str, Any]) -> None:
        try:
            self._control.send(jsons.dumps(message).encode())
        except OSError:
            pass  # the server is gone: all that is left to do is to end


def start(asked: dict[str, Any], log: int) -> int:
    """Start the program in a session of its own.

    Raises:
        OSError: what prevents that.
    """
    os.chdir(asked["cwd"])
    command, env = asked["command"], asked["env"]
    folders = [""] if "/" in command[0] else env.get("PATH", os.defpath).split(os.pathsep)
    error = FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT))
    for folder in folders:
        try:
            return os.posix_spawn(
                os.path.join(folder, command[0]),  # noqa: PTH118 - pathlib is not loaded here
                command,
                env,
                file_actions=(
                    (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
                    (os.POSIX_SPAWN_DUP2, log, 1),
                    (os.POSIX_SPAWN_DUP2, log, 2),
                ),
                setsid=True,
                setsigdef=(signal.SIGPIPE, signal.SIGXFSZ, signal.SIGCHLD),
            )
        except (FileNotFoundError, NotADirectoryError):
            continue
    raise error


def hurry() -> None:
    """Go before all others where the system allows that: a crowd of processes must not hold up who ends it."""
    try:
        os.sched_setscheduler(0, os.SCHED_RR | os.SCHED_RESET_ON_FORK, os.sched_param(1))
    except OSError:
        pass  # only root may; others are held by what the kernel refuses


def drain(descriptor: int) -> None:
    """Forget what woke us."""
    try:
        while os.read(descriptor, 4096):
            pass
    except BlockingIOError:
        pass


def keep(control: _socket.socket, taken: int) -> None:
    """Be a keeper: wait for a message, say so, do what it asks for."""
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    keeper = Keeper()
    data, attached, _, _ = control.recvmsg(MESSAGE_BYTES, _socket.CMSG_SPACE(8), _socket.MSG_CMSG_CLOEXEC)
    if not data:
        return
    os.write(taken, b"1")
    os.close(taken)
    control.close()
    log, own = (int.from_bytes(attached[0][2][at : at + 4], sys.byteorder) for at in (0, 4))
    keeper.run(jsons.loads(data.decode()), _socket.socket(fileno=own), log)


def main() -> None:
    """Fork a keeper, and the next one when it has something to do, until the server is gone."""
    control = _socket.socket(fileno=int(sys.argv[1]))
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # keepers need no farewell
    gc.freeze()
    while True:
        heard, taken = os.pipe()
        if os.fork() == 0:
            os.close(heard)
            keep(control, taken)
            os._exit(0)
        os.close(taken)
        if not os.read(heard, 1):
            return
        os.close(heard)


if __name__ == "__main__":
    main()
