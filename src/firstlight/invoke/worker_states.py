"""Where a worker is in its life, and what it tells the pool that owns it."""

from __future__ import annotations

from enum import Enum
from typing import TYPE_CHECKING, Protocol

from firstlight.invoke.outcomes import InitFailure
from firstlight.runtime.errors import FirstlightError

if TYPE_CHECKING:
    from firstlight.invoke.assignments import Assignment
    from firstlight.invoke.worker_process import Worker


class State(Enum):
    """The life of a worker."""

    STARTING = "starting"
    IDLE = "idle"
    BUSY = "busy"
    STOPPING = "stopping"
    GONE = "gone"


class Owner(Protocol):
    """The pool, as its workers know it."""

    def worker_ready(self, worker: Worker) -> None:
        """It waits for an invocation."""

    def worker_stopping(self, worker: Worker) -> None:
        """It takes no more invocations and is about to end."""

    def worker_gone(self, worker: Worker) -> None:
        """Its process has ended."""

    def start_failed(self, error: FirstlightError) -> None:
        """Its process could not be started; comes before ``worker_gone``."""

    def init_failed(self, worker: Worker, failure: InitFailure) -> None:
        """It never became ready; comes before ``worker_gone``."""

    def assignment_done(self, assignment: Assignment) -> None:
        """The reply of an invocation is complete."""
