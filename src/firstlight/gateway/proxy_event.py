"""An HTTP request as the event of an API Gateway REST API, and a handler's answer back as a response.

Shapes: API Gateway developer guide, "Input format / Output format of a Lambda function for proxy integration".
"""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Mapping
from datetime import UTC, datetime
from time import time
from typing import Any
from urllib.parse import quote

from firstlight.gateway.asgi import Answer, Call, HeaderList, query_pairs
from firstlight.invoke.types import ACCOUNT, new_request_id

STAGE = "local"

_OWN_HEADERS = frozenset(
    {b"content-length", b"transfer-encoding", b"connection", b"keep-alive", b"upgrade", b"te"}
)
"""Headers a handler cannot set: they are the connection's."""


class Malformed(Exception):
    """The handler's answer is not an HTTP response; API Gateway says 502."""


def event_of(call: Call, body: bytes, resource: str, path_parameters: Mapping[str, str]) -> dict[str, Any]:
    """The event.

    Args:
        call: the request.
        body: its body; what is not UTF-8 goes base64-encoded.
        resource: the route's path as the project wrote it.
        path_parameters: values of the ``{names}`` in it.
    """
    headers: dict[str, list[str]] = {}
    for name, value in call.scope["headers"]:
        headers.setdefault(_title(name.decode("latin-1")), []).append(value.decode("latin-1"))
    query: dict[str, list[str]] = {}
    for name, value in query_pairs(call.scope["query_string"]):
        query.setdefault(name, []).append(value)
    text, encoded = _body_text(body)
    return {
        "resource": resource,
        "path": call.scope["path"],
        "httpMethod": call.scope["method"],
        "headers": {name: values[-1] for name, values in headers.items()} or None,
        "multiValueHeaders": headers or None,
        "queryStringParameters": {name: values[-1] for name, values in query.items()} or None,
        "multiValueQueryStringParameters": query or None,
        "pathParameters": dict(path_parameters) or None,
        "stageVariables": None,
        "requestContext": _context(call, resource),
        "body": text,
        "isBase64Encoded": encoded,
    }


def answer_of(payload: bytes) -> tuple[Answer, bool]:
    """The response in a handler's answer, and whether its body was an object that had to be serialised.

    Raises:
        Malformed: it is not ``{"statusCode": ..., "body": ...}``.
    """
    try:
        value = json.loads(payload)
    except ValueError as error:
        raise Malformed(f"the answer is not JSON: {error}") from error
    if not isinstance(value, dict) or "statusCode" not in value:
        raise Malformed("the answer has no statusCode")
    status = _status(value["statusCode"])
    headers = _headers(value)
    body, serialised = _body(value)
    if not any(name == b"content-type" for name, _ in headers):
        headers.append((b"content-type", b"application/json"))
    if not any(name == b"content-security-policy" for name, _ in headers):
        # The policy of our own pages forbids inline scripts, which a handler's page may well have.
        headers.append((b"content-security-policy", b"frame-ancestors 'none'"))
    return Answer(status, body if status not in (204, 304) else b"", headers), serialised


def _context(call: Call, resource: str) -> dict[str, Any]:
    now = time()
    client = call.scope.get("client") or ("127.0.0.1", 0)
    method, path = call.scope["method"], call.scope["path"]
    return {
        "accountId": ACCOUNT,
        "apiId": "local",
        "domainName": call.header(b"host"),
        "extendedRequestId": new_request_id(),
        "httpMethod": method,
        "identity": {"sourceIp": client[0], "userAgent": call.header(b"user-agent") or None},
        "path": f"/{STAGE}{path}",
        "protocol": f"HTTP/{call.scope.get('http_version', '1.1')}",
        "requestId": new_request_id(),
        "requestTime": datetime.fromtimestamp(now, UTC).strftime("%d/%b/%Y:%H:%M:%S +0000"),
        "requestTimeEpoch": int(now * 1000),
        "resourceId": "local",
        "resourcePath": resource,
        "stage": STAGE,
    }


def _title(name: str) -> str:
    """Header names as API Gateway passes them on from HTTP/1.1 clients, ``Content-Type``."""
    return "-".join(part.capitalize() for part in name.split("-"))


def _body_text(body: bytes) -> tuple[str | None, bool]:
    if not body:
        return None, False
    try:
        return body.decode("utf-8"), False
    except UnicodeDecodeError:
        return base64.b64encode(body).decode("ascii"), True


def _status(value: Any) -> int:
    """A status code; API Gateway takes it as a number or as text."""
    if isinstance(value, bool) or not isinstance(value, (int, str)):
        raise Malformed("the statusCode is not a number")
    try:
        status = int(value)
    except ValueError as error:
        raise Malformed("the statusCode is not a number") from error
    if not 200 <= status <= 599:
        raise Malformed(f"the statusCode {status} is not that of an HTTP response")
    return status


def _headers(value: Mapping[str, Any]) -> HeaderList:
    given: dict[str, list[Any]] = {}
    for name, item in _object(value, "headers").items():
        given[name.lower()] = [item]
    for name, items in _object(value, "multiValueHeaders").items():
        if not isinstance(items, list):
            raise Malformed("multiValueHeaders holds something that is not a list")
        given[name.lower()] = items
    headers: HeaderList = []
    for name, items in given.items():
        key = name.encode("latin-1", "replace")
        if key in _OWN_HEADERS:
            continue
        if not name or not name.isascii() or not name.replace("-", "").replace("_", "").isalnum():
            raise Malformed("a header's name is not one")
        headers.extend((key, _header_value(item)) for item in items)
    return headers


def _header_value(item: Any) -> bytes:
    text = item if isinstance(item, str) else json.dumps(item)
    if any(ord(character) < 32 and character != "\t" for character in text) or "\x7f" in text:
        raise Malformed("a header's value has control characters")
    return (
        text.encode("latin-1")
        if text.isascii()
        else quote(text, safe=" ;,/?:@&=+$-_.!~*'()#").encode("ascii")
    )


def _object(value: Mapping[str, Any], key: str) -> dict[str, Any]:
    found = value.get(key)
    if found is None:
        return {}
    if not isinstance(found, dict):
        raise Malformed(f"{key} is not an object")
    return found


def _body(value: Mapping[str, Any]) -> tuple[bytes, bool]:
    body = value.get("body")
    if body is None:
        return b"", False
    if not isinstance(body, str):
        return json.dumps(body, ensure_ascii=False).encode("utf-8", "surrogatepass"), True
    if not value.get("isBase64Encoded"):
        return body.encode("utf-8", "replace"), False
    try:
        return base64.b64decode(body, validate=True), False
    except (ValueError, binascii.Error) as error:
        raise Malformed("the body is not base64") from error
