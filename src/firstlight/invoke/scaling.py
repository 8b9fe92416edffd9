"""When to start a worker, whom to stop, when to refuse: pure rules on numbers, with no process in sight.

Times are in seconds. ``service_s`` is how long an invocation takes a worker, ``start_s`` how long a worker takes to
start; both are None until one was seen.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

INIT_LIMIT_S = 10.0
"""Lambda's limit of the init phase; what takes longer is done again inside the first invocation's timeout."""

QUEUE_LIMIT = 1000
"""Invocations of one endpoint that may wait for a worker."""

QUEUE_BYTES = 64 * 1024 * 1024
"""Bytes of events of one endpoint that may wait for a worker."""

IDLE_S = 300.0
"""How long a worker is kept with nothing to do."""

CONCURRENCY_REASON = "ReservedFunctionConcurrentInvocationLimitExceeded"
RATE_REASON = "ConcurrentInvocationLimitExceeded"
_OLD_WEIGHT = 0.75


def workers_to_start(
    waiting: int,
    coming: int,
    busy: int,
    limit: int,
    service_s: float | None = None,
    start_s: float | None = None,
    lasted_s: float = 0.0,
) -> int:
    """How many more workers to start for the invocations that wait.

    A worker is worth starting only for work that those already there will not have taken by the time it is up. In the
    time a start takes, a busy worker answers ``start_s / service_s`` invocations; one that is coming counts for at
    least the one it will take first. With nothing measured yet every waiting invocation gets a worker, up to the limit.

    A queue that has not been empty for as long as two starts take is no crowd that passes: callers come back as soon
    as they are answered. One more worker at a time is started for it, although each alone of those who wait would
    be served before that is up.

    Args:
        waiting: invocations in the queue.
        coming: workers that are starting, or have answered and are about to ask for more.
        busy: workers in the middle of an invocation (an idle one would have taken the work).
        limit: workers at most, of all states.
        lasted_s: for how long the queue has not been empty.
    """
    share = start_s / service_s if service_s and start_s else 0.0
    left = waiting - coming * max(1.0, share) - busy * share
    if left < 1e-9:
        lasting = start_s is not None and lasted_s > 2 * start_s and not coming
        return int(lasting and waiting > 0 and busy < limit)
    wanted = max(1, math.ceil(left / max(1.0, share) - 1e-9))
    return max(0, min(wanted, limit - coming - busy))


def workers_to_stop(idle_since: Sequence[float], now: float, idle_s: float) -> int:
    """How many workers, counted from the one that was used longest ago, have been idle for too long.

    Args:
        idle_since: when each became idle, oldest first.
    """
    count = 0
    for since in idle_since:
        if now - since < idle_s:
            break
        count += 1
    return count


def refusal(waiting: int, waiting_bytes: int, size: int, limit: int, queue_limit: int) -> str | None:
    """Why an invocation of ``size`` bytes cannot be queued (Lambda's word for it), None when it can."""
    if limit <= 0:
        return CONCURRENCY_REASON
    if waiting >= queue_limit or (waiting and waiting_bytes + size > QUEUE_BYTES):
        return RATE_REASON
    return None


def retry_after(waiting: int, limit: int, service_s: float | None) -> int:
    """Whole seconds until half of the queue should have been answered: at least 1, at most 60."""
    drained = waiting / 2 * (service_s or 0.0) / max(1, limit)
    return max(1, min(60, math.ceil(drained)))


def init_deadline(started: float, timeout_s: float) -> float:
    """When a worker that has not finished its init is stopped.

    Lambda allows 10 s for init; past that it starts init again inside the first invocation, under the function's
    timeout. Here the init goes on instead of starting again, with the same budget: it is stopped after 10 s or after
    the timeout, whichever is later.
    """
    return started + max(INIT_LIMIT_S, timeout_s)


def deadline(now: float, timeout_s: float, init_s: float | None) -> float:
    """When an invocation that starts now is stopped; an init beyond 10 s is charged to it.

    Args:
        init_s: how long the init of the worker took, None when the worker is warm.
    """
    charged = init_s if init_s is not None and init_s > INIT_LIMIT_S else 0.0
    return now + timeout_s - charged


def fail_waiting(starting: int, busy: int) -> bool:
    """Whether a failed init is the answer to all who wait: there is no other worker that could take them."""
    return starting == 0 and busy == 0


def pause_after_failures(failures: int) -> float:
    """Seconds to start no more workers after that many failed inits in a row while others work: 0, 1, 2, .. 30."""
    return 0.0 if failures == 0 else min(30.0, 2.0 ** min(failures - 1, 5))


def smoothed(old: float | None, new: float) -> float:
    """A running mean that forgets: three quarters of the old value, one of the new."""
    return new if old is None else _OLD_WEIGHT * old + (1 - _OLD_WEIGHT) * new


def over_memory(resident_mb: float, limit_mb: int) -> bool:
    """Whether a worker has more resident memory than its endpoint may use."""
    return resident_mb > limit_mb
