"""How long work shows itself: a bar on a terminal, lines when piped, JSON lines for machines; always on stderr."""

from __future__ import annotations

import sys
import threading
import time
from typing import TYPE_CHECKING

from firstlight.cli import output

if TYPE_CHECKING:
    from types import TracebackType

    from rich.progress import Progress as Bars
    from rich.progress import TaskID

_EVERY_S = 2.0
"""Between two lines of the same stage."""


class Lines:
    """A line at the beginning of a stage, and one now and then while it goes on.

    Args:
        as_json: JSON objects with ``stage``, ``done`` and ``total`` (bytes) instead of sentences.
    """

    def __init__(self, as_json: bool = False) -> None:
        self._as_json = as_json
        self._lock = threading.Lock()
        self._name, self._done, self._said = "", 0, 0.0
        self._total: int | None = None

    def __enter__(self) -> Lines:
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        return None

    def stage(self, name: str, total: int | None = None) -> None:
        """Begin a stage."""
        with self._lock:
            self._name, self._total, self._done = name, total, 0
            self._show()

    def advance(self, count: int) -> None:
        """Count bytes; shown every other second and at the end."""
        with self._lock:
            self._done += count
            if self._done == self._total or time.monotonic() - self._said >= _EVERY_S:
                self._show()

    def say(self, text: str) -> None:
        """A line."""
        if self._as_json:
            _json({"said": text})
        else:
            output.note(text)

    def _show(self) -> None:
        self._said = time.monotonic()
        if self._as_json:
            _json({"stage": self._name, "done": self._done, "total": self._total})
        elif self._total:
            output.note(f"{self._name}: {self._done / 1e6:.1f} of {self._total / 1e6:.1f} MB")
        else:
            output.note(self._name)


class Bar:
    """A bar that moves, on a terminal."""

    def __init__(self) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TransferSpeedColumn

        console = Console(file=sys.stderr)
        columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TransferSpeedColumn())
        self._bars: Bars = Progress(*columns, console=console, transient=True)
        self._bar: TaskID | None = None

    def __enter__(self) -> Bar:
        self._bars.start()
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._bars.stop()

    def stage(self, name: str, total: int | None = None) -> None:
        """Begin a stage; the bar of the one before is taken away."""
        if self._bar is not None:
            self._bars.remove_task(self._bar)
        self._bar = self._bars.add_task(name, total=total)

    def advance(self, count: int) -> None:
        """Move the bar by so many bytes."""
        if self._bar is not None:
            self._bars.advance(self._bar, count)

    def say(self, text: str) -> None:
        """A line above the bar."""
        self._bars.console.print(text, markup=False, highlight=False)


def shown(as_json: bool = False) -> Bar | Lines:
    """What suits where stderr goes; a context in which it is shown."""
    return Bar() if sys.stderr.isatty() and not as_json else Lines(as_json)


def _json(content: dict[str, object]) -> None:
    import json

    sys.stderr.write(json.dumps(content) + "\n")
    sys.stderr.flush()
