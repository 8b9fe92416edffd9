"""Waiting for what passes, and work side by side that is given up together."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from threading import Event
from typing import TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")

FIRST_DELAY_S, LONGEST_DELAY_S, LONGEST_ASKED_S = 0.5, 8.0, 60.0


class Stopped(Exception):
    """The work was given up elsewhere."""


@dataclass(slots=True)
class Patience:
    """How long is waited before something is tried again.

    Attributes:
        stop: set when the work is given up; ends every wait.
        wait: waits so many seconds, and says whether the work was given up.
    """

    stop: Event = field(default_factory=Event)
    wait: Callable[[float], bool] | None = None

    def pause(self, attempt: int, asked: str = "") -> None:
        """Wait after an attempt (0 is the first), or as long as the registry asks for with Retry-After.

        Raises:
            Stopped: the work was given up meanwhile.
        """
        seconds = min(FIRST_DELAY_S * 2**attempt, LONGEST_DELAY_S)
        if asked.isdigit():
            seconds = min(float(asked), LONGEST_ASKED_S)
        if (self.wait or self.stop.wait)(seconds):
            raise Stopped


def side_by_side(
    work: Callable[[Item], Result], items: Sequence[Item], patience: Patience, at_once: int = 4
) -> list[Result]:
    """What work returns for each item, some of them at once; the first error, or an interruption, ends the others.

    Raises:
        BaseException: what the work raised first.
    """
    with ThreadPoolExecutor(at_once) as pool:
        tasks = [pool.submit(work, item) for item in items]
        try:
            return [task.result() for task in tasks]
        except BaseException as error:
            patience.stop.set()
            for task in tasks:
                task.cancel()
            if not isinstance(error, Stopped):
                raise
    raised = [task.exception() for task in tasks if not task.cancelled()]
    told = [error for error in raised if error and not isinstance(error, Stopped)]
    raise told[0] if told else Stopped
