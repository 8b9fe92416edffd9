"""What becomes of a job: pure rules on values, with no clock and no queue in sight.

Of events they are Lambda's (developer guide, "Handling errors for an asynchronous invocation"): what the function got
wrong is tried again a few times; what it never saw (a throttle, an error of the server's own) goes back into the queue
until the event is too old. Of HTTP requests every answer is final. Of hooks only an answer that it was taken is.
"""

from __future__ import annotations

from dataclasses import dataclass

from firstlight.jobs.rendering import error_text, failed
from firstlight.jobs.types import Condition, Job, Kind, Result, Status
from firstlight.project import Asynchronous

FIRST_PAUSE_S = 1.0
LONGEST_PAUSE_S = 300.0
"""Between two attempts that the function never saw: from 1 second to 5 minutes, twice as long each time."""

REQUEST_AGE_S = 21600.0
"""Seconds for which a request that nothing could answer is tried; as long as Lambda keeps an event."""

HOOK_AGE_S = 86400.0
"""Seconds for which a destination that does not answer is tried."""

INTERRUPTIONS = 3
"""How often the server may end in the middle of a request before it is not begun again."""

KEPT_S = 7 * 86400.0
"""Seconds for which a job is kept when it has ended."""

NOT_INVOKED = "Function not invoked. Function isconfigured with zero reserved concurrent executions"
"""In Lambda's own words and spelling."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a job is from now on.

    Args:
        status: ``starting`` puts it back into the queue, to be begun at ``due``.
        result: None leaves the one of an earlier attempt.
    """

    status: Status
    condition: Condition = Condition.NONE
    error: str = ""
    due: float = 0.0
    failures: int = 0
    held_back: int = 0
    result: Result | None = None


def deadline(job: Job, policy: Asynchronous) -> float:
    """When a job is given up, in seconds since the epoch."""
    if job.kind is Kind.EVENT:
        return job.created + policy.max_age
    if job.give_up is not None:
        return job.give_up
    return job.created + (HOOK_AGE_S if job.kind is Kind.HOOK else REQUEST_AGE_S)


def before(job: Job, policy: Asynchronous, concurrency: int, now: float) -> Verdict | None:
    """Why a job that was claimed is not begun; None where it is.

    Args:
        concurrency: how many invocations its endpoint may have at once; 0 turns it off.
    """
    if job.kind is Kind.REQUEST and job.interrupted >= INTERRUPTIONS:
        return _ended(
            job, error=f"the server ended {job.interrupted} times while this ran; it was not begun again"
        )
    if concurrency <= 0:
        if job.kind is Kind.EVENT:
            return _ended(job, Condition.ZERO_CONCURRENCY, NOT_INVOKED)
        return _ended(job, error=f"{job.endpoint} is turned off", result=Result(429))
    if now >= deadline(job, policy):
        return _too_old(job)
    return None


def answered(job: Job, policy: Asynchronous, result: Result, now: float) -> Verdict:
    """After an attempt that came to an answer."""
    if not failed(result):
        done = Condition.SUCCESS if job.kind is Kind.EVENT else Condition.NONE
        return Verdict(Status.SUCCEEDED, done, failures=job.failures, result=result)
    if job.kind is not Kind.EVENT:
        return _ended(job, error=error_text(result), result=result)
    failures = job.failures + 1
    if failures > policy.retries:
        return _ended(job, Condition.RETRIES_EXHAUSTED, error_text(result), result, failures)
    due = now + policy.backoff * 2 ** (failures - 1)
    if due >= deadline(job, policy):
        return _ended(job, Condition.AGE_EXCEEDED, error_text(result), result, failures)
    return Verdict(Status.STARTING, due=due, failures=failures, result=result)


def held_back(job: Job, policy: Asynchronous, status: int, error: str, now: float) -> Verdict:
    """After an attempt that the function never saw.

    Args:
        status: 429 for a throttle, 5xx for an error of the server's own.
        error: what it was.
    """
    due = now + pause(job.held_back)
    if due < deadline(job, policy):
        return Verdict(Status.STARTING, due=due, failures=job.failures, held_back=job.held_back + 1)
    condition = Condition.AGE_EXCEEDED if job.kind is Kind.EVENT else Condition.NONE
    return _ended(job, condition, error, Result(status))


def recursive(job: Job, error: str) -> Verdict:
    """After an attempt that was the next round of a loop of functions that invoke each other."""
    result = Result(400, function_error="RecursiveInvocationException")
    return _ended(job, Condition.RECURSIVE, error, result)


def pause(times: int) -> float:
    """Seconds until a job is begun again that was held back that many times before."""
    return float(min(FIRST_PAUSE_S * 2 ** min(times, 30), LONGEST_PAUSE_S))


def invoke_count(job: Job) -> int:
    """How often the function answered: the ``approximateInvokeCount`` of the record of a destination."""
    return job.failures + (1 if job.condition is Condition.SUCCESS else 0)


def _too_old(job: Job) -> Verdict:
    if job.kind is Kind.EVENT:
        return _ended(job, Condition.AGE_EXCEEDED, "the event was not processed before its maximum age")
    return _ended(job, error="it could not be begun for too long")


def _ended(
    job: Job,
    condition: Condition = Condition.NONE,
    error: str = "",
    result: Result | None = None,
    failures: int | None = None,
) -> Verdict:
    count = job.failures if failures is None else failures
    return Verdict(Status.FAILED, condition, error, failures=count, held_back=job.held_back, result=result)
