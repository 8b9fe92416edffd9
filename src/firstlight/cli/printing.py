"""What workers write, on its way to stderr: whoever reads there may be slow or have stopped, and the server goes on."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable

from firstlight.cli import output

MOST = 1 << 20
"""Characters that may wait to be printed; what comes then is left out, and said to be."""
_PLATFORM = (
    "START RequestId:",
    "END RequestId:",
    "REPORT RequestId:",
    "INIT_START ",
    "INIT_REPORT ",
    "RESTORE_",
)


def shown(endpoint: str, text: str) -> list[str]:
    """The lines of a log under the endpoint's name, without the platform's own: those are in ``--tail``."""
    lines = (line for line in text.splitlines() if not line.startswith(_PLATFORM))
    return [f"{endpoint} | {output.printable(line)}" for line in lines]


def print_log(endpoint: str, request_id: str, text: str) -> None:  # noqa: ARG001 - the sink's signature
    """Print what a worker wrote, at once."""
    for line in shown(endpoint, text):
        output.note(line)


class Printer:
    """A log sink that prints on a thread of its own. The thread is started by the first line.

    Args:
        note: prints a line; may take as long as it likes.
    """

    def __init__(self, note: Callable[[str], None] = output.note) -> None:
        self._note = note
        self._lines: deque[str] = deque()
        self._size = self._left_out = 0
        self._changed = threading.Condition()
        self._thread: threading.Thread | None = None
        self._closed = False

    def __call__(self, endpoint: str, request_id: str, text: str) -> None:  # noqa: ARG002 - the sink's signature
        """Have lines printed soon."""
        lines = shown(endpoint, text)
        if not lines:
            return
        with self._changed:
            for line in lines:
                self._add(line)
            self._changed.notify()
        if self._thread is None:
            self._thread = threading.Thread(target=self._print, name="printer", daemon=True)
            self._thread.start()

    def close(self, seconds: float = 1.0) -> None:
        """Print what is left, for at most so long."""
        with self._changed:
            self._closed = True
            self._changed.notify()
        if self._thread is not None:
            self._thread.join(seconds)

    def _add(self, line: str) -> None:
        if self._size + len(line) > MOST:
            self._left_out += 1
            return
        if self._left_out:
            said = f"{self._left_out} lines are left out here: they were not taken fast enough"
            self._left_out = 0
            self._add(said)
        self._lines.append(line)
        self._size += len(line)

    def _print(self) -> None:
        while True:
            with self._changed:
                while not self._lines and not self._closed:
                    self._changed.wait()
                if not self._lines:
                    return
                line = self._lines.popleft()
                self._size -= len(line)
            self._note(line)
