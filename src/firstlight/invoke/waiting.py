"""Invocations of one endpoint that wait for a worker, in the order in which they came."""

from __future__ import annotations

import time
from collections import deque

from firstlight.invoke import scaling
from firstlight.invoke.assignments import Assignment
from firstlight.invoke.outcomes import InitFailure
from firstlight.invoke.types import Throttled, WorkerSpec


class Waiting:
    """A queue that knows how many bytes are in it."""

    def __init__(self) -> None:
        self._queue: deque[Assignment] = deque()
        self._bytes = 0
        self._began = 0.0

    def __len__(self) -> int:
        return len(self._queue)

    def add(self, assignment: Assignment) -> None:
        """Put an invocation at the end."""
        if not self._queue:
            self._began = assignment.queued_at
        self._queue.append(assignment)
        self._bytes += len(assignment.invocation.payload)

    def next(self) -> Assignment:
        """Take the one that has waited longest."""
        assignment = self._queue.popleft()
        self._bytes -= len(assignment.invocation.payload)
        return assignment

    def since(self) -> float:
        """When the one that has waited longest came: a reading of the monotonic clock."""
        return self._queue[0].queued_at

    def lasted(self) -> float:
        """For how many seconds the queue has not been empty."""
        return time.monotonic() - self._began if self._queue else 0.0

    def leave(self, request_id: str) -> Assignment | None:
        """Take the one with this id out of the queue, where it is there."""
        for assignment in self._queue:
            if assignment.invocation.request_id == request_id:
                self._queue.remove(assignment)
                self._bytes -= len(assignment.invocation.payload)
                return assignment
        return None

    def fail(self, failure: InitFailure, spec: WorkerSpec, since: float) -> int:
        """Answer all who wait with the failed init of a worker; how many they were.

        Args:
            since: reading of the monotonic clock when that worker was started.
        """
        count = len(self._queue)
        while self._queue:
            self.next().fail_init(failure, spec.timeout_s, spec.memory_mb, since)
        return count

    def refuse(self, error: Exception) -> None:
        """Tell all who wait that there will be no reply."""
        while self._queue:
            self.next().refuse(error)

    def check(self, size: int, spec: WorkerSpec, most: int, service_s: float | None) -> None:
        """Whether an invocation of ``size`` bytes may wait, too.

        Args:
            most: invocations that may wait.
            service_s: how long one takes a worker, None where nobody knows.

        Raises:
            Throttled: there is no room, or the endpoint is off.
        """
        reason = scaling.refusal(len(self._queue), self._bytes, size, spec.concurrency, most)
        if reason == scaling.CONCURRENCY_REASON:
            raise off(spec.endpoint)
        if reason is not None:
            raise Throttled(
                f"{spec.endpoint} has {len(self._queue)} invocations waiting for {spec.concurrency} workers",
                "send it again later, or raise `concurrency` of the endpoint",
                reason=reason,
                retry_after=scaling.retry_after(len(self._queue), spec.concurrency, service_s),
            )


def off(endpoint: str) -> Throttled:
    """The answer of an endpoint whose concurrency is 0."""
    return Throttled(
        f"{endpoint} is turned off: its concurrency is 0",
        "raise `concurrency` of the endpoint, or take its reserved concurrency away (DeleteFunctionConcurrency)",
        reason=scaling.CONCURRENCY_REASON,
    )


def closing(endpoint: str) -> Throttled:
    """The answer of a pool that takes no more."""
    return Throttled(
        f"{endpoint} is shutting down or was replaced",
        "send it again in a second",
        reason=scaling.RATE_REASON,
    )
