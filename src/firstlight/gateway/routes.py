"""Paths of the project's own: ``route = "/qa"`` of the project file, and the router form ``/go``.

A route hands its endpoint the event of an API Gateway REST API and maps the answer back. A body that is an object, as
many handlers return it, is served as JSON with a warning: the real API Gateway answers 502 to it.
"""

from __future__ import annotations

import json
import logging
import re
from typing import Any
from urllib.parse import parse_qsl

from starlette.routing import BaseRoute, Route

from firstlight.gateway import aws_names, proxy_event, streams
from firstlight.gateway.asgi import Answer, Call, Wire, dump_json, json_answer, media_type, parse_json
from firstlight.gateway.catalogue import Entry
from firstlight.gateway.core import Gateway, timing_headers
from firstlight.gateway.web.messages import go_page
from firstlight.invoke.types import REQUEST_LIMIT, Invocation, Reply
from firstlight.runtime.errors import EndpointNotFound, FirstlightError, InvalidInput, PayloadTooLarge

log = logging.getLogger("firstlight.gateway")

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

    def __init__(self, gateway: Gateway) -> None:
        self.gateway = gateway
        self._warned: set[str] = set()

    def routes(self) -> list[BaseRoute]:
        """``/go``; the project's own paths are served by ``find`` and ``proxy``."""
        return [Route("/go", Wire(self.go, explain), methods=["GET", "POST"])]

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

    async def proxy(self, call: Call, entry: Entry, path_parameters: dict[str, str]) -> Answer:
        """One request to a project's route."""
        body = await call.body(REQUEST_LIMIT)
        event = proxy_event.event_of(call, body, entry.endpoint.route or call.scope["path"], path_parameters)
        payload = dump_json(event)
        if len(payload) > REQUEST_LIMIT:
            raise PayloadTooLarge("the request is over 6 MB once it is an event")
        reply = await self._carry(call, entry, payload)
        if reply.function_error and reply.stream is None:
            timed_out = reply.outcome == "timeout"
            log.warning(
                "%s answered %s with an error: %s",
                entry.name,
                call.scope["path"],
                reply.payload[:500].decode("utf-8", "replace"),
            )
            return _message(504 if timed_out else 502, reply)
        serialised = False
        try:
            if reply.stream is not None:
                answer = await streams.response(reply, reply.stream)
            else:
                answer, serialised = proxy_event.answer_of(reply.payload)
        except proxy_event.Malformed as problem:
            log.warning("%s: malformed proxy response for %s: %s", entry.name, call.scope["path"], problem)
            return _message(502, reply)
        if serialised:
            self._warn_of_object(entry.name)
        answer.headers += [(b"x-amzn-requestid", reply.request_id.encode()), *timing_headers(reply.report)]
        return answer

    async def go(self, call: Call) -> Answer:
        """The router: the form on GET, ``{"text", "functionARN"?}`` on POST."""
        if call.scope["method"] != "POST":
            return Answer(200, go_page(self.gateway), [(b"content-type", b"text/html; charset=utf-8")])
        text, arn = _go_fields(call, await call.body(REQUEST_LIMIT))
        entry = self._named(arn) if arn else self.gateway.catalogue.first()
        reply = await self._carry(call, entry, dump_json({"text": text}))
        reply.payload = await streams.as_json(reply)
        if reply.function_error:
            body = {"message": "Invocation failed", "responseFromLambda": _json_or_text(reply.payload)}
            return json_answer(body, 502, timing_headers(reply.report))
        body = {"message": "Invocation successful", "responseFromLambda": _json_or_text(reply.payload)}
        return json_answer(body, 200, timing_headers(reply.report))

    def _named(self, arn: str) -> Entry:
        function = aws_names.parse(arn)
        entry = self.gateway.catalogue.entries.get(function.name)
        if entry is None:
            raise EndpointNotFound(f"Function not found: {function.arn}")
        return entry

    async def _carry(self, call: Call, entry: Entry, payload: bytes) -> Reply:
        trace = call.header(b"x-amzn-trace-id")[:2048] or None
        return await self.gateway.invoke(
            Invocation(endpoint=entry.name, payload=payload, trace_id=trace, wire="route")
        )

    def _warn_of_object(self, name: str) -> None:
        if name not in self._warned:
            self._warned.add(name)
            log.warning(
                "%s returns a body that is not a string; it was served as JSON, but the real API Gateway answers 502 "
                "to it: return json.dumps(body)",
                name,
            )


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


def _message(status: int, reply: Reply) -> Answer:
    text = _MESSAGES.get(status, "Internal server error")
    return json_answer({"message": text}, status, [(b"x-amzn-requestid", reply.request_id.encode())])


def explain(error: FirstlightError, call: Call) -> Answer:
    """An error as API Gateway words it; ``/go`` says what was wrong with the form."""
    text = _MESSAGES.get(error.status, "Internal server error")
    if call.scope["path"] == "/go" and error.status in (400, 404):
        text = error.message
    headers = [(b"retry-after", b"1")] if error.status == 429 else []
    return json_answer({"message": text}, error.status, headers)
