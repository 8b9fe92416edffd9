"""What a function did wrong, turned back into an error with a status, for wires that have no function errors."""

from __future__ import annotations

import json

from firstlight.invoke.types import Reply
from firstlight.runtime.errors import FirstlightError


class FunctionFailed(FirstlightError):
    """The function answered an error, timed out or broke off.

    Args:
        message: the error's own message.
        hint: its hint, empty for a foreign exception.
        kind: its ``errorType``.
        status: its HTTP status: its own where it has one, 504 for a timeout, else 500.
        request_id: of the invocation, to find it in the log.
    """

    code = "function-failed"

    def __init__(self, message: str, hint: str = "", *, kind: str, status: int, request_id: str) -> None:
        super().__init__(message, hint)
        self.kind = kind
        self.status = status
        self.request_id = request_id


def of_reply(reply: Reply) -> FunctionFailed:
    """The error in a reply whose ``function_error`` is set."""
    try:
        body = json.loads(reply.payload)
    except ValueError:
        body = None
    if not isinstance(body, dict):
        body = {"errorMessage": reply.payload[:1000].decode("utf-8", "replace")}
    kind = str(body.get("errorType") or "Unhandled")
    status = body.get("status")
    if not isinstance(status, int) or isinstance(status, bool) or not 400 <= status <= 599:
        status = 504 if kind == "Sandbox.Timedout" else 500
    return FunctionFailed(
        str(body.get("errorMessage") or "the function failed and said nothing"),
        str(body.get("hint") or ""),
        kind=kind,
        status=status,
        request_id=reply.request_id,
    )
