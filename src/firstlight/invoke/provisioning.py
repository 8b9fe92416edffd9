"""Workers that are kept ready: how many there are of those that should be."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

IN_PROGRESS, READY, FAILED = "IN_PROGRESS", "READY", "FAILED"
"""Lambda's words (ProvisionedConcurrencyStatusEnum)."""


@dataclass(frozen=True, slots=True)
class Provisioned:
    """What has become of a wish for workers that are kept ready.

    Attributes:
        requested: how many are wanted.
        allocated: how many were started, ready or not.
        available: how many are initialised.
        status: ``IN_PROGRESS``, ``READY`` or ``FAILED``.
        reason: why it failed; it is tried again all the same.
    """

    requested: int
    allocated: int
    available: int
    status: str
    reason: str = ""


def provisioned(requested: int, ready: Iterable[bool], failure: str) -> Provisioned:
    """Where things stand.

    Args:
        ready: for each worker that was started to be kept ready, whether it is initialised.
        failure: why the last one that failed did; empty where none did, or one has come up since.
    """
    states = list(ready)
    available = min(sum(states), requested)
    if available >= requested:
        return Provisioned(requested, min(len(states), requested), available, READY)
    return Provisioned(requested, len(states), available, FAILED if failure else IN_PROGRESS, failure)
