"""Notes of a worker: whatever it sends, the pool goes on."""

from __future__ import annotations

import asyncio
import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from firstlight.invoke.assignments import Assignment, Cold, parse_notes
from firstlight.invoke.types import Invocation

anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


@given(st.binary())
def test_any_bytes(notes: bytes) -> None:
    parse_notes(notes)


@given(anything, st.sampled_from(("timings", "counts", "warnings")))
def test_any_json(value: object, name: str) -> None:
    sent = json.dumps({"timings": {"a": 1}, "counts": {"b": 2}, "warnings": ["c"], name: value})
    figures, numbers, texts = parse_notes(sent.encode())
    assert all(isinstance(name, str) and math.isfinite(ms) for name, ms in figures.items())
    assert all(isinstance(name, str) and type(number) is int for name, number in numbers.items())
    assert all(isinstance(text, str) for text in texts)


@pytest.mark.parametrize("deep", [b"[" * 100_000, b'{"timings":' * 50_000])
def test_deep_nesting(deep: bytes) -> None:
    assert parse_notes(deep) == ({}, {}, [])


@given(
    st.dictionaries(st.text(), st.floats(0, 1e6)),
    st.dictionaries(st.text(), st.integers()),
    st.lists(st.text()),
)
def test_what_was_sent_arrives(
    timings: dict[str, float], counts: dict[str, int], warnings: list[str]
) -> None:
    sent = json.dumps({"timings": timings, "counts": counts, "warnings": warnings})
    assert parse_notes(sent.encode()) == (timings, counts, warnings)


async def test_the_report_of_a_job() -> None:
    assignment = Assignment(Invocation("f", b""), asyncio.get_running_loop().create_future())
    assignment.note(b'{"timings":{"load":5}}')
    assignment.note(b'{"timings":{"engine":2},"warnings":["cut"]}')
    assignment.queued_at, assignment.started_at = 10.0, 10.5
    report = assignment.measure(10.75, 128, 64, Cold(400.0))
    assert (report.queue_ms, report.duration_ms, report.billed_ms) == (500.0, 250.0, 650)
    assert report.cold
    assert report.timings == {"load": 5.0, "engine": 2.0}
    assert report.warnings == ["cut"]
    assignment.deliver()
    assert (await assignment.waiter).report is report


async def test_a_caller_that_is_gone_gets_nothing() -> None:
    assignment = Assignment(Invocation("f", b""), asyncio.get_running_loop().create_future())
    assignment.waiter.cancel()
    assignment.deliver()
    assignment.refuse(ValueError())
    assert assignment.waiter.cancelled()
