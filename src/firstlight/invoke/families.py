"""Processes and what they started, found in /proc. Linux only; proc(5).

It is loaded by the small processes above workers, so it imports next to nothing.
"""

from __future__ import annotations

import os
import signal
import time
from ctypes import CDLL

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Container, Iterator

_PR_SET_CHILD_SUBREAPER = 36
_ROUNDS, _ROUND_S = 200, 0.002
_PAGE_MB = os.sysconf("SC_PAGE_SIZE") / (1024 * 1024)


def adopt() -> None:
    """Have whatever loses its parent below this process become a child of it, not of the system's first process."""
    CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1)


def below(pid: int, but: Container[int] = ()) -> Iterator[tuple[int, int, float, bool]]:
    """Every process below one, with its threads, its resident MB and whether it may run: not one that is stopped.

    One that only waits to be reaped has no threads. They come while /proc is read, parents before children, so that
    whoever ends them gets on even where there is next to no time for it. A child with a smaller number than its parent
    comes last.

    Args:
        but: processes that are left out, with all below them.
    """
    found, others = {pid}, []
    for name in os.listdir("/proc"):  # noqa: PTH208 - pathlib is not loaded here
        if name.isdigit():
            try:
                file = os.open(f"/proc/{name}/stat", os.O_RDONLY)
            except OSError:
                continue  # it has ended meanwhile
            try:
                fields = os.read(file, 1024).rpartition(b")")[2].split(None, 22)
            except OSError:
                continue
            finally:
                os.close(file)
            parent, threads = int(fields[1]), 0 if fields[0] in b"ZX" else int(fields[17])
            about = int(name), threads, int(fields[21]) * _PAGE_MB, fields[0] not in b"ZXTt"
            if int(name) in but:
                continue
            if parent in found:
                found.add(int(name))
                yield about
            else:
                others.append((parent, about))
    more = True
    while more:
        more = False
        for parent, about in others:
            if parent in found and about[0] not in found:
                more = True
                found.add(about[0])
                yield about


class System:
    """What the whole system has, read from files that stay open: 10 microseconds for each look."""

    def __init__(self) -> None:
        self._load = os.open("/proc/loadavg", os.O_RDONLY | os.O_CLOEXEC)
        self._memory = os.open("/proc/meminfo", os.O_RDONLY | os.O_CLOEXEC)

    def tasks(self) -> int:
        """How many processes and threads there are, all of them."""
        return int(os.pread(self._load, 128, 0).split()[3].partition(b"/")[2])

    def available_mb(self) -> float:
        """Memory that could still be given away."""
        text = os.pread(self._memory, 256, 0)
        return int(text.partition(b"MemAvailable:")[2].split(None, 1)[0]) / 1024

    def close(self) -> None:
        """Look no more."""
        os.close(self._load)
        os.close(self._memory)


def own_mb(pid: int) -> float:
    """Memory of a process, of what it shares with others its part (PSS); 0 where it cannot be known."""
    try:
        with open(f"/proc/{pid}/smaps_rollup", "rb") as file:  # noqa: PTH123
            return int(file.read().partition(b"\nPss:")[2].split(None, 1)[0]) / 1024
    except (OSError, IndexError):
        return 0.0


def kill(pid: int, number: int = signal.SIGKILL) -> None:
    """Send a signal to a process, or to a group by its negative number."""
    try:
        os.kill(pid, number)
    except (ProcessLookupError, PermissionError):
        pass


def halt(pid: int) -> None:
    """Let nothing below a process run on.

    What is stopped still takes its place; a dead one leaves it to another one, where they fork as fast as they can.
    """
    for _ in range(_ROUNDS):
        running = 0
        for child, _, _, runs in below(pid):
            if runs:
                kill(child, signal.SIGSTOP)
                running += 1
        if not running:
            return
        time.sleep(_ROUND_S)
