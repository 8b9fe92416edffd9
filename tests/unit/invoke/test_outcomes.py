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


@pytest.mark.parametrize(
    ("outcome", "expected"),
    [
        ("ok", ""),
        ("error", ""),
        ("timeout", "Status: timeout"),
        ("crash", "Status: error\tError Type: Runtime.ExitError"),
    ],
)
def test_the_report_says_how_it_ended(outcome: str, expected: str) -> None:
    ending = outcomes.ending(outcome, outcomes.exit_error("r", 1))
    assert ending == expected
    assert outcomes.end_lines("r", Report(), ending).endswith(f"Max Memory Used: 0 MB\t{expected}\n")


@pytest.mark.parametrize(("early", "phase"), [(True, "init"), (False, "invoke")])
def test_the_phase_of_an_init_that_failed(early: bool, phase: str) -> None:
    line = outcomes.init_report_line(1.234, "error", "Runtime.ExitError", early)
    assert line == (
        f"INIT_REPORT Init Duration: 1.23 ms\tPhase: {phase}\tStatus: error\tError Type: Runtime.ExitError\n"
    )


def test_the_lines_of_a_worker_that_was_restored() -> None:
    report = Report(duration_ms=1.5, billed_ms=13, memory_mb=128, max_memory_mb=64, restore_ms=10.25)
    assert outcomes.end_lines("r", report) == (
        "END RequestId: r\nREPORT RequestId: r\tDuration: 1.50 ms\tBilled Duration: 13 ms\tMemory Size: 128 MB\t"
        "Max Memory Used: 64 MB\tRestore Duration: 10.25 ms\tBilled Restore Duration: 11 ms\t\n"
    )
    start, restored = outcomes.restore_lines(10.25).splitlines()
    assert start.startswith("RESTORE_START Runtime Version: python:3.")
    assert restored == "RESTORE_REPORT Restore Duration: 10.25 ms"


def test_a_version_has_its_number_in_the_log() -> None:
    assert outcomes.start_line("r", "3") == "START RequestId: r Version: 3\n"
    assert outcomes.start_line("r") == "START RequestId: r Version: $LATEST\n"


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
