"""A request as the event of a Function URL or an HTTP API, version 2 of the payload format.

Shapes: Lambda developer guide, "Function URL request and response payloads"; API Gateway developer guide, "Payload
format version"; and what both were seen to send. What is empty is left out; repeated values are joined by commas;
cookies have a list of their own.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any
from urllib.parse import unquote

from firstlight.gateway.asgi import query_pairs
from firstlight.gateway.fronts import media
from firstlight.gateway.fronts.visit import Caller, Visit
from firstlight.invoke.types import ACCOUNT

_DROPPED = frozenset({"connection", "cookie", "keep-alive", "te", "transfer-encoding", "upgrade"})


def of_url(visit: Visit, account: str) -> dict[str, Any]:
    """The event of a Function URL, which has no routes and no path parameters."""
    body = media.of_url(visit.body, visit.call.header(b"content-type"))
    return _event(replace(visit, parameters={}), account, "$default", body)


def of_http_api(visit: Visit, account: str, route_key: str) -> dict[str, Any]:
    """The event of an HTTP API: paths are decoded, up to a ``?`` in them, and there is always a length."""
    body = media.of_http_api(visit.body, visit.call.header(b"content-type"))
    visit = replace(visit, path=unquote(visit.path).partition("?")[0])
    event = _event(visit, account, route_key, body)
    event["headers"].setdefault("content-length", str(len(visit.body)))
    return event


def _event(visit: Visit, account: str, route_key: str, body: tuple[str | None, bool]) -> dict[str, Any]:
    """The event of one request.

    Args:
        account: ``accountId``; of a Function URL that asks nobody who it is, ``anonymous``.
        route_key: the route of the HTTP API that matched, ``ANY /songs/{id}``.
        body: as the event has it, and whether that is base64.
    """
    text, encoded = body
    parts: dict[str, Any] = {
        "version": "2.0",
        "routeKey": route_key,
        "rawPath": visit.path,
        "rawQueryString": visit.query,
        "cookies": _cookies(visit),
        "headers": {name: ",".join(values) for name, values in visit.headers(_DROPPED).items()},
        "queryStringParameters": _query(visit),
        "pathParameters": dict(visit.parameters),
        "requestContext": _context(visit, account, route_key),
        "body": text,
    }
    kept = {name: value for name, value in parts.items() if value or name == "rawQueryString"}
    return {**kept, "isBase64Encoded": encoded}


def _context(visit: Visit, account: str, route_key: str) -> dict[str, Any]:
    context: dict[str, Any] = {
        "accountId": account,
        "apiId": visit.name,
        "domainName": visit.call.header(b"host"),
        "domainPrefix": visit.name,
        "http": {
            "method": visit.method,
            "path": visit.path,
            "protocol": visit.protocol,
            "sourceIp": visit.source,
            "userAgent": visit.call.header(b"user-agent"),
        },
        "requestId": visit.request_id,
        "routeKey": route_key,
        "stage": "$default",
        "time": visit.written_time,
        "timeEpoch": int(visit.time * 1000),
    }
    if visit.caller is not None:
        context["authorizer"] = {"iam": _iam(visit.caller)}
    return context


def _iam(caller: Caller) -> dict[str, Any]:
    return {
        "accessKey": caller.access_key,
        "accountId": ACCOUNT,
        "callerId": caller.user_id,
        "cognitoIdentity": None,
        "principalOrgId": None,
        "userArn": caller.arn,
        "userId": caller.user_id,
    }


def _cookies(visit: Visit) -> list[str]:
    sent = [value.decode("latin-1") for name, value in visit.call.scope["headers"] if name == b"cookie"]
    return [part.strip() for line in sent for part in line.split(";") if part.strip()]


def _query(visit: Visit) -> dict[str, str]:
    found: dict[str, list[str]] = {}
    for name, value in query_pairs(visit.query.encode("latin-1")):
        found.setdefault(name, []).append(value)
    return {name: ",".join(values) for name, values in found.items()}
