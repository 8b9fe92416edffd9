"""What a ``PUT /v1/jobs/{id}`` or ``POST /v1/jobs`` asks for, as the inference request that it stands for.

Three forms: ``{"endpoint" or "model", "inputs", "parameters"?}`` as the Inference API has them; ``{"input": ...}`` as
Cog and Replicate have it (their HTTP APIs, "create prediction"), which is an endpoint's own event; and
``{"request": {"path", "body"}}`` for any inference route. ``webhook`` and ``webhook_events_filter`` go with each.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from firstlight.gateway.asgi import dump_json
from firstlight.gateway.catalogue import Catalogue
from firstlight.gateway.jobs import kept
from firstlight.invoke.types import REQUEST_LIMIT
from firstlight.jobs.types import Request, Webhook
from firstlight.runtime.errors import InvalidInput, PayloadTooLarge

_TOP = frozenset(
    {
        "endpoint",
        "model",
        "input",
        "inputs",
        "parameters",
        "request",
        "stream",
        "webhook",
        "webhook_events_filter",
        "version",
        "id",
    }
)
"""What the body may hold; Cog's and Replicate's ``version`` and ``id`` are taken and ignored."""
_EXAMPLE = 'for example {"endpoint": "sentiment", "inputs": "what a lovely day"}'
_TYPES = {"content-type", "accept"}


@dataclass(frozen=True, slots=True)
class Asked:
    """The request, its body, and who is told of the job."""

    request: Request
    body: bytes
    webhook: Webhook | None


def read(value: Any, catalogue: Catalogue) -> Asked:
    """A body that was parsed.

    Raises:
        InvalidInput: naming what is wrong.
        EndpointNotFound: it names none of this server.
        PayloadTooLarge: the request would be over 6 MB.
    """
    if not isinstance(value, dict):
        raise InvalidInput("the body is not a JSON object", _EXAMPLE)
    if unknown := sorted(value.keys() - _TOP):
        raise InvalidInput(f"the body has {unknown[0][:100]!r}, which is not known here", _EXAMPLE)
    url, events = value.get("webhook"), value.get("webhook_events_filter")
    told = None if url is None else kept.webhook(url, events)
    forms = [name for name in ("request", "inputs", "input") if name in value]
    if len(forms) != 1:
        raise InvalidInput("the body has to have one of 'inputs', 'input' and 'request'", _EXAMPLE)
    if forms == ["request"]:
        request, body = _request(value["request"])
    else:
        request, body = _named(value, catalogue)
    if len(body) > REQUEST_LIMIT:
        raise PayloadTooLarge(f"the request has {len(body)} bytes and the limit is {REQUEST_LIMIT}")
    return Asked(request, body, told)


def _named(value: dict[str, Any], catalogue: Catalogue) -> tuple[Request, bytes]:
    """The request to a named endpoint, or to the first one where none is named, as in Cog."""
    name = value.get("endpoint", value.get("model"))
    if name is not None and not isinstance(name, str):
        raise InvalidInput("'endpoint' is not text", "name an endpoint of this server")
    entry = catalogue.find(name) if name else catalogue.first()
    if "inputs" in value:
        names = ("inputs", "parameters", "stream")
        return _post(f"/models/{entry.name}", {key: value[key] for key in names if key in value})
    event = value["input"]
    if entry.script:
        return _post(
            f"/endpoints/{entry.name}/invocations", event if isinstance(event, dict) else {"inputs": event}
        )
    known = isinstance(event, dict) and "inputs" in event
    return _post(f"/models/{entry.name}", event if known else {"inputs": event})


def _request(value: Any) -> tuple[Request, bytes]:
    if not isinstance(value, dict) or not isinstance(value.get("path"), str) or "body" not in value:
        raise InvalidInput("'request' has to have a 'path' and a 'body'", _EXAMPLE)
    path, _, query = value["path"].partition("?")
    if not path.startswith("/") or not value["path"].isascii():
        raise InvalidInput(
            "the path of 'request' does not begin with a slash", "for example /v1/chat/completions"
        )
    headers = value.get("headers") or {}
    if not isinstance(headers, dict) or not all(_header(pair) for pair in headers.items()):
        raise InvalidInput("'headers' of 'request' may be content-type and accept", "leave the others out")
    given = {name.lower(): text for name, text in headers.items()}
    body = value["body"]
    text = isinstance(body, str)
    kinds = {"content-type": "text/plain" if text else "application/json", **given}
    raw = body.encode("utf-8", "surrogatepass") if text else dump_json(body)
    return Request("POST", path, query, tuple(sorted(kinds.items()))), raw


def _header(pair: tuple[str, Any]) -> bool:
    name, value = pair
    return name.lower() in _TYPES and isinstance(value, str) and value.isascii() and value.isprintable()


def _post(path: str, body: dict[str, Any]) -> tuple[Request, bytes]:
    return Request("POST", path, "", (("content-type", "application/json"),)), dump_json(body)
