"""A job as JSON, the same for whoever asks for it and for whoever is told of it by a webhook.

The words are those of Cog's and Replicate's predictions (their HTTP APIs, "prediction object").
"""

from __future__ import annotations

import base64
import json
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote

from firstlight.jobs.types import Job, Kind, Result

LOG_LINES = (
    "START RequestId:",
    "END RequestId:",
    "REPORT RequestId:",
    "INIT_START ",
    "INIT_REPORT ",
    "RESTORE_",
)
"""What the platform's own lines of a log start with; the rest was written by the function."""


def rendered(job: Job, base: str = "") -> dict[str, Any]:
    """The job as it is shown.

    Args:
        base: what comes before the paths of its URLs, such as ``http://127.0.0.1:8400``.
    """
    place = f"{base}/v1/jobs/{quote(job.id, safe='')}"
    result = job.result
    return {
        "id": job.id,
        "status": job.status.value,
        "endpoint": job.endpoint,
        "kind": job.kind.value,
        "urls": {"get": place, "cancel": f"{place}/cancel", "stream": f"{place}/stream"},
        "created_at": moment(job.created),
        "started_at": moment(job.started),
        "completed_at": moment(job.completed),
        "attempts": job.attempts,
        "interrupted": job.interrupted,
        "input": _content(job.payload, _request_type(job)),
        "output": None if result is None or failed(result) else _content(result.body, result.content_type),
        "partial": job.partial or None,
        "error": problem(job),
        "condition": job.condition.value or None,
        "metrics": dict(result.metrics) if result is not None else {},
        "logs": written(result.log) if result is not None else "",
        "webhook": job.webhook.url if job.webhook is not None else None,
    }


def moment(time: float | None) -> str | None:
    """Seconds since the epoch in ISO 8601, UTC, milliseconds; None stays None."""
    if time is None:
        return None
    return datetime.fromtimestamp(time, UTC).strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3] + "Z"


def failed(result: Result) -> bool:
    """Whether an answer is an error."""
    return result.function_error is not None or result.status >= 400


def problem(job: Job) -> str | None:
    """What went wrong, in a sentence; None where nothing did."""
    if job.error:
        return job.error
    return error_text(job.result) if job.result is not None and failed(job.result) else None


def error_text(result: Result) -> str:
    """What an answer that is an error says: the ``errorMessage`` of a function, or the error of a route."""
    try:
        body = json.loads(result.body)
    except (ValueError, RecursionError):
        body = None
    text = _message(body)
    return text or result.body[:1000].decode("utf-8", "replace") or f"status {result.status}"


def written(log: str) -> str:
    """A log without the platform's own lines."""
    return "".join(line for line in log.splitlines(keepends=True) if not line.startswith(LOG_LINES))


def _message(body: Any) -> str:
    if not isinstance(body, dict):
        return ""
    for key in ("errorMessage", "error", "message", "Message"):
        value = body.get(key)
        if isinstance(value, dict):
            value = value.get("message")
        if isinstance(value, str) and value:
            return value
    return ""


def _request_type(job: Job) -> str:
    if job.kind is not Kind.REQUEST or job.request is None:
        return "application/json"
    return dict(job.request.headers).get("content-type", "application/json")


def _content(body: bytes, kind: str) -> Any:
    """Bytes as JSON can carry them: parsed where they are JSON, text where they are text, else a ``data:`` URL."""
    if not body:
        return None
    if kind.startswith("text/"):
        return body.decode("utf-8", "replace")
    try:
        return json.loads(body, parse_constant=lambda _: None)
    except (ValueError, RecursionError):
        pass
    try:
        return body.decode("utf-8")
    except UnicodeDecodeError:
        mime = kind.partition(";")[0].strip() or "application/octet-stream"
        return f"data:{mime};base64,{base64.b64encode(body).decode()}"
