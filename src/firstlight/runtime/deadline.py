"""When the current invocation is cut off, for work that can stop in time with what it has.

A worker answers one invocation at a time, so the deadline of the current one is a module's state: a task, an engine or
a pipeline in a user's script asks for it without being handed an object. Outside a worker there is none.

Work that nobody waits for any more is past its deadline too: ``watch`` is given what knows that.
"""

from __future__ import annotations

from time import monotonic, time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

MARGIN = 0.4
"""Seconds kept for what follows the generation: the answer's text, its way through the Runtime API."""

_SHARE = 0.1
"""Part of a short timeout that is kept instead, where it is less than ``MARGIN``."""


class Deadline:
    """A point in time after which work stops with what it has.

    Args:
        at: seconds of ``time.monotonic()``.
    """

    __slots__ = ("at",)

    def __init__(self, at: float) -> None:
        self.at = at

    @property
    def passed(self) -> bool:
        """Whether it is too late to begin anything more, or nobody waits for it any more."""
        return monotonic() >= self.at or _gone()

    @property
    def left(self) -> float:
        """Seconds until then; negative once it has passed."""
        return self.at - monotonic()

    def sooner(self, seconds: float | None) -> Deadline:
        """This deadline, or ``seconds`` from now where that is sooner."""
        return self if seconds is None else Deadline(min(self.at, monotonic() + seconds))


NEVER = Deadline(float("inf"))

_current = NEVER


def _nobody_left() -> bool:
    return False


_gone = _nobody_left


def watch(gone: Callable[[], bool]) -> None:
    """Have every deadline pass when ``gone()``, which is asked often, says that whoever asked has left."""
    global _gone  # noqa: PLW0603 - one asker a worker
    _gone = gone


def current() -> Deadline:
    """The deadline of the invocation that is being answered; ``NEVER`` where there is none."""
    return _current


def begin(deadline_ms: int) -> None:
    """Take the deadline of an invocation, less what answering needs.

    Args:
        deadline_ms: milliseconds since the epoch, as the Runtime API says it; 0 is no deadline.
    """
    global _current  # noqa: PLW0603 - one invocation a worker
    if not deadline_ms:
        _current = NEVER
        return
    left = deadline_ms / 1000 - time()
    _current = Deadline(monotonic() + left - min(MARGIN, _SHARE * max(left, 0.0)))
