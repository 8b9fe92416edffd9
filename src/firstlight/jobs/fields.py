"""A job as flat values and bodies, as every adapter keeps it: text and numbers beside up to three runs of bytes.

Adapters read the flat values to find and to list jobs; bodies (up to 6 MB each) are read only with the whole job.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, fields, replace
from typing import Any

from firstlight.jobs.types import Condition, Job, JobEvent, Kind, Request, Result, Status, Webhook
from firstlight.runtime.errors import InvalidInput

Flat = str | int | float | None

BODIES = ("payload", "partial", "answer")
"""What is kept apart: the job's payload, its partial answer (UTF-8), the body of its result."""
FLAT = tuple(field.name for field in fields(Job) if field.name not in BODIES)
"""The fields of a job that are flat values; ``result`` without its body."""
_FIXED = frozenset({"id", "kind", "endpoint", "payload", "created", "revision"})
"""What a change cannot touch."""


def flat(values: Mapping[str, Any]) -> dict[str, Flat]:
    """The flat values of some fields of a job, by the fields' names."""
    return {name: _ENCODERS.get(name, _plain)(value) for name, value in values.items() if name not in BODIES}


def bodies(values: Mapping[str, Any]) -> dict[str, bytes]:
    """The bodies of some fields of a job, by the names in ``BODIES``; empty where there is none of it."""
    found: dict[str, bytes] = {}
    if "payload" in values:
        found["payload"] = values["payload"]
    if "partial" in values:
        found["partial"] = values["partial"].encode("utf-8", "surrogatepass")
    if "result" in values:
        found["answer"] = values["result"].body if values["result"] else b""
    return found


def job_from(values: Mapping[str, Any], parts: Mapping[str, bytes]) -> Job:
    """The job that was kept.

    Args:
        values: its flat values, by the names in ``FLAT``.
        parts: its bodies, by the names in ``BODIES``; one that is missing is empty.
    """
    decoded = {name: _DECODERS[name](value) if name in _DECODERS else value for name, value in values.items()}
    if decoded["result"] is not None and parts.get("answer"):
        decoded["result"] = replace(decoded["result"], body=bytes(parts["answer"]))
    partial = bytes(parts.get("partial") or b"").decode("utf-8", "surrogatepass")
    return Job(**decoded, payload=bytes(parts.get("payload") or b""), partial=partial)


def all_of(job: Job) -> dict[str, Any]:
    """Every field of a job by its name."""
    return {field.name: getattr(job, field.name) for field in fields(job)}


def changed(job: Job, values: dict[str, Any]) -> tuple[Job, dict[str, Any]]:
    """A job after a change, and the fields that change with it: a job that is not processing has no owner.

    Raises:
        TypeError: a field that does not exist or cannot change.
    """
    if fixed := _FIXED & values.keys():
        raise TypeError(f"a job keeps its {', '.join(sorted(fixed))}")
    if values.get("status", Status.PROCESSING) != Status.PROCESSING:
        values = {**values, "owner": "", "lease": 0.0}
    values = {**values, "revision": job.revision + 1}
    return replace(job, **values), values


def place_of(cursor: str | None) -> int | None:
    """The place in the order of arrival that a cursor names: that of the last job of the page before.

    Raises:
        InvalidInput: it is none.
    """
    if cursor is None:
        return None
    if not (cursor.isascii() and cursor.isdigit() and len(cursor) < 20 and int(cursor) < 2**63):
        raise InvalidInput("the cursor is not one that a list of jobs gave", "begin without a cursor")
    return int(cursor)


def encoded_event(event: JobEvent) -> str:
    """The particulars of an event as JSON."""
    return _json(event.data)


def event_from(number: int, kind: str, text: str, time: float) -> JobEvent:
    """The event that was kept."""
    return JobEvent(number, kind, json.loads(text), time)


def text(value: str) -> str:
    """A text that can be kept: half of a surrogate pair, which JSON may carry, has no form in UTF-8."""
    return value if value.isascii() else value.encode("utf-8", "replace").decode("utf-8")


def _plain(value: Any) -> Flat:
    return text(value) if isinstance(value, str) else value


def _json(value: Any) -> str:
    return json.dumps(value, separators=(",", ":"), default=str)


def _optional(encode: Callable[[Any], str]) -> Callable[[Any], Flat]:
    return lambda value: None if value is None else encode(value)


def _result(value: Result) -> str:
    known = {field.name: getattr(value, field.name) for field in fields(value) if field.name != "body"}
    return _json({**known, "metrics": dict(value.metrics)})


def _decoded_result(text: str | None) -> Result | None:
    if text is None:
        return None
    known = json.loads(text)
    return Result(**{**known, "headers": tuple((name, value) for name, value in known.get("headers", ()))})


def _decoded_request(text: str | None) -> Request | None:
    if text is None:
        return None
    known = json.loads(text)
    return Request(**{**known, "headers": tuple((name, value) for name, value in known["headers"])})


def _decoded_webhook(text: str | None) -> Webhook | None:
    if text is None:
        return None
    known = json.loads(text)
    return Webhook(known["url"], tuple(known["events"]))


_ENCODERS: dict[str, Callable[[Any], Flat]] = {
    "kind": str,
    "status": str,
    "condition": str,
    "request": _optional(lambda value: _json(asdict(value))),
    "webhook": _optional(lambda value: _json(asdict(value))),
    "result": _optional(_result),
    "told": _json,
}
_TIMES = ("created", "due", "give_up", "lease", "started", "completed", "keep_until")
_DECODERS: dict[str, Callable[[Any], Any]] = {
    **dict.fromkeys(_TIMES, lambda value: None if value is None else float(value)),
    "kind": Kind,
    "status": Status,
    "condition": Condition,
    "request": _decoded_request,
    "webhook": _decoded_webhook,
    "result": _decoded_result,
    "told": lambda text: tuple(json.loads(text)),
}
