"""Counters of the gateway and their text form (Prometheus exposition format 0.0.4)."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Mapping
from typing import Any

from firstlight.invoke.types import Report

CONTENT_TYPE = b"text/plain; version=0.0.4; charset=utf-8"

BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
"""Upper bounds of the duration histograms, in seconds."""


TOKEN_KINDS = ("prompt", "generated")
"""Each is counted by workers as ``<kind>_tokens``."""


class Histogram:
    """Counts of durations by bucket."""

    __slots__ = ("counts", "total")

    def __init__(self) -> None:
        self.counts = [0] * (len(BUCKETS) + 1)
        self.total = 0.0

    def observe(self, seconds: float) -> None:
        """Count one duration."""
        self.counts[bisect_left(BUCKETS, seconds)] += 1
        self.total += seconds

    def lines(self, name: str, labels: str) -> Iterable[str]:
        """Cumulative buckets, sum and count."""
        below = 0
        for bound, count in zip((*BUCKETS, "+Inf"), self.counts, strict=True):
            below += count
            yield f'{name}_bucket{{{labels},le="{bound}"}} {below}'
        yield f"{name}_sum{{{labels}}} {self.total:.6f}"
        yield f"{name}_count{{{labels}}} {below}"


class Metrics:
    """What happened to the invocations of each endpoint."""

    def __init__(self) -> None:
        self.invocations: dict[tuple[str, str], int] = {}
        self.cold_starts: dict[str, int] = {}
        self.in_flight: dict[str, int] = {}
        self.durations: dict[str, Histogram] = {}
        self.waits: dict[str, Histogram] = {}
        self.inits: dict[str, Histogram] = {}
        self.first_tokens: dict[str, Histogram] = {}
        self.tokens: dict[tuple[str, str], int] = {}

    def started(self, endpoint: str) -> None:
        """An invocation went out."""
        self.in_flight[endpoint] = self.in_flight.get(endpoint, 0) + 1

    def ended(self, endpoint: str, status: str, seconds: float, report: Report | None) -> None:
        """It came back.

        Args:
            status: ``ok``, ``error``, ``timeout``, ``crash``, ``cancelled``, or the code of the error that was raised.
            seconds: as the gateway saw it, queue and cold start included.
            report: the invocation's own figures, None when no worker took it.
        """
        self.in_flight[endpoint] -= 1
        key = (endpoint, status)
        self.invocations[key] = self.invocations.get(key, 0) + 1
        _observe(self.durations, endpoint, seconds)
        if report is None:
            return
        _observe(self.waits, endpoint, report.queue_ms / 1000)
        if report.cold:
            self.cold_starts[endpoint] = self.cold_starts.get(endpoint, 0) + 1
        if report.init_ms is not None:
            _observe(self.inits, endpoint, report.init_ms / 1000)
        if "first_token" in report.timings:
            _observe(self.first_tokens, endpoint, (report.queue_ms + report.timings["first_token"]) / 1000)
        for kind in TOKEN_KINDS:
            count = report.counts.get(f"{kind}_tokens", 0)
            if count > 0:
                self.tokens[endpoint, kind] = self.tokens.get((endpoint, kind), 0) + count

    def text(self, pools: Mapping[str, Mapping[str, Any]]) -> str:
        """All of it, with what the invoker says of its pools now (``status()``)."""
        lines: list[str] = []
        _family(lines, "firstlight_invocations_total", "counter", "Invocations that ended, by outcome.")
        for (endpoint, status), count in self.invocations.items():
            lines.append(
                f'firstlight_invocations_total{{endpoint="{_escape(endpoint)}",status="{_escape(status)}"}} {count}'
            )
        _plain(
            lines,
            "firstlight_cold_starts_total",
            "counter",
            "Invocations that waited for a new worker.",
            self.cold_starts,
        )
        _plain(lines, "firstlight_in_flight", "gauge", "Invocations that have not ended.", self.in_flight)
        for name, what, series in (
            ("firstlight_invocation_duration_seconds", "From the gateway and back.", self.durations),
            (
                "firstlight_queue_duration_seconds",
                "Until a worker took it, a cold start included.",
                self.waits,
            ),
            ("firstlight_init_duration_seconds", "Start of a worker until it asked for work.", self.inits),
            (
                "firstlight_first_token_seconds",
                "Until the first token of a generated text was known, a cold start included.",
                self.first_tokens,
            ),
        ):
            _family(lines, name, "histogram", what)
            for endpoint, histogram in series.items():
                lines.extend(histogram.lines(name, f'endpoint="{_escape(endpoint)}"'))
        _family(lines, "firstlight_tokens_total", "counter", "Tokens read and written, by kind.")
        for (endpoint, kind), count in self.tokens.items():
            lines.append(f'firstlight_tokens_total{{endpoint="{_escape(endpoint)}",kind="{kind}"}} {count}')
        _gauges(lines, pools)
        return "\n".join(lines) + "\n"


_POOL_GAUGES = (
    ("firstlight_workers_starting", "starting", "Workers that are starting."),
    ("firstlight_workers_idle", "idle", "Workers that wait for work."),
    ("firstlight_workers_busy", "busy", "Workers that answer an invocation."),
    ("firstlight_queue_depth", "queued", "Invocations that wait for a worker."),
    ("firstlight_concurrency_limit", "concurrency", "Workers at most."),
)


def _gauges(lines: list[str], pools: Mapping[str, Mapping[str, Any]]) -> None:
    for name, key, what in _POOL_GAUGES:
        values = {endpoint: pool[key] for endpoint, pool in pools.items() if isinstance(pool.get(key), int)}
        if values:
            _plain(lines, name, "gauge", what, values)


def _observe(series: dict[str, Histogram], endpoint: str, seconds: float) -> None:
    histogram = series.get(endpoint)
    if histogram is None:
        histogram = series[endpoint] = Histogram()
    histogram.observe(seconds)


def _family(lines: list[str], name: str, kind: str, what: str) -> None:
    lines += [f"# HELP {name} {what}", f"# TYPE {name} {kind}"]


def _plain(lines: list[str], name: str, kind: str, what: str, values: Mapping[str, int]) -> None:
    _family(lines, name, kind, what)
    lines.extend(f'{name}{{endpoint="{_escape(endpoint)}"}} {value}' for endpoint, value in values.items())


def _escape(text: str) -> str:
    return text.replace("\\", "\\\\").replace("\n", "\\n").replace('"', '\\"')
