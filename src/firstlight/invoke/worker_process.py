"""One worker: started once, then one invocation at a time until it is stopped or ends."""

from __future__ import annotations

import time
from dataclasses import replace
from enum import Enum
from functools import partial
from pathlib import Path
from typing import Protocol

from firstlight.invoke import outcomes, scaling
from firstlight.invoke.assignments import Assignment
from firstlight.invoke.connection import Connection
from firstlight.invoke.logs import LogSink
from firstlight.invoke.outcomes import InitFailure
from firstlight.invoke.processes import Launcher
from firstlight.invoke.runtime_api import RuntimeApi
from firstlight.invoke.runtime_messages import Answer
from firstlight.invoke.sandbox import Sandbox
from firstlight.invoke.streams import ReplyStream, Streaming
from firstlight.invoke.types import WorkerSpec, function_arn, new_trace_id
from firstlight.runtime.errors import FirstlightError, WorkerFailed


class State(Enum):
    """The life of a worker."""

    STARTING = "starting"
    IDLE = "idle"
    BUSY = "busy"
    STOPPING = "stopping"
    GONE = "gone"


class Owner(Protocol):
    """The pool, as its workers know it."""

    def worker_ready(self, worker: Worker) -> None:
        """It waits for an invocation."""

    def worker_stopping(self, worker: Worker) -> None:
        """It takes no more invocations and is about to end."""

    def worker_gone(self, worker: Worker) -> None:
        """Its process has ended."""

    def start_failed(self, error: FirstlightError) -> None:
        """Its process could not be started; comes before ``worker_gone``."""

    def init_failed(self, worker: Worker, failure: InitFailure) -> None:
        """It never became ready; comes before ``worker_gone``."""

    def assignment_done(self, assignment: Assignment) -> None:
        """The reply of an invocation is complete."""


class Worker:
    """One execution environment.

    Args:
        spec: what to start.
        owner: the pool.
        sink: where its log lines go.
    """

    def __init__(self, spec: WorkerSpec, owner: Owner, sink: LogSink | None) -> None:
        self.spec = spec
        self.state = State.STARTING
        self.since = time.monotonic()
        self.start_s = 0.0
        self._owner = owner
        self._api = RuntimeApi(self)
        self._sandbox = Sandbox(spec, self._api, sink)
        self._assignment: Assignment | None = None
        self._deadline = 0.0
        self._init_ms: float | None = None
        self._init_notes = b""
        self._arn = function_arn(spec.endpoint)

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
        init_s = None if self._init_ms is None else self._init_ms / 1000
        self.state = State.BUSY
        self._assignment = assignment
        assignment.started_at = now
        self._deadline = scaling.deadline(now, self.spec.timeout_s, init_s)
        self._sandbox.log.begin(invocation.request_id, outcomes.start_line(invocation.request_id))
        headers = {
            b"Lambda-Runtime-Deadline-Ms": str(int((wall + self._deadline - now) * 1000)),
            b"Lambda-Runtime-Invoked-Function-Arn": self._arn,
            b"Lambda-Runtime-Trace-Id": invocation.trace_id or new_trace_id(wall),
        }
        if invocation.client_context is not None:
            headers[b"Lambda-Runtime-Client-Context"] = invocation.client_context
        self._api.send(invocation.payload, invocation.request_id, headers)

    def abandon(self, request_id: str) -> bool:
        """Nobody waits for the answer to an invocation any more: end it, if this worker has it, and go on."""
        assignment = self._assignment
        if assignment is None or assignment.invocation.request_id != request_id:
            return False
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
            self.start_s = time.monotonic() - self.since
            self._init_ms = self.start_s * 1000
            self._init_notes = notes
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
        self._fail_init(
            InitFailure("error", body=self._sandbox.explained(answer.body)),
            "error",
            answer.error_type or "Runtime.Unknown",
        )

    def on_lost(self) -> None:
        if self.state is State.IDLE:
            self.stop()

    # How it ends.

    def _complete(self, assignment: Assignment, notes: bytes = b"") -> None:
        """The invocation is over: measure it, finish its log, hand over the reply."""
        self._assignment = None
        init_ms, self._init_ms = self._init_ms, None
        log = self._sandbox.log
        log.drain()
        peak_mb = self._sandbox.peak_mb()
        stopped = assignment.reply.outcome in ("timeout", "crash")
        over = not stopped and scaling.over_memory(peak_mb, self.spec.memory_mb)
        if over:
            assignment.fail(outcomes.out_of_memory(assignment.invocation.request_id), "crash")
            log.add(outcomes.memory_text(self.spec.memory_mb) + "\n")
        if init_ms is not None:
            assignment.note(self._init_notes)
        assignment.note(notes)
        report = assignment.measure(time.monotonic(), self.spec.memory_mb, peak_mb, init_ms)
        assignment.reply.log = log.end(outcomes.end_lines(assignment.invocation.request_id, report))
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
        log = self._sandbox.log.end(outcomes.init_report_line(took_s * 1000, status, kind))
        self._owner.init_failed(self, replace(failure, log=log))

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

    def _gone(self) -> None:
        self.stop()
        self.state = State.GONE
        self._sandbox.close()
        self._owner.worker_gone(self)
