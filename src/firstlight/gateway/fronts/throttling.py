"""How many requests an API key may make at once and a second: a token bucket for each key."""

from __future__ import annotations

from firstlight.gateway.fronts.keys import Limits


class Buckets:
    """A bucket for each key; it is full when the key is first seen."""

    def __init__(self) -> None:
        self._left: dict[str, tuple[float, float]] = {}

    def take(self, key: str, limits: Limits, now: float) -> bool:
        """Take one request out of a key's bucket; False where it is empty.

        Args:
            key: its id.
            limits: ``rate`` refills the bucket, ``burst`` is its size; a rate alone allows that many at once, and at
                least one, a burst alone is refilled in a second.
            now: seconds.
        """
        if limits.rate is None and limits.burst is None:
            return True
        rate = float(limits.burst or 0) if limits.rate is None else limits.rate
        size = max(1.0, rate) if limits.burst is None else float(limits.burst)
        left, since = self._left.get(key, (size, now))
        left = min(size, left + max(0.0, now - since) * rate)
        taken = left >= 1.0
        self._left[key] = (left - 1.0 if taken else left, now)
        return taken
