"""How many threads to compute with right now.

ggml's threads wait for each other some hundreds of times for each token, and spin while they wait. On CPUs that have
other work too, a thread that is not running holds all others up for a slice of the scheduler's time each time: two
threads that share two CPUs with other work were seen to take 50 times as long as one. So there are as many threads as
CPUs are free, and one for a while when more than one turn out to have been held up.
"""

from __future__ import annotations

import os
from time import monotonic, process_time

_BUSY = (
    0.8  # of the time that all threads had, at least so much was spent running, where nothing held them up
)
_LOOK = 0.1  # seconds between two looks at the machine
_PAUSE, _LONGEST_PAUSE = 0.5, 8.0  # seconds with one thread
_LOAD = "/proc/loadavg"


class Crew:
    """Decides on the number of threads from what the machine does and from how the last computation went.

    Args:
        most: CPUs that this process may use.
        load: the file that tells how many threads of the machine are running (proc_loadavg(5)).
    """

    def __init__(self, most: int, load: str = _LOAD) -> None:
        self._most = most
        self._load = load
        self._size = most
        self._look_at = self._alone_until = 0.0
        self._pause = _PAUSE
        self._started = (0.0, 0.0)

    def size(self) -> int:
        """Threads to compute with, from now until ``done``."""
        if self._most == 1:
            return 1
        now = monotonic()
        self._started = now, process_time()
        if now < self._alone_until:
            self._size = 1
        elif now >= self._look_at:
            self._look_at = now + _LOOK
            self._size = max(1, min(self._most, (os.cpu_count() or 1) - _others(self._load)))
        return self._size

    def done(self) -> None:
        """A computation with that many threads has ended."""
        if self._size == 1:
            return
        wall, ran = monotonic() - self._started[0], process_time() - self._started[1]
        if ran >= _BUSY * wall * self._size:
            self._pause = _PAUSE
            return
        self._alone_until = monotonic() + self._pause
        self._look_at = 0.0
        self._pause = min(2 * self._pause, _LONGEST_PAUSE)


def _others(load: str) -> int:
    """Threads that are running or want to, this one not counted; 0 where the system does not tell."""
    try:
        descriptor = os.open(load, os.O_RDONLY)
    except OSError:
        return 0
    try:
        fields = os.read(descriptor, 100).split()
    finally:
        os.close(descriptor)
    running = fields[3].partition(b"/")[0] if len(fields) > 3 else b""
    return max(0, int(running) - 1) if running.isdigit() else 0
