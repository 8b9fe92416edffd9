"""The carrier of events: one Event invocation, by whatever carries any other invocation."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any, Protocol

from firstlight.invoke import collecting, outcomes
from firstlight.invoke.types import LATEST, RESPONSE_LIMIT, Invocation, Reply, Report
from firstlight.jobs import lineage
from firstlight.jobs.current import Running
from firstlight.jobs.types import Job, Result

Resolve = Callable[[str, str], str]
"""``resolve(endpoint, qualifier)``: the version that answers now; of a weighted alias another one each time."""


class Carrier(Protocol):
    """Does the work of one kind of job, once.

    Raises:
        Throttled: there was no room for it.
        FirstlightError: it was not done, for a reason that is not the function's.
    """

    async def __call__(self, job: Job, running: Running) -> Result: ...


class Invokes(Protocol):
    """What carries an invocation and tells the job that runs (``current.running``) of it: a gateway."""

    async def invoke(self, invocation: Invocation) -> Reply: ...


class EventCarrier:
    """Carries events to their function.

    Args:
        invoker: carries the invocations; they have the job's id as their request id, in every attempt, as on Lambda.
        resolve: the version that a qualifier stands for.
        clock: seconds since the epoch.
    """

    def __init__(
        self, invoker: Invokes, resolve: Resolve | None = None, clock: Callable[[], float] = time.time
    ) -> None:
        self._invoker = invoker
        self._resolve = resolve
        self._clock = clock

    async def __call__(self, job: Job, running: Running) -> Result:  # noqa: ARG002 - the port's signature
        """What the function answered, or failed with.

        Raises:
            RecursiveInvocation: it is a part of a loop.
            EndpointNotFound, Throttled, WorkerFailed: from the invoker.
        """
        trace_id = lineage.onward(job.trace_id, job.endpoint, self._clock())
        version = LATEST
        if job.qualifier != LATEST:
            version = self._resolve(job.endpoint, job.qualifier) if self._resolve else job.qualifier
        reply = await self._invoker.invoke(
            Invocation(
                endpoint=job.endpoint,
                payload=job.payload,
                request_id=job.id,
                qualifier=job.qualifier,
                version=version,
                trace_id=trace_id,
                wire="event",
            )
        )
        body = await _whole(reply)
        return Result(
            body=body,
            content_type=reply.content_type,
            function_error=reply.function_error,
            executed_version=reply.executed_version,
            metrics=figures(reply.report),
            log=reply.log.decode("utf-8", "replace"),
        )


def figures(report: Report) -> Mapping[str, Any]:
    """The figures of an invocation, times in milliseconds; ``predict_time`` is Cog's, in seconds."""
    found: dict[str, Any] = {
        "predict_time": round(report.duration_ms / 1000, 6),
        "duration_ms": round(report.duration_ms, 3),
        "billed_ms": report.billed_ms,
        "queue_ms": round(report.queue_ms, 3),
        "max_memory_mb": report.max_memory_mb,
        **report.counts,
    }
    if report.init_ms is not None:
        found["init_ms"] = round(report.init_ms, 3)
    return found


async def _whole(reply: Reply) -> bytes:
    """All bytes of a reply; of one that failed, or is larger than Lambda carries, the error."""
    try:
        return await collecting.whole(reply, RESPONSE_LIMIT)
    except collecting.TooMuch:
        reply.function_error = "Unhandled"
        return outcomes.too_large()
