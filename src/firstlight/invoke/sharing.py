"""The concurrency of a function, which all its versions share: how many of its invocations may run at once."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from firstlight.invoke.endpoint_pool import Pool


class Share:
    """What the pools of one function's versions have in common.

    Workers are each version's own; an idle one takes nothing from the others. An invocation that waits is begun when
    fewer than the limit are running, whichever version has waited longest first.
    """

    def __init__(self) -> None:
        self._pools: list[Pool] = []

    def join(self, pool: Pool) -> None:
        """Count a version in."""
        self._pools.append(pool)

    def parted(self, pool: Pool) -> Share:
        """Count a version out, and give it a share of its own; the others may have room now."""
        self._pools.remove(pool)
        for other in self._pools:
            other.serve()
        own = Share()
        own.join(pool)
        return own

    def room(self) -> bool:
        """Whether one more invocation may run."""
        if len(self._pools) == 1:  # that pool has no more workers than that
            return True
        limit = max(pool.spec.concurrency for pool in self._pools)
        return sum(pool.running for pool in self._pools) < limit

    def serve(self, first: Pool) -> None:
        """Begin what waits, as far as there are workers and room.

        Args:
            first: the pool in which something has changed.
        """
        if len(self._pools) == 1:
            while first.give():
                pass
            return
        while self.room():
            able = [pool for pool in self._pools if pool.waits_since() is not None]
            if not able:
                return
            oldest = min(able, key=lambda pool: pool.waits_since() or 0.0)
            oldest.give()
            oldest.settle()
