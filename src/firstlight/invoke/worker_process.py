"""One worker: started once, then one invocation at a time until it is stopped or ends."""

from __future__ import annotations

import math
import time
from dataclasses import replace
from functools import partial
from pathlib import Path

from firstlight.invoke import headers, outcomes, scaling
from firstlight.invoke.assignments import WARM, Assignment, Cold
from firstlight.invoke.connection import Connection
from firstlight.invoke.logs import LogSink
from firstlight.invoke.outcomes import InitFailure
from firstlight.invoke.processes import Launcher
from firstlight.invoke.runtime_api import RuntimeApi
from firstlight.invoke.runtime_messages import Answer
from firstlight.invoke.sandbox import Sandbox
from firstlight.invoke.snapshot import HOOK_ERRORS, hook_failed
from firstlight.invoke.streams import ReplyStream, Streaming
from firstlight.invoke.types import WorkerSpec
from firstlight.invoke.worker_states import Owner, State
from firstlight.runtime.errors import FirstlightError, WorkerFailed


class Worker:
    """One execution environment.

    Args:
        spec: what to start.
        owner: the pool.
        sink: where its log lines go.
        kept: it is started to be kept ready (provisioned concurrency), so nobody waits for its init.
    """

    def __init__(self, spec: WorkerSpec, owner: Owner, sink: LogSink | None, *, kept: bool = False) -> None:
        self.spec = spec
        self.kept = kept
        self.state = State.STARTING
        self.since = time.monotonic()
        self.start_s = 0.0
        self._owner = owner
        self._api = RuntimeApi(self)
        kind = "provisioned-concurrency" if kept else "snap-start" if spec.snap_start else "on-demand"
        self._sandbox = Sandbox(spec, self._api, sink, kind)
        self._assignment: Assignment | None = None
        self._deadline = 0.0
        self._kill_at = math.inf
        self._cold = WARM

    @property
    def pid(self) -> int | None:
        return self._sandbox.pid

    @property
    def answered(self) -> bool:
        """Whether it is done with its invocation, or was told to be, and is about to ask for the next one."""
        return self.state is State.BUSY and (self._assignment is None or self._assignment.abandoned)

    async def start(self, launcher: Launcher, path: Path) -> None:
        """Start the process, with the Runtime API on a socket at ``path``; the pool is told when that fails."""
        try:
            await self._sandbox.start(launcher, path, self._exited)
        except FirstlightError as error:
            self._not_started(error)
        except OSError as error:
            self._not_started(WorkerFailed(f"a worker could not be started: {error}"))

    def alive(self) -> bool:
        """Whether the process can take an invocation now: not one that was killed a moment ago."""
        return self._sandbox.resident_mb() is not None

    def assign(self, assignment: Assignment) -> None:
        """Give the waiting worker an invocation."""
        now, wall = time.monotonic(), time.time()
        invocation = assignment.invocation
        init_s = None if self._cold.init_ms is None else self._cold.init_ms / 1000
        self.state = State.BUSY
        self._assignment = assignment
        assignment.started_at = now
        self._deadline = scaling.deadline(now, self.spec.timeout_s, init_s)
        self._kill_at = math.inf
        line = outcomes.start_line(invocation.request_id, self.spec.version)
        self._sandbox.log.begin(invocation.request_id, line)
        told = headers.of_invocation(invocation, wall, self._deadline - now)
        self._api.send(invocation.payload, invocation.request_id, told)

    def abandon(self, request_id: str, kill_after_s: float | None = None) -> bool:
        """Nobody waits for the answer to an invocation any more: end it, if this worker has it, and go on.

        Args:
            kill_after_s: seconds after which the worker is ended where it has not noticed; None leaves it its deadline.
        """
        assignment = self._assignment
        if assignment is None or assignment.invocation.request_id != request_id:
            return False
        if kill_after_s is not None:
            self._kill_at = min(self._kill_at, time.monotonic() + kill_after_s)
        if not assignment.abandoned:
            assignment.abandoned = True
            assignment.reply.outcome = "cancelled"
            self._sandbox.log.add(f"{request_id} {outcomes.CANCELLED_TEXT}\n")
            self._api.abandon()
        return True

    def look(self, now: float) -> None:
        """Check deadline and memory of a worker that is starting or busy; called every few milliseconds."""
        resident = self._sandbox.resident_mb()
        if resident is not None and scaling.over_memory(resident, self.spec.memory_mb):
            self._stop_for_memory()
        elif self.state is State.BUSY and now >= self._kill_at:
            self._stop_unheard()
        elif self.state is State.BUSY and now >= self._deadline:
            self._stop_for_deadline()
        elif self.state is State.STARTING and now >= scaling.init_deadline(self.since, self.spec.timeout_s):
            self._fail_init(InitFailure("timeout"), "timeout", "Sandbox.Timedout")

    def stop(self) -> None:
        """Kill it; the pool hears ``worker_gone`` when it has ended."""
        if self.state not in (State.STOPPING, State.GONE):
            self.state = State.STOPPING
            self._owner.worker_stopping(self)
            self._sandbox.kill()

    # What the Runtime API tells.

    def on_next(self, notes: bytes) -> None:
        if self._assignment is not None:  # it was abandoned, and has ended now
            self._complete(self._assignment, notes)
        if self.state is State.STARTING:
            self._started(notes)
        if self.state in (State.STARTING, State.BUSY):
            self.state = State.IDLE
            self.since = time.monotonic()
            self._owner.worker_ready(self)

    def on_response(self, answer: Answer) -> None:
        if self._assignment is not None:
            self._assignment.reply.payload = answer.body
            self._assignment.reply.content_type = answer.content_type
            self._complete(self._assignment, answer.notes)

    def on_error(self, answer: Answer) -> None:
        assignment = self._assignment
        if assignment is None:
            return
        if outcomes.is_memory_error(answer.body):
            self._stop_for_memory(answer.notes)
            return
        assignment.fail(self._sandbox.explained(answer.body), "error")
        self._complete(assignment, answer.notes)

    def on_oversize(self) -> None:
        if self._assignment is not None:
            self._assignment.fail(outcomes.too_large(), "error")
            self._complete(self._assignment)

    def on_stream(self, content_type: str, connection: Connection) -> Streaming:
        assignment = self._assignment
        stream = ReplyStream(
            connection, partial(self.abandon, assignment.invocation.request_id if assignment else "")
        )
        if assignment is not None:
            assignment.deliver_stream(stream, content_type)
        return Streaming(stream, self.on_stream_end)

    def on_stream_end(self, answer: Answer) -> None:
        """A streamed answer is complete, or broken off by the function itself."""
        assignment = self._assignment
        if assignment is None:
            return
        if answer.error_type:
            assignment.fail(
                self._sandbox.explained(answer.body or outcomes.stream_error(answer.error_type)), "error"
            )
        self._complete(assignment, answer.notes)

    def on_init_error(self, answer: Answer) -> None:
        if outcomes.is_memory_error(answer.body):
            self._stop_for_memory()
            return
        if answer.error_type in HOOK_ERRORS:
            self._not_restored(answer)
            return
        self._fail_init(
            InitFailure("error", body=self._sandbox.explained(answer.body)),
            "error",
            answer.error_type or "Runtime.Unknown",
        )

    def on_lost(self) -> None:
        if self.state is State.IDLE:
            self.stop()

    def _started(self, notes: bytes) -> None:
        """Its init is over; the first invocation pays for it, unless it was kept ready before anyone asked."""
        self.start_s = time.monotonic() - self.since
        took_ms, log = self.start_s * 1000, self._sandbox.log
        log.drain()
        if self._sandbox.restored:
            self._cold = Cold(restore_ms=took_ms)
            log.add(outcomes.restore_lines(took_ms))
        elif self.kept:
            log.end(outcomes.init_line(took_ms))
        else:
            self._cold = Cold(took_ms, notes=notes)

    # How it ends.

    def _complete(self, assignment: Assignment, notes: bytes = b"") -> None:
        """The invocation is over: measure it, finish its log, hand over the reply."""
        self._assignment = None
        cold, self._cold = self._cold, WARM
        log = self._sandbox.log
        log.drain()
        peak_mb = self._sandbox.peak_mb()
        stopped = assignment.reply.outcome in ("timeout", "crash")
        over = not stopped and scaling.over_memory(peak_mb, self.spec.memory_mb)
        if over:
            assignment.fail(outcomes.out_of_memory(assignment.invocation.request_id), "crash")
            log.add(outcomes.memory_text(self.spec.memory_mb) + "\n")
        assignment.note(cold.notes)
        assignment.note(notes)
        assignment.measure(time.monotonic(), self.spec.memory_mb, peak_mb, cold)
        assignment.reply.log = log.end(assignment.end_lines())
        self._owner.assignment_done(assignment)
        assignment.deliver()
        if over:
            self.stop()

    def _stop_for_deadline(self) -> None:
        assignment = self._assignment
        self.stop()
        if assignment is not None:
            request_id = assignment.invocation.request_id
            assignment.fail(outcomes.timed_out(request_id, self.spec.timeout_s), "timeout")
            self._sandbox.log.add(f"{request_id} {outcomes.timeout_text(self.spec.timeout_s)}\n")
            self._complete(assignment)

    def _stop_unheard(self) -> None:
        """It was told that nobody waits for its answer, and went on."""
        assignment = self._assignment
        self.stop()
        if assignment is not None:
            self._sandbox.log.add(f"{assignment.invocation.request_id} {outcomes.UNHEARD_TEXT}\n")
            self._complete(assignment)

    def _stop_for_memory(self, notes: bytes = b"") -> None:
        if self.state is State.STARTING:
            self._sandbox.log.add(outcomes.memory_text(self.spec.memory_mb) + "\n")
            self._fail_init(InitFailure("crash", memory=True), "error", "Runtime.OutOfMemory")
            return
        assignment = self._assignment
        self.stop()
        if assignment is not None:
            assignment.fail(outcomes.out_of_memory(assignment.invocation.request_id), "crash")
            self._sandbox.log.add(outcomes.memory_text(self.spec.memory_mb) + "\n")
            self._complete(assignment, notes)

    def _fail_init(self, failure: InitFailure, status: str, kind: str) -> None:
        if self.state is not State.STARTING:
            return
        self.stop()
        self._sandbox.log.drain()
        took_s = time.monotonic() - self.since
        if text := failure.text(took_s):
            self._sandbox.log.add(text + "\n")
        line = outcomes.init_report_line(took_s * 1000, status, kind, self.kept)
        self._owner.init_failed(self, replace(failure, log=self._sandbox.log.end(line)))

    def _exited(self, status: int) -> None:
        """The process has ended, for whatever reason."""
        assignment = self._assignment
        if self.state is State.STARTING:
            self._fail_init(InitFailure("crash", status=status), "error", "Runtime.ExitError")
        elif assignment is not None:
            request_id = assignment.invocation.request_id
            self._sandbox.log.drain()
            self._sandbox.log.add(f"RequestId: {request_id} Error: {outcomes.exit_text(status)}\n")
            assignment.fail(outcomes.exit_error(request_id, status), "crash")
            self._complete(assignment)
        self._gone()

    def _not_started(self, error: FirstlightError) -> None:
        self.stop()
        self._owner.start_failed(error)
        self._gone()

    def _not_restored(self, answer: Answer) -> None:
        """A hook around its snapshot failed."""
        self.stop()
        self._owner.start_failed(hook_failed(self.spec, answer.body))

    def _gone(self) -> None:
        self.stop()
        self.state = State.GONE
        self._sandbox.close()
        self._owner.worker_gone(self)
