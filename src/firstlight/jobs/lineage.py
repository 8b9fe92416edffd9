"""Loops of functions that invoke each other without end, found as Lambda finds them: a count that travels.

The count of each function is in the trace header, ``Lineage=hash:count|hash:count``, which destinations pass on and
AWS SDKs do within a function (Lambda developer guide, "Recursive loop detection"; the X-Ray guide on the header).
"""

from __future__ import annotations

import hashlib

from firstlight.invoke.types import new_trace_id
from firstlight.runtime.errors import FirstlightError

LIMIT = 16
"""Invocations of one function that one event may lead to."""


class RecursiveInvocation(FirstlightError):
    """One event has led to too many invocations of the same function."""

    code = "recursive-invocation"
    status = 400


def onward(trace_id: str | None, endpoint: str, now: float) -> str:
    """The trace header with which an endpoint is invoked: its count raised by one.

    Args:
        trace_id: the header the event came with.
        now: seconds since the epoch.

    Raises:
        RecursiveInvocation: it was invoked ``LIMIT`` times already because of the same event.
    """
    fields = dict(_pair(part) for part in (trace_id or new_trace_id(now)).split(";") if part)
    counts = _counts(fields.get("Lineage", ""))
    name = hashlib.sha256(endpoint.encode()).hexdigest()[:8]
    count = counts.get(name, 0) + 1
    if count > LIMIT:
        raise RecursiveInvocation(
            f"{endpoint} was stopped: one event has led to {LIMIT} invocations of it",
            "look for a destination, or a call in a handler, that leads back to it",
        )
    fields["Lineage"] = "|".join(f"{key}:{value}" for key, value in {**counts, name: count}.items())
    return ";".join(f"{key}={value}" if value else key for key, value in fields.items())


def _pair(part: str) -> tuple[str, str]:
    key, _, value = part.strip().partition("=")
    return key, value


def _counts(lineage: str) -> dict[str, int]:
    """The counts by hash; a header is anybody's to write, so that what does not fit is left out."""
    found = (entry.partition(":") for entry in lineage.split("|")[:64])
    return {
        name: int(count)
        for name, _, count in found
        if name.isalnum() and count.isdecimal() and len(count) < 6
    }
