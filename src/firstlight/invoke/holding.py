"""Pauses the starting of workers for a while after starts that failed."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

from firstlight.invoke import scaling


class Hold:
    """How often starts have failed in a row, and until when none is tried again.

    Args:
        go_on: called when the pause is over, if somebody has asked during it.

    Attributes:
        reason: why the last start failed; empty where it did not.
    """

    def __init__(self, go_on: Callable[[], None]) -> None:
        self.reason = ""
        self._go_on = go_on
        self._failures = 0
        self._until = 0.0
        self._timer: asyncio.TimerHandle | None = None

    def failed(self, reason: str) -> None:
        """A worker did not come up."""
        self.reason = reason
        self._failures += 1
        self._until = time.monotonic() + scaling.pause_after_failures(self._failures)

    def came_up(self) -> None:
        """A worker did."""
        self._failures, self.reason = 0, ""

    def active(self) -> bool:
        """Whether it is too early to start another; who asks is told when it is not any more."""
        left = self._until - time.monotonic()
        if left > 0 and self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(left, self._over)
        return left > 0

    def close(self) -> None:
        """Tell nobody any more."""
        if self._timer is not None:
            self._timer.cancel()

    def _over(self) -> None:
        self._timer = None
        self._go_on()
