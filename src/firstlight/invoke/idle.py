"""The idle workers of a pool, in the order in which they are used and stopped."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from firstlight.invoke import scaling

if TYPE_CHECKING:
    from firstlight.invoke.worker_process import Worker


class Idle:
    """Workers without work: the one used longest ago first, those that are kept ready last."""

    def __init__(self) -> None:
        self._workers: list[Worker] = []

    def __len__(self) -> int:
        return len(self._workers)

    def __iter__(self) -> Iterator[Worker]:
        return iter(tuple(self._workers))

    def add(self, worker: Worker) -> None:
        """Take one that has just become idle."""
        place = len(self._workers)
        while place and not worker.kept and self._workers[place - 1].kept:
            place -= 1
        self._workers.insert(place, worker)

    def take(self) -> Worker:
        """The one to use next: kept ready if there is one, else used last."""
        return self._workers.pop()

    def discard(self, worker: Worker) -> None:
        """Forget one, if it is there."""
        if worker in self._workers:
            self._workers.remove(worker)

    def sort(self) -> None:
        """Put them in order again, after it has changed which are kept ready."""
        self._workers.sort(key=lambda worker: (worker.kept, worker.since))

    def spare(self) -> list[Worker]:
        """Those that are not kept ready, the one used longest ago first."""
        return [worker for worker in self._workers if not worker.kept]

    def outworn(self, now: float, idle_s: float) -> tuple[list[Worker], float | None]:
        """Those that have been idle for too long, and seconds until the next may have; None where none is left."""
        spare = self.spare()
        count = scaling.workers_to_stop([worker.since for worker in spare], now, idle_s)
        left = spare[count:]
        return spare[:count], max(0.0, left[0].since + idle_s - now) if left else None
