"""Errors as AWS's runtime describes them."""

import builtins
import re
from pathlib import Path
from typing import Any

import pytest

from firstlight.runtime import faults, request
from firstlight.runtime.errors import BundleError, InvalidInput
from firstlight.runtime.faults import Fault


def caught(call) -> BaseException:
    with pytest.raises(BaseException) as found:  # noqa: PT011 - any
        call()
    return found.value


def test_a_users_mistake_has_no_stack_trace() -> None:
    error = caught(lambda: request.read({}))
    assert faults.describe(error, "id") == {
        "errorMessage": 'the request has no "inputs"',
        "errorType": "InvalidInput",
        "stackTrace": [],
        "code": "invalid-input",
        "status": 400,
        "hint": 'send {"inputs": ..., "parameters": {...}}',
        "requestId": "id",
    }


def test_frames_begin_in_the_users_code() -> None:
    def users(payload: object) -> None:
        request.read(payload)

    frames = faults.frames(caught(lambda: users({})).__traceback__)
    assert [re.search(r"in (\S+)", frame).group(1) for frame in frames] == [
        "caught",
        "<lambda>",
        "users",
        "read",
        "_inputs",
    ]
    assert all(frame.endswith("\n") for frame in frames)


def test_frames_of_our_own_are_shown_only_where_there_are_no_others() -> None:
    trace = caught(lambda: request.read({})).__traceback__
    while trace.tb_next is not None and trace.tb_frame.f_code.co_name != "read":
        trace = trace.tb_next
    assert len(faults.frames(trace)) == 2
    assert faults.frames(trace, whole=False) == []


def test_a_long_recursion_is_folded() -> None:
    def again() -> None:
        again()

    frames = faults.frames(caught(again).__traceback__)
    assert len(frames) < 20
    assert "Previous line repeated" in "".join(frames)


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (ValueError(), "Function.ValueError"),
        (BundleError("x"), "Function.BundleError"),
        (Fault("Runtime.MarshalError", "x"), "Runtime.MarshalError"),
        (type("lower", (Exception,), {})(), "Function.Unhandled"),
        (type("Err0r", (Exception,), {})(), "Function.Unhandled"),
        (type("Größe", (Exception,), {})(), "Function.Unhandled"),
    ],
)
def test_kinds_are_such_as_lambda_takes(error: Exception, kind: str) -> None:
    assert faults.kind(error) == kind
    assert re.fullmatch(r"(Runtime|Function)\.[A-Z][a-zA-Z]+", kind)


def test_a_cause_for_xray_is_one_line_of_ascii() -> None:
    cause = faults.xray_cause(caught(lambda: int("é\n")))
    assert cause.isascii()
    assert "\n" not in cause
    assert '"type": "ValueError"' in cause
    assert str(Path(__file__)) in cause
    assert faults.xray_cause(ValueError("x" * 20_000)) == "", "a cause that is too long is left out"


def test_a_fault_shows_its_hint_and_its_frames() -> None:
    described = faults.describe(Fault("Runtime.X", "what", "do", ("frame",)))
    assert described == {
        "errorMessage": "what",
        "errorType": "Runtime.X",
        "stackTrace": ["frame"],
        "hint": "do",
        "requestId": "",
    }
    assert isinstance(Fault("Runtime.X", "what"), Exception)
    assert InvalidInput("x").status == 400


def test_a_trace_where_no_file_can_be_opened_any_more(monkeypatch: pytest.MonkeyPatch) -> None:
    """The module that formats traces is imported when it is first needed."""
    imported = builtins.__import__

    def none_left(name: str, *rest: Any) -> Any:
        if name == "traceback":
            raise OSError(24, "Too many open files")
        return imported(name, *rest)

    error = caught(lambda: int("x"))
    monkeypatch.setattr(builtins, "__import__", none_left)
    described = faults.describe(error)
    cause = faults.xray_cause(error)
    monkeypatch.undo()
    whole = faults.describe(error)["stackTrace"]
    assert described["stackTrace"] == [frame.splitlines(keepends=True)[0] for frame in whole]
    assert "in <lambda>" in described["stackTrace"][-1]
    assert '"label": "<lambda>"' in cause
