"""The events of AWS's HTTP fronts as requests of ASGI: Function URLs, HTTP APIs, REST APIs, load balancers.

Shapes: Lambda developer guide, "Function URL request and response payloads"; API Gateway developer guide, "Payload
format version" and "Lambda proxy integrations"; Elastic Load Balancing user guide, "Lambda functions as targets".
"""

from __future__ import annotations

import base64
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, unquote, urlencode

from starlette.types import Scope

from firstlight.gateway.asgi import BODY
from firstlight.runtime.errors import InvalidInput

_PINGS = ("aws.events", "aws.scheduler")
_UNCHANGED = "/!$&'()*+,;=:@~%"
"""Characters that a path keeps when it is percent-encoded again; ``%`` begins what is encoded already."""


@dataclass(frozen=True, slots=True)
class Arrived:
    """One request.

    Args:
        scope: of ASGI; the whole body is in it.
        version: of the payload format, 1 or 2, which is that of the answer too.
        streams: whether the front passes on an answer as it is made.
        multiple: whether the front reads headers with several values and no others (a load balancer may).
    """

    scope: Scope
    version: int
    streams: bool
    multiple: bool = False


def is_ping(event: Any) -> bool:
    """Whether an event is a schedule's, which wants nothing but a function that is awake."""
    return isinstance(event, dict) and event.get("source") in _PINGS


def read(event: Any) -> Arrived:
    """The request in an event.

    Raises:
        InvalidInput: it is no event of an HTTP front.
    """
    context = event.get("requestContext") if isinstance(event, dict) else None
    if not isinstance(context, dict):
        raise InvalidInput(
            "this function takes events of HTTP fronts", "invoke an endpoint's function instead"
        )
    try:
        return _version_2(event, context) if event.get("version") == "2.0" else _version_1(event, context)
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise InvalidInput(f"the event is none of an HTTP front: {error!r}") from error


def _version_2(event: Mapping[str, Any], context: Mapping[str, Any]) -> Arrived:
    http = context["http"]
    domain = str(context.get("domainName", ""))
    url = ".lambda-url." in domain
    path = str(event["rawPath"])
    stage = context.get("stage", "$default")
    if not url:
        if stage != "$default":
            path = path.removeprefix(f"/{stage}") or "/"
        path = quote(path, safe=_UNCHANGED.replace("%", ""))
    headers = _headers(event.get("headers"))
    if cookies := event.get("cookies"):
        headers.append((b"cookie", "; ".join(cookies).encode("latin-1", "replace")))
    scope = _scope(
        method=http["method"],
        path=path,
        query=str(event.get("rawQueryString", "")),
        headers=headers,
        source=str(http.get("sourceIp", "")),
        domain=domain,
        body=_body(event),
    )
    return Arrived(scope, 2, streams=url)


def _version_1(event: Mapping[str, Any], context: Mapping[str, Any]) -> Arrived:
    balancer = "elb" in context
    multiple = bool(event.get("multiValueHeaders"))
    headers = _headers(event["multiValueHeaders"] if multiple else event.get("headers"))
    query = event.get("multiValueQueryStringParameters") or event.get("queryStringParameters") or {}
    pairs = [(name, value) for name, found in query.items() for value in _listed(found)]
    # A load balancer leaves the query as it was sent, API Gateway decodes it.
    text = "&".join(f"{name}={value}" for name, value in pairs) if balancer else urlencode(pairs)
    identity = context.get("identity") or {}
    scope = _scope(
        method=event["httpMethod"],
        path=quote(str(event["path"]), safe=_UNCHANGED),
        query=text,
        headers=headers,
        source=str(identity.get("sourceIp", "")),
        domain=str(context.get("domainName", "")),
        body=_body(event),
    )
    rest = not balancer and event.get("version") != "1.0"
    return Arrived(scope, 1, streams=rest, multiple=balancer and multiple)


def _scope(
    *,
    method: str,
    path: str,
    query: str,
    headers: list[tuple[bytes, bytes]],
    source: str,
    domain: str,
    body: bytes,
) -> Scope:
    names = {name for name, _ in headers}
    if b"host" not in names:
        headers.append((b"host", domain.encode("latin-1", "replace")))
    headers = [header for header in headers if header[0] != b"content-length"]
    headers.append((b"content-length", b"%d" % len(body)))
    return {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": method,
        "scheme": "https",
        "path": unquote(path),
        "raw_path": path.encode("latin-1", "replace"),
        "root_path": "",
        "query_string": query.encode("latin-1", "replace"),
        "headers": headers,
        "client": (source, 0),
        "server": (domain, 443),
        BODY: body,
    }


def _headers(found: Mapping[str, Any] | None) -> list[tuple[bytes, bytes]]:
    pairs = [(name, value) for name, values in (found or {}).items() for value in _listed(values)]
    return [
        (name.lower().encode("latin-1"), str(value).encode("latin-1", "replace")) for name, value in pairs
    ]


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def _body(event: Mapping[str, Any]) -> bytes:
    body = event.get("body")
    if not body:
        return b""
    if event.get("isBase64Encoded"):
        return base64.b64decode(body, validate=True)
    return str(body).encode("utf-8", "surrogatepass")
