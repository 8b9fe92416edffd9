"""``/openapi.json`` (OpenAPI 3.1) made from the endpoints' task schemas, and ``/docs`` made from that."""

from __future__ import annotations

from typing import Any

from starlette.routing import BaseRoute, Route

from firstlight import __version__
from firstlight.gateway.asgi import Answer, Call, Wire, json_answer
from firstlight.gateway.catalogue import Entry
from firstlight.gateway.core import Gateway
from firstlight.gateway.huggingface import explain
from firstlight.gateway.jobs import document as jobs_document
from firstlight.gateway.openai import document as openai_document
from firstlight.gateway.web import docs, frame
from firstlight.gateway.web.examples import about, examples
from firstlight.runtime import tasks

Schema = dict[str, Any]

_ANY: Schema = {}
_ERROR: Schema = {
    "type": "object",
    "properties": {"error": {"type": "string"}, "error_type": {"type": "string"}},
    "required": ["error"],
}
_STATUSES = {
    "400": "The inputs or parameters are not what the task takes.",
    "413": "The body is over 6 MB.",
    "429": "Every worker is busy and the queue is full.",
    "500": "The endpoint failed.",
    "504": "The endpoint ran into its timeout.",
}


def routes(gateway: Gateway) -> list[BaseRoute]:
    """The document and the page that shows it."""

    async def document_json(_call: Call) -> Answer:
        return json_answer(document(gateway))

    async def document_page(_call: Call) -> Answer:
        return frame.html(docs.docs_page(document(gateway)))

    return [
        Route("/openapi.json", Wire(document_json, explain), methods=["GET"]),
        Route("/docs", Wire(document_page, explain), methods=["GET"]),
    ]


def document(gateway: Gateway) -> Schema:
    """The whole document."""
    paths: dict[str, Schema] = {}
    for entry in gateway.catalogue:
        paths[f"/models/{entry.name}"] = {"post": _model(entry, gateway.jobs is not None)}
    for entry in gateway.catalogue:
        paths[f"/2015-03-31/functions/{entry.name}/invocations"] = {"post": _invoke(entry)}
        if entry.endpoint.route:
            paths[entry.endpoint.route] = _own_route(entry)
    paths |= openai_document.paths(gateway.catalogue)
    paths |= _server_paths()
    schemas: dict[str, Schema] = {"Error": _ERROR, "OpenAIError": openai_document.ERROR}
    if gateway.jobs is not None:
        paths |= jobs_document.paths()
        schemas["Job"] = jobs_document.JOB
    components: Schema = {"schemas": schemas}
    found: Schema = {
        "openapi": "3.1.0",
        "info": {
            "title": gateway.project.name,
            "version": __version__,
            "description": "Endpoints served by firstlight: Hugging Face and OpenAI routes, AWS Lambda functions.",
        },
        "paths": paths,
        "components": components,
    }
    if gateway.guarded:
        components["securitySchemes"] = {"token": {"type": "http", "scheme": "bearer"}}
        found["security"] = [{"token": []}]
    return found


def _model(entry: Entry, later: bool) -> Schema:
    """The Hugging Face route of an endpoint.

    Args:
        later: whether the server keeps jobs.
    """
    if entry.task is None:
        request, output = _ANY, _ANY
    else:
        schema = tasks.schema(entry.task)
        request = {
            "type": "object",
            "required": ["inputs"],
            "properties": {"inputs": schema["inputs"], "parameters": schema["parameters"]},
        }
        output = schema["output"]
        if entry.task == "text-classification":
            output = {"type": "array", "items": output}
    return {
        "operationId": f"infer_{_identifier(entry.name)}",
        "summary": about(entry, entry.task),
        "tags": ["Hugging Face Inference API"],
        "requestBody": _body(request, entry),
        "parameters": jobs_document.headers() if later else [],
        "responses": {
            "200": {"description": "The answer.", "content": {"application/json": {"schema": output}}},
            **({"202": jobs_document.ACCEPTED} if later else {}),
            **_failures(),
        },
    }


def _invoke(entry: Entry) -> Schema:
    """The Lambda route of an endpoint."""
    return {
        "operationId": f"invoke_{_identifier(entry.name)}",
        "summary": f"Invoke {entry.name} as a Lambda function.",
        "tags": ["AWS Lambda Invoke API"],
        "parameters": [
            _header("X-Amz-Invocation-Type", ["RequestResponse", "DryRun"]),
            _header("X-Amz-Log-Type", ["None", "Tail"]),
        ],
        "requestBody": _body(_ANY, entry),
        "responses": {
            "200": {
                "description": "What the handler returned; with X-Amz-Function-Error the error it raised.",
                "content": {"application/json": {"schema": _ANY}},
            },
            "204": {"description": "DryRun: the function exists."},
            "404": {"description": "There is no such function."},
        },
    }


def _own_route(entry: Entry) -> Schema:
    """A route of the project file."""
    route = entry.endpoint.route or ""
    names = [part[1:-1].rstrip("+") for part in route.split("/") if part.startswith("{")]
    return {
        "post": {
            "operationId": f"route_{_identifier(entry.name)}",
            "summary": f"{entry.name} behind its own path, as API Gateway would call it.",
            "tags": ["Routes of this project"],
            "parameters": [
                {"name": name, "in": "path", "required": True, "schema": {"type": "string"}} for name in names
            ],
            "requestBody": _body(_ANY, entry),
            "responses": {
                "200": {"description": "What the handler answered."},
                "502": {
                    "description": "The handler failed, or answered something that is not an HTTP response."
                },
            },
        }
    }


def _server_paths() -> dict[str, Schema]:
    def got(summary: str, kind: str) -> Schema:
        answer = {"description": "As described.", "content": {kind: {"schema": _ANY}}}
        return {"get": {"summary": summary, "tags": ["Server"], "responses": {"200": answer}}}

    return {
        "/health": got("The state of the server and of each endpoint.", "application/json"),
        "/metrics": got("Counters and gauges for Prometheus.", "text/plain"),
        "/2015-03-31/functions": got(
            "The endpoints as Lambda functions (ListFunctions).", "application/json"
        ),
    }


def _body(schema: Schema, entry: Entry) -> Schema:
    content = {"schema": schema, "examples": {}}
    content["examples"] = {_identifier(name): {"value": event} for name, event in examples(entry, entry.task)}
    return {"required": True, "content": {"application/json": content}}


def _failures() -> Schema:
    content = {"application/json": {"schema": {"$ref": "#/components/schemas/Error"}}}
    return {status: {"description": what, "content": content} for status, what in _STATUSES.items()}


def _header(name: str, values: list[str]) -> Schema:
    return {"name": name, "in": "header", "required": False, "schema": {"type": "string", "enum": values}}


def _identifier(text: str) -> str:
    return "".join(
        character if character.isalnum() and character.isascii() else "_" for character in text
    ).lower()
