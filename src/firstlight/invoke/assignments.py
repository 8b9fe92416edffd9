"""One invocation inside the pool, from the queue to its reply."""

from __future__ import annotations

import json
import math
import time
from dataclasses import dataclass, field
from typing import Protocol

from firstlight.invoke import outcomes
from firstlight.invoke.logs import TAIL_BYTES
from firstlight.invoke.outcomes import InitFailure, billed_ms
from firstlight.invoke.streams import ReplyStream
from firstlight.invoke.types import Invocation, Reply, Report

_decode = json.JSONDecoder().decode


@dataclass(slots=True)
class Totals:
    """What the workers of an endpoint have done since it was made."""

    invocations: int = 0
    cold_starts: int = 0
    throttled: int = 0
    outcomes: dict[str, int] = field(
        default_factory=lambda: dict.fromkeys(("ok", "error", "timeout", "crash", "cancelled"), 0)
    )

    def add(self, reply: Reply) -> None:
        """Count an invocation that has ended."""
        self.outcomes[reply.outcome] += 1
        self.cold_starts += reply.report.cold


class Waiter(Protocol):
    """Who is given the reply: a future, or something that passes it on."""

    def done(self) -> bool: ...

    def cancelled(self) -> bool: ...

    def set_result(self, reply: Reply, /) -> None: ...

    def set_exception(self, error: Exception, /) -> None: ...


@dataclass(frozen=True, slots=True)
class Cold:
    """How a worker came up, for the report of the first invocation; nothing where nobody waited for it.

    Args:
        init_ms: milliseconds it took to initialise it.
        restore_ms: milliseconds it took to restore it from a snapshot, where it was.
        notes: what it said about its init.
    """

    init_ms: float | None = None
    restore_ms: float | None = None
    notes: bytes = b""


WARM = Cold()


class Assignment:
    """An invocation, who waits for it, and what is known of it so far.

    Args:
        invocation: as it was asked for.
        waiter: is given the reply; one that was cancelled (the caller is gone) does not by itself stop the invocation.

    Attributes:
        abandoned: the worker was told that nobody waits for the answer any more.
    """

    __slots__ = (
        "abandoned",
        "deadline",
        "invocation",
        "queued_at",
        "reply",
        "started_at",
        "stream",
        "waiter",
    )

    def __init__(self, invocation: Invocation, waiter: Waiter) -> None:
        self.invocation = invocation
        self.waiter = waiter
        self.queued_at = self.started_at = time.monotonic()
        self.deadline = 0.0
        self.reply = Reply(invocation.request_id, executed_version=invocation.version)
        self.stream: ReplyStream | None = None
        self.abandoned = False

    def deliver(self) -> None:
        """Give the reply to the caller, or end the stream it already has."""
        if self.stream is not None:
            self.stream.finish()
        elif not self.waiter.done():
            self.waiter.set_result(self.reply)

    def deliver_stream(self, stream: ReplyStream, content_type: str) -> None:
        """Give the caller a reply whose bytes are still to come."""
        self.stream = self.reply.stream = stream
        self.reply.content_type = content_type
        if self.waiter.cancelled():
            stream.leave()
        elif not self.waiter.done():
            self.waiter.set_result(self.reply)

    def forget(self, memory_mb: int) -> None:
        """Nobody waits for the answer any more, and no worker has begun with it."""
        self.reply.outcome = "cancelled"
        self.started_at = time.monotonic()
        self.measure(self.started_at, memory_mb, 0, WARM)
        self.deliver()

    def refuse(self, error: Exception) -> None:
        """There will be no reply."""
        if not self.waiter.done():
            self.waiter.set_exception(error)

    def fail(self, body: bytes, outcome: str) -> None:
        """The function failed: the reply is an error."""
        self.reply.payload = body
        self.reply.function_error = "Unhandled"
        self.reply.outcome = outcome

    def fail_init(self, failure: InitFailure, timeout_s: float, memory_mb: int, since: float) -> None:
        """The worker that was started for it never became ready.

        Args:
            since: reading of the monotonic clock when that worker was started.
        """
        request_id = self.invocation.request_id
        self.fail(failure.answer(request_id, timeout_s), failure.outcome)
        self.started_at = time.monotonic()
        self.measure(self.started_at, memory_mb, 0, Cold((self.started_at - since) * 1000))
        start = outcomes.start_line(request_id, self.invocation.version)
        self.reply.log = (failure.log + f"{start}{self.end_lines(started=False)}".encode())[-TAIL_BYTES:]
        self.deliver()

    def end_lines(self, started: bool = True) -> str:
        """END and REPORT, once it was measured.

        Args:
            started: a worker had begun with it.
        """
        outcome = self.reply.outcome if started or self.reply.outcome == "timeout" else "crash"
        ending = outcomes.ending(outcome, self.reply.payload)
        return outcomes.end_lines(self.invocation.request_id, self.reply.report, ending)

    def measure(self, now: float, memory_mb: int, peak_mb: int, cold: Cold) -> Report:
        """Fill in the report at the end of the invocation.

        Args:
            now: reading of the monotonic clock, seconds.
            cold: how the worker came up for it; ``WARM`` when it was there.
        """
        report = self.reply.report
        report.duration_ms = (now - self.started_at) * 1000
        report.queue_ms = (self.started_at - self.queued_at) * 1000
        report.init_ms = cold.init_ms
        report.restore_ms = cold.restore_ms
        report.cold = cold is not WARM
        report.billed_ms = billed_ms(report.duration_ms, cold.init_ms or cold.restore_ms)
        report.memory_mb = memory_mb
        report.max_memory_mb = peak_mb
        return report

    def note(self, notes: bytes) -> None:
        """Add what a worker says about itself: timings (ms), counts and warnings; nonsense is ignored."""
        timings, counts, warnings = parse_notes(notes)
        report = self.reply.report
        report.timings.update(timings)
        report.counts.update(counts)
        report.warnings.extend(warnings)


def parse_notes(notes: bytes) -> tuple[dict[str, float], dict[str, int], list[str]]:
    """Timings (milliseconds by name), counts and warnings out of a ``Firstlight-Notes`` header.

    Any worker may send any bytes here, so all that does not fit is left out.
    """
    if not notes:
        return {}, {}, []
    try:
        said = _decode(str(notes, "utf-8"))
    except (ValueError, RecursionError):
        return {}, {}, []
    if not isinstance(said, dict):
        return {}, {}, []
    timings, counts, warnings = said.get("timings"), said.get("counts"), said.get("warnings")
    figures = timings.items() if isinstance(timings, dict) else ()
    numbers = counts.items() if isinstance(counts, dict) else ()
    texts = warnings if isinstance(warnings, list) else ()
    return (
        {name: float(ms) for name, ms in figures if isinstance(ms, int | float) and math.isfinite(ms)},
        {name: number for name, number in numbers if type(number) is int},
        [text for text in texts if isinstance(text, str)],
    )
