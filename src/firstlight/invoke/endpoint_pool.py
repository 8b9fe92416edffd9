"""The workers of one endpoint: from none to as many as its concurrency allows, and back to none.

The rules are in ``scaling``; here they meet processes. Everything runs on the event loop's thread.
"""

from __future__ import annotations

import asyncio
import time
from dataclasses import asdict
from typing import Any

from firstlight.invoke import scaling
from firstlight.invoke.assignments import Assignment, Totals, Waiter
from firstlight.invoke.holding import Hold
from firstlight.invoke.idle import Idle
from firstlight.invoke.outcomes import InitFailure
from firstlight.invoke.provisioning import Provisioned, provisioned
from firstlight.invoke.sharing import Share
from firstlight.invoke.surroundings import Surroundings
from firstlight.invoke.types import Invocation, Throttled, WorkerSpec
from firstlight.invoke.waiting import Waiting, closing, off
from firstlight.invoke.worker_process import Worker
from firstlight.runtime.errors import FirstlightError

_LOOK_S = 0.01
"""Seconds between two looks at deadlines and memory while a worker starts or is busy."""


class Pool:
    """The workers of one endpoint and the invocations that wait for them.

    Args:
        spec: what to start, and its limits.
        surroundings: launchers, sockets and log of the invoker.
        share: the concurrency it has in common with the other versions of its function.
    """

    def __init__(self, spec: WorkerSpec, surroundings: Surroundings, share: Share) -> None:
        self.spec = spec
        self._share = share
        share.join(self)
        self.totals = Totals()
        self._around = surroundings
        self._waiting = Waiting()
        self._workers: set[Worker] = set()
        self._starting: set[Worker] = set()
        self._busy: set[Worker] = set()
        self._idle = Idle()
        self._service_s: float | None = None
        self._start_s: float | None = None
        self._hold = Hold(self._go_on)
        self._retired = False
        self._look_timer: asyncio.TimerHandle | None = None
        self._reap_timer: asyncio.TimerHandle | None = None
        self._quiet, self._empty = asyncio.Event(), asyncio.Event()
        self._tasks: set[asyncio.Task[None]] = set()
        self._loop = asyncio.get_running_loop()
        self._launcher = self._around.launcher_for(spec)
        self._keep_ready()

    def submit(self, invocation: Invocation, waiter: Waiter) -> None:
        """Give the invocation to a worker, or queue it.

        Args:
            waiter: is given the reply.

        Raises:
            Throttled: there is no room in the queue, or the endpoint's concurrency is 0.
        """
        self._admit(len(invocation.payload))
        self.totals.invocations += 1
        self._waiting.add(Assignment(invocation, waiter))
        self.serve()

    def leave(self, request_id: str, kill_after_s: float | None = None) -> bool:
        """End the work of an invocation, or do not begin it; whether it is one of this pool's."""
        assignment = self._waiting.leave(request_id)
        if assignment is not None:
            assignment.forget(self.spec.memory_mb)
            self.totals.add(assignment.reply)
            self.settle()
            return True
        return any(worker.abandon(request_id, kill_after_s) for worker in self._busy)

    def adjust(self, spec: WorkerSpec) -> None:
        """Another concurrency for the same workers: at once, but what runs ends as it would have.

        Args:
            spec: as before but for ``concurrency`` and ``provisioned``.
        """
        self.spec = spec
        if spec.concurrency == 0:
            self._waiting.refuse(off(spec.endpoint))
        for worker in [worker for worker in self._workers if worker.kept][spec.provisioned :]:
            worker.kept = False
        self._idle.sort()
        self._shed()
        self.serve()
        self._keep_ready()

    @property
    def running(self) -> int:
        """Invocations that workers have."""
        return len(self._busy)

    def waits_since(self) -> float | None:
        """When the oldest invocation began to wait that a worker could take; None where there is none."""
        return self._waiting.since() if self._waiting and self._idle else None

    def give(self) -> bool:
        """Give the oldest invocation to the worker that was used last; whether there were both."""
        if not (self._waiting and self._idle):
            return False
        worker = self._idle.take()
        if not worker.alive():
            worker.stop()
            return True
        assignment = self._waiting.next()
        if not assignment.waiter.cancelled():
            self._busy.add(worker)
            worker.assign(assignment)
        else:
            self._idle.add(worker)
        return True

    def provisioned(self) -> Provisioned:
        """How many of the workers that are to be kept ready are."""
        kept = (worker not in self._starting for worker in self._workers if worker.kept)
        return provisioned(self.spec.provisioned, kept, self._hold.reason)

    def status(self) -> dict[str, Any]:
        """Workers by state, the queue, what was done; for health and metrics."""
        return {
            "starting": len(self._starting),
            "idle": len(self._idle),
            "busy": len(self._busy),
            "queued": len(self._waiting),
            "concurrency": self.spec.concurrency,
            "pids": sorted(worker.pid for worker in self._workers if worker.pid is not None),
            **asdict(self.totals),
        }

    async def retire(self, grace_s: float) -> None:
        """Take no more invocations, let those that were taken end for at most ``grace_s`` seconds, stop all workers."""
        self._retired = True
        self._share = self._share.parted(self)  # its successor does not wait until it has ended
        self.serve()
        try:
            await asyncio.wait_for(self._quiet.wait(), grace_s)
        except TimeoutError:
            pass
        self._waiting.refuse(closing(self.spec.endpoint))
        for worker in tuple(self._workers):
            worker.stop()
        self.settle()
        await self._empty.wait()
        if self.spec.snap_start:
            await self._launcher.close()
        self._hold.close()
        for timer in (self._look_timer, self._reap_timer):
            if timer is not None:
                timer.cancel()

    # What workers tell.

    def worker_ready(self, worker: Worker) -> None:
        if worker in self._starting:
            self._starting.discard(worker)
            self._hold.came_up()
            self._start_s = scaling.smoothed(self._start_s, worker.start_s)
        self._busy.discard(worker)
        self._idle.add(worker)
        self._shed()
        self.serve()
        if self.spec.provisioned:
            self._keep_ready()

    def worker_stopping(self, worker: Worker) -> None:
        self._starting.discard(worker)
        self._busy.discard(worker)
        self._idle.discard(worker)

    def worker_gone(self, worker: Worker) -> None:
        self._workers.discard(worker)
        self.serve()
        self._keep_ready()

    def start_failed(self, error: FirstlightError) -> None:
        if self._fail_waiting(error.message):
            self._waiting.refuse(error)

    def init_failed(self, worker: Worker, failure: InitFailure) -> None:
        self.totals.cold_starts += 1
        if self._fail_waiting(failure.reason()):
            self.totals.outcomes[failure.outcome] += self._waiting.fail(failure, self.spec, worker.since)

    def assignment_done(self, assignment: Assignment) -> None:
        self.totals.add(assignment.reply)
        if not assignment.abandoned:  # how long those take says nothing about the others
            self._service_s = scaling.smoothed(self._service_s, assignment.reply.report.duration_ms / 1000)

    # What follows from it.

    def _fail_waiting(self, reason: str) -> bool:
        """A worker did not come up: start fewer for a while; whether those who wait are told."""
        self._hold.failed(reason)
        return scaling.fail_waiting(len(self._starting), len(self._busy))

    def _admit(self, size: int) -> None:
        if self._retired:
            raise closing(self.spec.endpoint)
        if self._idle and self._share.room():
            return
        try:
            self._waiting.check(size, self.spec, self._around.queue_limit, self._service_s)
        except Throttled:
            self.totals.throttled += 1
            raise

    def serve(self) -> None:
        """Give invocations to workers, and start the workers that are missing."""
        self._share.serve(self)
        if self._waiting:
            self._grow()
        self.settle()

    def _grow(self) -> None:
        if self._workers and self._hold.active():
            return
        returning = sum(worker.answered for worker in self._busy)
        count = scaling.workers_to_start(
            len(self._waiting) - len(self._idle),
            len(self._starting) + returning,
            len(self._busy) - returning,
            self.spec.concurrency - len(self._workers) + len(self._starting) + len(self._busy),
            self._service_s,
            self._start_s,
            self._waiting.lasted(),
        )
        for _ in range(count):
            self._start(Worker(self.spec, self, self._around.log_sink))

    def _start(self, worker: Worker) -> None:
        self._workers.add(worker)
        self._starting.add(worker)
        start = worker.start(self._launcher, self._around.socket_path())
        task = self._loop.create_task(start)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _keep_ready(self) -> None:
        """Start the workers that are missing of those that are kept ready, in the place of idle ones that are not."""
        missing = self.spec.provisioned - sum(worker.kept for worker in self._workers)
        if missing <= 0 or self._retired or self._hold.active():
            return
        room = self.spec.concurrency - len(self._starting) - len(self._busy) - len(self._idle)
        for worker in self._idle.spare()[: max(0, missing - room)]:
            worker.stop()
        for _ in range(min(missing, self.spec.concurrency - len(self._workers))):
            self._start(Worker(self.spec, self, self._around.log_sink, kept=True))
        self.settle()

    def _shed(self) -> None:
        """Stop idle workers beyond the concurrency; busy ones follow when they are done."""
        over = len(self._starting) + len(self._busy) + len(self._idle) - self.spec.concurrency
        for worker in tuple(self._idle)[: max(0, over)]:
            worker.stop()

    def _go_on(self) -> None:
        self.serve()
        self._keep_ready()

    def settle(self) -> None:
        """Set what depends on how much is going on: timers, and the events that ``retire`` waits for."""
        active = bool(self._starting or self._busy)
        if active and self._look_timer is None:
            self._look_timer = self._loop.call_later(_LOOK_S, self._look)
        if self._idle and self._reap_timer is None and self._idle.spare():
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
        self.settle()

    def _reap(self) -> None:
        self._reap_timer = None
        outworn, wait = self._idle.outworn(time.monotonic(), self._around.idle_s)
        for worker in outworn:
            worker.stop()
        if wait is not None:
            self._reap_timer = self._loop.call_later(wait, self._reap)
