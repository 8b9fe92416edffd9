"""Errors of ``/v1/jobs``: ``{"error", "code", "hint"}`` with the error's status."""

from __future__ import annotations

import json
from typing import Any

from firstlight.gateway.asgi import Answer, Call, HeaderList, json_answer
from firstlight.gateway.jobs.inside import Collected
from firstlight.runtime.errors import (
    EndpointNotFound,
    FirstlightError,
    InvalidInput,
    PayloadTooLarge,
    UnsupportedMedia,
)

_CODES = {
    kind.status: kind.code for kind in (InvalidInput, EndpointNotFound, PayloadTooLarge, UnsupportedMedia)
}


class NotAllowed(FirstlightError):
    """The path exists with another method.

    Args:
        methods: those it has.
    """

    code = "method-not-allowed"
    status = 405

    def __init__(self, message: str, hint: str, methods: str) -> None:
        super().__init__(message, hint)
        self.methods = methods


class Refused(FirstlightError):
    """A wire refused the request that a job is to run.

    Args:
        status: the wire's.
        retry_after: what it said with it.
    """

    def __init__(self, message: str, status: int, retry_after: str = "") -> None:
        super().__init__(message)
        self.status = status
        self.code = _CODES.get(status, "request-refused")
        self.retry_after = retry_after


def refused(found: Collected) -> Refused:
    """The refusal in a response, in whichever shape its wire words errors."""
    try:
        body: Any = json.loads(found.body)
    except ValueError:
        body = None
    text = ""
    if isinstance(body, dict):
        said = body.get("error", body.get("message"))
        text = str(said.get("message") if isinstance(said, dict) else said)
    return Refused(
        text or f"the request was refused with status {found.status}",
        found.status if found.status >= 400 else 500,
        found.header(b"retry-after"),
    )


def explain(error: FirstlightError, _call: Call) -> Answer:
    """An error as a response."""
    headers: HeaderList = []
    if isinstance(error, NotAllowed):
        headers.append((b"allow", error.methods.encode()))
    if error.status == 429:
        headers.append((b"retry-after", str(getattr(error, "retry_after", "") or 1).encode()))
    if error.status == 401:
        headers.append((b"www-authenticate", b"Bearer"))
    body = {"error": error.message, "code": error.code, "hint": error.hint}
    return json_answer(body, error.status, headers)
