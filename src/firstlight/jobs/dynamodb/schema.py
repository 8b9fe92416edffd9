"""The table's keys and indexes.

One partition holds a job: ``JOB#<id>`` with the items ``META`` (the job), ``CHUNK#<token>#<n>`` (a piece of a body that
does not fit beside it), ``EVENT#<n>``, and while such a body is being written ``BODY#<token>``. Indexes are sparse:
``next`` holds what something is to be done with, and when; ``by_both`` and ``by_status`` hold jobs in the order in
which they came.
"""

from __future__ import annotations

PK, SK, TTL = "pk", "sk", "ttl"
META, CHUNK, EVENT, BODY = "META", "CHUNK#", "EVENT#", "BODY#"
WHAT, WHEN, ARRIVAL, BOTH = "what", "when", "arrival", "both"
NEXT, BY_BOTH, BY_STATUS = "next", "by_both", "by_status"
QUEUE, IN_HAND, KEPT = "QUEUE#", "IN_HAND", "KEPT"
"""What an item of ``next`` waits for: a worker (by endpoint), the end of a lease, its deletion; ``BODY#``: a commit."""

_PREFIX = "JOB#"
TEXT_KEYS = (PK, SK, WHAT, WHEN, ARRIVAL, BOTH, "status")
"""The attributes that keys are made of."""


def partition(job_id: str) -> str:
    """The partition of a job."""
    return _PREFIX + job_id


def id_of(pk: str) -> str:
    """The job of a partition."""
    return pk.removeprefix(_PREFIX)


def moment(seconds: float) -> str:
    """A time as text that sorts: whole microseconds, 20 digits."""
    return f"{max(0, round(min(seconds, 1e13) * 1e6)):020d}"


def seconds(text: str) -> float:
    """The time that a text of ``moment`` begins with."""
    return int(text[:20]) / 1e6
