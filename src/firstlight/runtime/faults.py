"""What went wrong in a function, in the shape AWS Lambda's Python runtime reports it.

``{"errorMessage", "errorType", "requestId", "stackTrace"}``; the stack trace has one formatted frame per entry and
begins in the user's code: frames of this runtime and of the import system before it are dropped.
"""

from __future__ import annotations

from firstlight.runtime import jsons
from firstlight.runtime.errors import FirstlightError, HandlerError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import TracebackType
    from typing import Any

_OWN = __file__[: -len("faults.py")]
_CAUSE_LIMIT = 16_384
"""Bytes of the X-Ray header; Lambda drops causes that are too long rather than cutting them."""


class Fault(HandlerError):
    """Something the runtime itself refuses, by the name AWS gives it.

    Args:
        kind: such as ``Runtime.ImportModuleError``.
        trace: frames to show, already formatted.
    """

    def __init__(self, kind: str, message: str, hint: str = "", trace: tuple[str, ...] = ()) -> None:
        super().__init__(message, hint)
        self.kind = kind
        self.trace = trace

    def as_json(self) -> dict[str, object]:
        """The error as AWS's runtime would give it, and our hint where there is one."""
        error: dict[str, object] = {
            "errorMessage": self.message,
            "errorType": self.kind,
            "stackTrace": list(self.trace),
        }
        if self.hint:
            error["hint"] = self.hint
        return error


def describe(error: BaseException, request_id: str = "") -> dict[str, Any]:
    """The JSON body of a function error."""
    if isinstance(error, FirstlightError):
        return {**error.as_json(), "requestId": request_id}
    return {
        "errorMessage": _message(error),
        "errorType": type(error).__name__,
        "requestId": request_id,
        "stackTrace": frames(error.__traceback__),
    }


def _message(error: BaseException) -> str:
    try:
        return str(error)
    except Exception:  # an exception class of the user's whose own __str__ fails
        return ""


def kind(error: BaseException) -> str:
    """Value of ``Lambda-Runtime-Function-Error-Type``: ``(Runtime|Function).Reason``, letters only."""
    if isinstance(error, Fault):
        return error.kind
    name = type(error).__name__
    return (
        f"Function.{name}"
        if name.isascii() and name.isalpha() and name[0].isupper()
        else "Function.Unhandled"
    )


def frames(trace: TracebackType | None, whole: bool = True) -> list[str]:
    """The frames of a traceback as text, the outermost of the user's code first.

    Args:
        whole: show all frames where none is the user's (a bug of our own) instead of none.
    """
    found = _found(trace)
    start = 0
    while start < len(found) and _is_ours(found[start][0]):
        start += 1
    shown = found[start:] or (found if whole else [])
    try:
        from traceback import format_list
    except OSError:
        return [f'  File "{file}", line {number}, in {name}\n' for file, number, name, _ in shown]
    return format_list(shown)


def _found(trace: TracebackType | None) -> list[tuple[str, int, str, str | None]]:
    """File, line, function and text of every frame; without the texts where no file can be opened any more."""
    try:
        from traceback import extract_tb
    except OSError:
        bare: list[tuple[str, int, str, str | None]] = []
        while trace is not None:
            code = trace.tb_frame.f_code
            bare.append((code.co_filename, trace.tb_lineno, code.co_name, None))
            trace = trace.tb_next
        return bare
    return [(frame.filename, frame.lineno or 0, frame.name, frame.line) for frame in extract_tb(trace)]


def xray_cause(error: BaseException) -> str:
    """The error as X-Ray draws it, JSON; empty when it is too long for a header."""
    import os

    stack = [
        {"label": name, "path": file, "line": number}
        for file, number, name, _ in _found(error.__traceback__)
        if not _is_ours(file)
    ]
    name = "LambdaValidationError" if isinstance(error, Fault) else type(error).__name__
    cause = jsons.dumps(
        {
            "working_directory": os.getcwd(),  # noqa: PTH109 - pathlib is not imported on this path
            "exceptions": [{"message": _message(error), "type": name, "stack": stack}],
            "paths": sorted({str(frame["path"]) for frame in stack}),
        }
    )
    return cause if len(cause) <= _CAUSE_LIMIT else ""


def _is_ours(filename: str) -> bool:
    return filename.startswith((_OWN, "<frozen "))
