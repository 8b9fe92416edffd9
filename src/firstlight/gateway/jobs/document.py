"""``/v1/jobs`` as a part of ``/openapi.json``, and what inference routes say of jobs."""

from __future__ import annotations

from typing import Any

from firstlight.gateway.jobs import kept
from firstlight.gateway.patience import EVENTS
from firstlight.jobs.types import Status

Schema = dict[str, Any]

_TAG = ["Jobs"]
_STATUSES = [status.value for status in Status]
_TEXT: Schema = {"type": ["string", "null"]}
JOB: Schema = {
    "type": "object",
    "required": ["id", "status", "urls"],
    "properties": {
        "id": {"type": "string"},
        "status": {"type": "string", "enum": _STATUSES},
        "endpoint": {"type": "string"},
        "kind": {"type": "string", "enum": ["request", "event"]},
        "urls": {
            "type": "object",
            "properties": {name: {"type": "string"} for name in ("get", "cancel", "stream")},
        },
        "created_at": {"type": "string", "format": "date-time"},
        "started_at": {"type": ["string", "null"], "format": "date-time"},
        "completed_at": {"type": ["string", "null"], "format": "date-time"},
        "attempts": {"type": "integer"},
        "interrupted": {"type": "integer"},
        "input": {"description": "What was asked; where inputs=true asks for it."},
        "output": {"description": "The answer of a job that succeeded."},
        "partial": {**_TEXT, "description": "What there is of an answer that is not complete."},
        "error": _TEXT,
        "condition": _TEXT,
        "metrics": {"type": "object"},
        "logs": {"type": "string"},
        "webhook": _TEXT,
    },
}
_WANTED: Schema = {
    "type": "object",
    "additionalProperties": False,
    "properties": {
        "endpoint": {"type": "string"},
        "model": {"type": "string"},
        "inputs": {},
        "parameters": {"type": "object"},
        "stream": {"type": "boolean"},
        "input": {"description": "The event of a script, or the inputs of a task."},
        "request": {
            "type": "object",
            "required": ["path", "body"],
            "properties": {"path": {"type": "string"}, "body": {}, "headers": {"type": "object"}},
        },
        "webhook": {"type": "string", "format": "uri"},
        "webhook_events_filter": {"type": "array", "items": {"enum": list(kept.EVENTS)}},
        "id": {},
        "version": {},
    },
}
ACCEPTED: Schema = {
    "description": "With Prefer: respond-async. The job that was made of the request.",
    "headers": {"Location": {"schema": {"type": "string"}}, "Retry-After": {"schema": {"type": "integer"}}},
    "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Job"}}},
}


def headers() -> list[Schema]:
    """The headers by which an inference route is asked for a job."""
    return [
        _header(
            "Prefer",
            "`respond-async` takes a job for an answer; `respond-async, wait=20` if it takes longer.",
        ),
        _header("Idempotency-Key", "Names the job: the same key and request are the same job."),
        _header("X-Firstlight-Webhook", "URL that is told of the job."),
    ]


def paths() -> dict[str, Schema]:
    """The paths."""
    name = {"name": "id", "in": "path", "required": True, "schema": {"type": "string"}}
    wait, inputs = _query("wait", "integer"), _query("inputs", "boolean")
    chosen = [_query(key, "string") for key in ("endpoint", "status", "cursor")]
    listed: Schema = {
        "type": "object",
        "properties": {"jobs": {"type": "array", "items": _REFERENCE}, "next": _TEXT},
    }
    body = {"required": True, "content": {"application/json": {"schema": _WANTED}}}
    made = {"202": _answer("It is not done."), "200": _answer("It is done.")}
    events = {"200": {"description": "Events.", "content": {EVENTS: {"schema": {"type": "string"}}}}}
    return {
        "/v1/jobs": {
            "get": _operation("jobs", "Jobs, the newest first.", {"200": _answer("Jobs.", listed)})
            | {"parameters": [*chosen, _query("limit", "integer"), inputs]},
            "post": _operation("create_job", "Make a job.", made) | {"requestBody": body},
        },
        "/v1/jobs/{id}": {
            "get": _operation(
                "job", "One job, or the request id of an Event invocation.", {"200": _answer("The job.")}
            )
            | {"parameters": [name, wait, inputs]},
            "put": _operation("put_job", "Make a job of this id, once however often it is sent.", made)
            | {"parameters": [name], "requestBody": body},
        },
        "/v1/jobs/{id}/result": {
            "get": _operation("job_result", "The answer itself, with its own status and type.", made)
            | {"parameters": [name, wait]},
        },
        "/v1/jobs/{id}/stream": {
            "get": _operation("job_events", "Its events; Last-Event-ID goes on after one.", events)
            | {"parameters": [name, _header("Last-Event-ID", "Number of the last event that is known.")]},
        },
        "/v1/jobs/{id}/cancel": {
            "post": _operation("cancel_job", "End it; the work stops.", {"200": _answer("The job.")})
            | {"parameters": [name]},
        },
    }


_REFERENCE: Schema = {"$ref": "#/components/schemas/Job"}


def _operation(name: str, summary: str, answers: Schema) -> Schema:
    error = {"application/json": {"schema": {"$ref": "#/components/schemas/Error"}}}
    failures = {"404": {"description": "There is no such job.", "content": error}}
    return {"operationId": name, "summary": summary, "tags": _TAG, "responses": {**answers, **failures}}


def _answer(what: str, schema: Schema = _REFERENCE) -> Schema:
    return {"description": what, "content": {"application/json": {"schema": schema}}}


def _query(name: str, kind: str) -> Schema:
    return {"name": name, "in": "query", "required": False, "schema": {"type": kind}}


def _header(name: str, what: str) -> Schema:
    return {
        "name": name,
        "in": "header",
        "required": False,
        "description": what,
        "schema": {"type": "string"},
    }
