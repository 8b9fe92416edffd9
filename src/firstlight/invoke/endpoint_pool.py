"""The workers of one endpoint: from none to as many as its concurrency allows, and back to none.

The rules are in ``scaling``; here they meet processes. Everything runs on the event loop's thread.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from firstlight.invoke import scaling
from firstlight.invoke.assignments import Assignment, Totals
from firstlight.invoke.logs import LogSink
from firstlight.invoke.outcomes import InitFailure
from firstlight.invoke.processes import Launcher
from firstlight.invoke.types import Invocation, Reply, Throttled, WorkerSpec
from firstlight.invoke.worker_process import Worker
from firstlight.runtime.errors import FirstlightError

_LOOK_S = 0.01
"""Seconds between two looks at deadlines and memory while a worker starts or is busy."""


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What all pools of an invoker share.

    Args:
        launcher_for: which launcher starts the workers of a spec.
        socket_path: makes the path of the next worker's socket.
        log_sink: where the workers' log lines go.
    """

    launcher_for: Callable[[WorkerSpec], Launcher]
    socket_path: Callable[[], Path]
    log_sink: LogSink | None = None
    idle_s: float = scaling.IDLE_S
    queue_limit: int = scaling.QUEUE_LIMIT


class Pool:
    """The workers of one endpoint and the invocations that wait for them.

    Args:
        spec: what to start, and its limits.
        surroundings: launchers, sockets and log of the invoker.
    """

    def __init__(self, spec: WorkerSpec, surroundings: Surroundings) -> None:
        self.spec = spec
        self.totals = Totals()
        self._around = surroundings
        self._waiting: deque[Assignment] = deque()
        self._waiting_bytes = 0
        self._workers: set[Worker] = set()
        self._starting: set[Worker] = set()
        self._busy: set[Worker] = set()
        self._idle: list[Worker] = []  # the one used longest ago first
        self._service_s: float | None = None
        self._start_s: float | None = None
        self._failures = 0
        self._hold_until = 0.0
        self._retired = False
        self._look_timer: asyncio.TimerHandle | None = None
        self._reap_timer: asyncio.TimerHandle | None = None
        self._hold_timer: asyncio.TimerHandle | None = None
        self._quiet = asyncio.Event()
        self._empty = asyncio.Event()
        self._tasks: set[asyncio.Task[None]] = set()
        self._loop = asyncio.get_running_loop()

    def submit(self, invocation: Invocation) -> asyncio.Future[Reply]:
        """Give the invocation to a worker, or queue it.

        Raises:
            Throttled: there is no room in the queue, or the endpoint's concurrency is 0.
        """
        self._admit(len(invocation.payload))
        assignment = Assignment(invocation, self._loop.create_future())
        self.totals.invocations += 1
        self._waiting.append(assignment)
        self._waiting_bytes += len(invocation.payload)
        self._serve()
        return assignment.waiter

    def leave(self, request_id: str) -> bool:
        """End the work of an invocation, or do not begin it; whether it is one of this pool's."""
        for assignment in self._waiting:
            if assignment.invocation.request_id == request_id:
                self._waiting.remove(assignment)
                self._waiting_bytes -= len(assignment.invocation.payload)
                assignment.forget(self.spec.memory_mb)
                self.totals.add(assignment.reply)
                self._settle()
                return True
        return any(worker.abandon(request_id) for worker in self._busy)

    def status(self) -> dict[str, Any]:
        """Workers by state, the queue, what was done; for health and metrics."""
        return {
            "starting": len(self._starting),
            "idle": len(self._idle),
            "busy": len(self._busy),
            "queued": len(self._waiting),
            "concurrency": self.spec.concurrency,
            "pids": sorted(worker.pid for worker in self._workers if worker.pid is not None),
            "invocations": self.totals.invocations,
            "cold_starts": self.totals.cold_starts,
            "throttled": self.totals.throttled,
            "outcomes": dict(self.totals.outcomes),
        }

    async def retire(self, grace_s: float) -> None:
        """Take no more invocations, let those that were taken end for at most ``grace_s`` seconds, stop all workers."""
        self._retired = True
        self._settle()
        try:
            await asyncio.wait_for(self._quiet.wait(), grace_s)
        except TimeoutError:
            pass
        while self._waiting:
            self._next_assignment().refuse(_closing(self.spec.endpoint))
        for worker in tuple(self._workers):
            worker.stop()
        self._settle()
        await self._empty.wait()
        for timer in (self._look_timer, self._reap_timer, self._hold_timer):
            if timer is not None:
                timer.cancel()

    # What workers tell.

    def worker_ready(self, worker: Worker) -> None:
        if worker in self._starting:
            self._starting.discard(worker)
            self._failures = 0
            self._start_s = scaling.smoothed(self._start_s, worker.start_s)
        self._busy.discard(worker)
        self._idle.append(worker)
        self._serve()

    def worker_stopping(self, worker: Worker) -> None:
        self._starting.discard(worker)
        self._busy.discard(worker)
        if worker in self._idle:
            self._idle.remove(worker)

    def worker_gone(self, worker: Worker) -> None:
        self._workers.discard(worker)
        self._serve()

    def start_failed(self, error: FirstlightError) -> None:
        if self._fail_waiting():
            while self._waiting:
                self._next_assignment().refuse(error)

    def init_failed(self, worker: Worker, failure: InitFailure) -> None:
        self.totals.cold_starts += 1
        if not self._fail_waiting():
            return
        while self._waiting:
            assignment = self._next_assignment()
            assignment.fail(
                failure.answer(assignment.invocation.request_id, self.spec.timeout_s), failure.outcome
            )
            assignment.reply.log = failure.log
            assignment.started_at = time.monotonic()
            assignment.measure(
                assignment.started_at, self.spec.memory_mb, 0, (assignment.started_at - worker.since) * 1000
            )
            self.totals.outcomes[failure.outcome] += 1
            assignment.deliver()

    def assignment_done(self, assignment: Assignment) -> None:
        self.totals.add(assignment.reply)
        if not assignment.abandoned:  # how long those take says nothing about the others
            self._service_s = scaling.smoothed(self._service_s, assignment.reply.report.duration_ms / 1000)

    # What follows from it.

    def _fail_waiting(self) -> bool:
        """A worker did not come up: start fewer for a while; whether those who wait are told."""
        self._failures += 1
        self._hold_until = time.monotonic() + scaling.pause_after_failures(self._failures)
        return scaling.fail_waiting(len(self._starting), len(self._busy))

    def _admit(self, size: int) -> None:
        limit = self.spec.concurrency
        if self._retired:
            raise _closing(self.spec.endpoint)
        if self._idle:
            return
        reason = scaling.refusal(
            len(self._waiting), self._waiting_bytes, size, limit, self._around.queue_limit
        )
        if reason is not None:
            self.totals.throttled += 1
            raise Throttled(
                f"{self.spec.endpoint} has {len(self._waiting)} invocations waiting for {limit} workers",
                "send it again later, or raise `concurrency` of the endpoint",
                reason=reason,
                retry_after=scaling.retry_after(len(self._waiting), limit, self._service_s),
            )

    def _next_assignment(self) -> Assignment:
        assignment = self._waiting.popleft()
        self._waiting_bytes -= len(assignment.invocation.payload)
        return assignment

    def _serve(self) -> None:
        """Give the oldest invocations to the workers that were used last, and start the workers that are missing."""
        while self._waiting and self._idle:
            worker = self._idle.pop()
            if not worker.alive():
                worker.stop()
                continue
            assignment = self._next_assignment()
            if assignment.waiter.cancelled():
                continue
            self._busy.add(worker)
            worker.assign(assignment)
        if self._waiting:
            self._grow()
        self._settle()

    def _grow(self) -> None:
        now = time.monotonic()
        if self._workers and now < self._hold_until:
            if self._hold_timer is None:
                self._hold_timer = self._loop.call_later(self._hold_until - now, self._go_on)
            return
        stopping = len(self._workers) - len(self._starting) - len(self._busy) - len(self._idle)
        returning = sum(worker.answered for worker in self._busy)
        count = scaling.workers_to_start(
            len(self._waiting),
            len(self._starting) + returning,
            len(self._busy) - returning,
            self.spec.concurrency - stopping,
            self._service_s,
            self._start_s,
        )
        for _ in range(count):
            worker = Worker(self.spec, self, self._around.log_sink)
            self._workers.add(worker)
            self._starting.add(worker)
            start = worker.start(self._around.launcher_for(self.spec), self._around.socket_path())
            task = self._loop.create_task(start)
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    def _go_on(self) -> None:
        self._hold_timer = None
        self._serve()

    def _settle(self) -> None:
        """Set what depends on how much is going on: timers, and the events that ``retire`` waits for."""
        active = bool(self._starting or self._busy)
        if active and self._look_timer is None:
            self._look_timer = self._loop.call_later(_LOOK_S, self._look)
        if self._idle and self._reap_timer is None:
            self._reap_timer = self._loop.call_later(self._around.idle_s, self._reap)
        if self._retired:
            if not (self._waiting or self._busy):
                self._quiet.set()
            if not self._workers:
                self._empty.set()

    def _look(self) -> None:
        self._look_timer = None
        now = time.monotonic()
        for worker in (*self._starting, *self._busy):
            worker.look(now)
        self._settle()

    def _reap(self) -> None:
        self._reap_timer = None
        now = time.monotonic()
        count = scaling.workers_to_stop([worker.since for worker in self._idle], now, self._around.idle_s)
        for worker in self._idle[:count]:
            worker.stop()
        if self._idle:
            wait = max(0.0, self._idle[0].since + self._around.idle_s - now)
            self._reap_timer = self._loop.call_later(wait, self._reap)


def _closing(endpoint: str) -> Throttled:
    return Throttled(
        f"{endpoint} is shutting down or was replaced",
        "send it again in a second",
        reason=scaling.RATE_REASON,
    )
