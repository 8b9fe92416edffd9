"""Paths of the project's own: ``route = "/qa"`` of the project file, and the router form ``/go``.

A route is one of AWS's fronts by its endpoint's ``front.kind`` (``gateway.fronts``).
"""

from __future__ import annotations

import json
import re
from functools import lru_cache
from typing import Any
from urllib.parse import parse_qsl

from starlette.routing import BaseRoute, Route

from firstlight.gateway import jobs, patience, streams
from firstlight.gateway.asgi import Answer, Call, Wire, dump_json, json_answer, media_type, parse_json
from firstlight.gateway.catalogue import Entry
from firstlight.gateway.core import Gateway, timing_headers
from firstlight.gateway.fronts.paths import Fronts
from firstlight.gateway.fronts.visit import raw_path
from firstlight.gateway.lambda_api import names
from firstlight.gateway.web.messages import go_page
from firstlight.invoke.types import REQUEST_LIMIT, Invocation, Reply
from firstlight.runtime.errors import EndpointNotFound, FirstlightError, InvalidInput

_MESSAGES = {
    401: "Unauthorized",
    403: "Forbidden",
    413: "Request Too Long",
    415: "Unsupported Media Type",
    429: "Too Many Requests",
    504: "Endpoint request timed out",
}
"""What API Gateway says, by status; it does not tell callers more."""


class OwnRoutes:
    """The project's routes over one gateway. They are looked up on each request: a reload may change them."""

    def __init__(self, gateway: Gateway, fronts: Fronts) -> None:
        self.gateway = gateway
        self.fronts = fronts

    def routes(self) -> list[BaseRoute]:
        """``/go`` and the fronts of every endpoint; the project's own paths are served by ``find`` and ``proxy``."""
        return [Route("/go", Wire(self.go, explain), methods=["GET", "POST"]), *self.fronts.routes()]

    def find(self, path: str) -> tuple[Entry, dict[str, str]] | None:
        """The endpoint whose route is this path, and the values of the ``{names}`` in it."""
        routes = self.gateway.catalogue.routes
        entry = routes.get(path)
        if entry is not None:
            return entry, {}
        for route, candidate in routes.items():
            if "{" in route and (found := _pattern(route).fullmatch(path)):
                return candidate, found.groupdict()
        return None

    def guards(self, path: str) -> bool:
        """Whether what is at a path asks itself who comes, by signature or API key."""
        found = self.find(path)
        return self.fronts.guards(path, None if found is None else found[0])

    async def proxy(self, call: Call, entry: Entry, path_parameters: dict[str, str]) -> Answer:
        """One request to a project's route."""
        sent = _pattern(entry.endpoint.route or "").fullmatch(raw_path(call)) if path_parameters else None
        return await self.fronts.own(
            call, entry, path_parameters, path_parameters if sent is None else sent.groupdict()
        )

    async def go(self, call: Call) -> Answer:
        """The router: the form on GET, ``{"text", "functionARN"?}`` on POST."""
        if call.scope["method"] != "POST":
            return Answer(200, go_page(self.gateway), [(b"content-type", b"text/html; charset=utf-8")])
        body = await call.body(REQUEST_LIMIT)
        text, arn = _go_fields(call, body)
        entry = self._named(arn) if arn else self.gateway.catalogue.first()
        if patience.takes_job(call):
            return await jobs.take(self.gateway, call, entry.name, body)
        reply = await self._carry(call, entry, dump_json({"text": text}))
        reply.payload = await streams.as_json(reply)
        if reply.function_error:
            told = {"message": "Invocation failed", "responseFromLambda": _json_or_text(reply.payload)}
            return json_answer(told, 502, timing_headers(reply.report))
        told = {"message": "Invocation successful", "responseFromLambda": _json_or_text(reply.payload)}
        return json_answer(told, 200, timing_headers(reply.report))

    def _named(self, arn: str) -> Entry:
        function = names.parse(arn)
        entry = self.gateway.catalogue.entries.get(function.name)
        if entry is None:
            raise EndpointNotFound(f"Function not found: {function.arn}")
        return entry

    async def _carry(self, call: Call, entry: Entry, payload: bytes) -> Reply:
        trace = call.header(b"x-amzn-trace-id")[:2048] or None
        return await self.gateway.invoke(
            Invocation(endpoint=entry.name, payload=payload, trace_id=trace, wire="route")
        )


@lru_cache(maxsize=256)
def _pattern(route: str) -> re.Pattern[str]:
    """The path of a route with ``{name}`` and ``{name+}`` (the rest of the path), as API Gateway writes them."""
    parts = re.split(r"\{([A-Za-z_][A-Za-z0-9_]*)(\+?)\}", route)
    pattern = re.escape(parts[0])
    for name, greedy, literal in zip(parts[1::3], parts[2::3], parts[3::3], strict=True):
        pattern += f"(?P<{name}>{'.+' if greedy else '[^/]+'})" + re.escape(literal)
    return re.compile(pattern)


def _go_fields(call: Call, body: bytes) -> tuple[str, str]:
    """Text and functionARN of a JSON body, or of a plain HTML form."""
    value: Any
    if media_type(call) == "application/x-www-form-urlencoded" and not body.lstrip().startswith(b"{"):
        value = dict(parse_qsl(body.decode("utf-8", "replace"), keep_blank_values=True, max_num_fields=20))
    else:
        try:
            value = parse_json(body)
        except ValueError as error:
            raise InvalidInput(f"the body is not JSON: {error}", 'send {"text": "..."}') from error
    if not isinstance(value, dict) or not isinstance(value.get("text"), str):
        raise InvalidInput("the body has no 'text'", 'send {"text": "..."}')
    arn = value.get("functionARN") or ""
    if not isinstance(arn, str):
        raise InvalidInput("'functionARN' is not text", "send an ARN or an endpoint's name")
    return value["text"], arn


def _json_or_text(payload: bytes) -> Any:
    try:
        return json.loads(payload)
    except ValueError:
        return payload.decode("utf-8", "replace")


def explain(error: FirstlightError, call: Call) -> Answer:
    """An error as API Gateway words it; ``/go`` says what was wrong with the form."""
    text = _MESSAGES.get(error.status, "Internal server error")
    if call.scope["path"] == "/go" and error.status in (400, 404):
        text = error.message
    headers = [(b"retry-after", b"1")] if error.status == 429 else []
    return json_answer({"message": text}, error.status, headers)
