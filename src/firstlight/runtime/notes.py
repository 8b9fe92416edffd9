"""What one invocation says about itself besides its answer: timings in milliseconds, counts, and warnings.

A worker answers one invocation at a time, so the notes of the current one are a module's state: tasks and user
scripts write them without being handed an object, the worker takes them when the answer leaves.
"""

from __future__ import annotations

from time import perf_counter_ns

MOST_WARNINGS = 100
"""A process that is no worker never forgets its notes; they must not fill it."""

timings: dict[str, float] = {}
counts: dict[str, int] = {}
warnings: list[str] = []


def clear() -> None:
    """Forget the notes of the invocation before."""
    timings.clear()
    counts.clear()
    warnings.clear()


def since(name: str, start_ns: int) -> int:
    """Add the time since ``start_ns`` (a ``perf_counter_ns`` reading) to timing ``name``; return the time now."""
    now = perf_counter_ns()
    timings[name] = timings.get(name, 0.0) + (now - start_ns) / 1e6
    return now


def count(name: str, number: int) -> None:
    """Add to a count, such as ``prompt_tokens`` or ``generated_tokens``."""
    counts[name] = counts.get(name, 0) + number


def warn(text: str) -> None:
    """Say something the caller should know and the answer cannot carry, such as a truncated input."""
    if text not in warnings and len(warnings) < MOST_WARNINGS:
        warnings.append(text)
