"""One invocation inside the pool, from the queue to its reply."""

from __future__ import annotations

import asyncio
import json
import math
import time
from dataclasses import dataclass, field

from firstlight.invoke.outcomes import billed_ms
from firstlight.invoke.streams import ReplyStream
from firstlight.invoke.types import Invocation, Reply, Report


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

    def __init__(self, invocation: Invocation, waiter: asyncio.Future[Reply]) -> None:
        self.invocation = invocation
        self.waiter = waiter
        self.queued_at = self.started_at = time.monotonic()
        self.deadline = 0.0
        self.reply = Reply(invocation.request_id)
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
        self.measure(self.started_at, memory_mb, 0, None)
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

    def measure(self, now: float, memory_mb: int, peak_mb: int, init_ms: float | None) -> Report:
        """Fill in the report at the end of the invocation.

        Args:
            now: reading of the monotonic clock, seconds.
            init_ms: None when the worker was warm.
        """
        report = self.reply.report
        report.duration_ms = (now - self.started_at) * 1000
        report.queue_ms = (self.started_at - self.queued_at) * 1000
        report.init_ms = init_ms
        report.cold = init_ms is not None
        report.billed_ms = billed_ms(report.duration_ms, init_ms)
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
        said = json.loads(notes)
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
