"""The words of a Lambda function error and of its log."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from firstlight.invoke import outcomes
from firstlight.invoke.types import Report


@pytest.mark.parametrize(("status", "text"), [
    (0, "Runtime exited without providing a reason"),
    (1, "Runtime exited with error: exit status 1"),
    (-9, "Runtime exited with error: signal: killed"),
    (-6, "Runtime exited with error: signal: aborted"),
    (-4, "Runtime exited with error: signal: illegal instruction"),
    (-64, "Runtime exited with error: signal: 64"),
])  # fmt: skip
def test_exit(status: int, text: str) -> None:
    assert outcomes.exit_text(status) == text
    assert json.loads(outcomes.exit_error("r", status)) == {
        "errorType": "Runtime.ExitError",
        "errorMessage": f"RequestId: r Error: {text}",
    }


def test_timeout() -> None:
    assert json.loads(outcomes.timed_out("r", 3)) == {
        "errorType": "Sandbox.Timedout",
        "errorMessage": "RequestId: r Error: Task timed out after 3.00 seconds",
    }


def test_report_line() -> None:
    report = Report(duration_ms=97.826, billed_ms=98, memory_mb=1769, max_memory_mb=22)
    assert outcomes.end_lines("r", report) == (
        "END RequestId: r\nREPORT RequestId: r\tDuration: 97.83 ms\tBilled Duration: 98 ms\t"
        "Memory Size: 1769 MB\tMax Memory Used: 22 MB\t\n"
    )
    report.init_ms = 372.3
    assert outcomes.end_lines("r", report).endswith("Max Memory Used: 22 MB\tInit Duration: 372.30 ms\t\n")


@given(st.floats(0, 1e6), st.one_of(st.none(), st.floats(0, 1e5)))
def test_billed_is_whole_milliseconds_with_the_init(duration: float, init: float | None) -> None:
    billed = outcomes.billed_ms(duration, init)
    assert billed >= duration + (init or 0)
    assert billed - 1 < duration + (init or 0)


@given(st.binary())
def test_any_bytes_have_an_error_type(body: bytes) -> None:
    assert isinstance(outcomes.error_type(body), str)


@pytest.mark.parametrize(("body", "expected"), [
    (b'{"errorType":"MemoryError","errorMessage":""}', True),
    (b'{"errorType":"ValueError","errorMessage":"MemoryError"}', False),
    (b'["MemoryError"]', False),
    (b'{"errorType":["MemoryError"]}', False),
    (b"MemoryError", False),
])  # fmt: skip
def test_memory_error(body: bytes, expected: bool) -> None:
    assert outcomes.is_memory_error(body) is expected
