"""How an invocation that went wrong is answered, and how its log reads: the words of AWS Lambda.

Shapes: Lambda's function errors (HTTP 200 with X-Amz-Function-Error) and the START, END, REPORT and INIT_REPORT lines.
"""

from __future__ import annotations

import json
import math
import sys
from dataclasses import dataclass

from firstlight.invoke.types import LATEST, RESPONSE_LIMIT, STREAM_LIMIT, Report

_SIGNALS = {
    1: "hangup",
    2: "interrupt",
    3: "quit",
    4: "illegal instruction",
    6: "aborted",
    7: "bus error",
    8: "floating point exception",
    9: "killed",
    11: "segmentation fault",
    13: "broken pipe",
    15: "terminated",
}

CANCELLED_TEXT = "the caller went away, so the work was ended"
"""The log line of an invocation that nobody waited for any more."""

UNHEARD_TEXT = "the worker went on all the same, and was ended"
"""The log line of an abandoned invocation whose worker had to be killed."""


def exit_text(status: int) -> str:
    """How a process ended, as Go words it.

    Args:
        status: exit code, or the negative number of the signal that ended it.
    """
    if status < 0:
        return f"Runtime exited with error: signal: {_SIGNALS.get(-status, str(-status))}"
    if status == 0:
        return "Runtime exited without providing a reason"
    return f"Runtime exited with error: exit status {status}"


def exit_error(request_id: str, status: int) -> bytes:
    """The answer when the worker ended in the middle of an invocation, or in its init."""
    return _error("Runtime.ExitError", f"RequestId: {request_id} Error: {exit_text(status)}")


def out_of_memory(request_id: str) -> bytes:
    """The answer when the worker was stopped because it used more memory than its endpoint may."""
    return _error("Runtime.OutOfMemory", f"RequestId: {request_id} Error: {exit_text(-9)}")


def timed_out(request_id: str, timeout_s: float) -> bytes:
    """The answer when the deadline passed."""
    return _error("Sandbox.Timedout", f"RequestId: {request_id} Error: {timeout_text(timeout_s)}")


def timeout_text(timeout_s: float) -> str:
    return f"Task timed out after {timeout_s:.2f} seconds"


def too_large(limit: int = RESPONSE_LIMIT) -> bytes:
    """The answer when the function's answer has more bytes than Lambda carries."""
    return _error(
        "Function.ResponseSizeTooLarge",
        f"Response payload size exceeded maximum allowed payload size ({limit} bytes).",
    )


def stream_error(kind: str) -> bytes:
    """The error of a stream that broke off without saying more than its type."""
    if kind == "Function.ResponseSizeTooLarge":
        return too_large(STREAM_LIMIT)
    return _error(kind, "the stream of the answer was broken off")


def memory_text(limit_mb: int) -> str:
    """The log line that says why a worker was stopped."""
    return (
        f"memory: the worker used more than its {limit_mb} MB and was stopped; raise `memory` of the endpoint"
    )


def is_memory_error(body: bytes) -> bool:
    """Whether a function error is Python's own word for "no more memory"."""
    return b"MemoryError" in body[:65536] and error_type(body) == "MemoryError"


def error_type(body: bytes) -> str:
    """``errorType`` of a function error, empty where it has none."""
    try:
        error = json.loads(body)
    except (ValueError, RecursionError):
        return ""
    kind = error.get("errorType") if isinstance(error, dict) else None
    return kind if isinstance(kind, str) else ""


@dataclass(frozen=True, slots=True)
class InitFailure:
    """Why a worker never became ready: the answer to those who wait.

    Args:
        outcome: ``error``, ``timeout`` or ``crash``.
        body: the error the worker told; None makes one from the rest.
        status: how the process ended; None where it was stopped for its time.
        memory: it was stopped for its memory.
        log: the end of what it wrote.
    """

    outcome: str
    body: bytes | None = None
    status: int | None = None
    memory: bool = False
    log: bytes = b""

    def text(self, took_s: float) -> str:
        """The log line that says why, empty where the worker or another line has said it."""
        if self.body is not None or self.memory:
            return ""
        if self.status is not None:
            return f"init: {exit_text(self.status)}"
        return f"init: stopped after {took_s:.1f} s without being ready; raise `timeout` of the endpoint"

    def reason(self) -> str:
        """Why, in a line."""
        if self.body is not None:
            return error_type(self.body) or "the init failed"
        return self.text(0.0) if self.status is not None else self.outcome

    def answer(self, request_id: str, timeout_s: float) -> bytes:
        """The function error for one invocation."""
        if self.body is not None:
            return self.body
        if self.memory:
            return out_of_memory(request_id)
        if self.status is not None:
            return exit_error(request_id, self.status)
        return timed_out(request_id, timeout_s)


def start_line(request_id: str, version: str = LATEST) -> str:
    """START, as Lambda writes it before each invocation."""
    return f"START RequestId: {request_id} Version: {version}\n"


def end_lines(request_id: str, report: Report, ending: str = "") -> str:
    """END and REPORT, as Lambda writes them after each invocation; ``Init Duration`` only after a cold start.

    A worker that was restored from a snapshot has ``Restore Duration`` instead (SnapStart).

    Args:
        ending: what ``ending`` says of an invocation that the platform had to end.
    """
    init = "" if report.init_ms is None else f"Init Duration: {report.init_ms:.2f} ms\t"
    if report.restore_ms is not None:
        billed = math.ceil(report.restore_ms)
        init = f"Restore Duration: {report.restore_ms:.2f} ms\tBilled Restore Duration: {billed} ms\t"
    return (
        f"END RequestId: {request_id}\n"
        f"REPORT RequestId: {request_id}\t"
        f"Duration: {report.duration_ms:.2f} ms\tBilled Duration: {report.billed_ms} ms\t"
        f"Memory Size: {report.memory_mb} MB\tMax Memory Used: {report.max_memory_mb} MB\t{init}{ending}\n"
    )


def ending(outcome: str, body: bytes) -> str:
    """The end of the REPORT line of an invocation whose worker did not live through it; empty for all others.

    Args:
        outcome: as in ``Reply``.
        body: the error it was answered with.
    """
    if outcome == "timeout":
        return "Status: timeout"
    return f"Status: error\tError Type: {error_type(body)}" if outcome == "crash" else ""


def init_line(init_ms: float) -> str:
    """What Lambda writes when an init nobody waited for is over (provisioned concurrency, SnapStart)."""
    return f"INIT_REPORT Init Duration: {init_ms:.2f} ms\n"


def restore_lines(restore_ms: float) -> str:
    """What Lambda writes when a worker was restored from a snapshot."""
    version = f"python:{sys.version_info.major}.{sys.version_info.minor}"
    return f"RESTORE_START Runtime Version: {version}\nRESTORE_REPORT Restore Duration: {restore_ms:.2f} ms\n"


def init_report_line(init_ms: float, status: str, kind: str, early: bool = False) -> str:
    """What Lambda writes when an init did not succeed.

    Args:
        early: no invocation waited for it.
    """
    phase = "init" if early else "invoke"
    return (
        f"INIT_REPORT Init Duration: {init_ms:.2f} ms\tPhase: {phase}\tStatus: {status}\tError Type: {kind}\n"
    )


def billed_ms(duration_ms: float, init_ms: float | None) -> int:
    """Milliseconds billed: rounded up, the init included (as AWS bills all functions since August 2025)."""
    return math.ceil(duration_ms + (init_ms or 0.0))


def _error(kind: str, message: str) -> bytes:
    return json.dumps({"errorType": kind, "errorMessage": message}, separators=(",", ":")).encode()
