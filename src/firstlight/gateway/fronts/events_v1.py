"""A request as the event of a REST API, version 1 of the payload format.

Shape: API Gateway developer guide, "Input format of a Lambda function for proxy integration", and events recorded
from REST APIs: what is empty is null, paths and path parameters stay percent-encoded, of repeated values the last one
counts.
"""

from __future__ import annotations

from typing import Any

from firstlight.gateway.asgi import query_pairs
from firstlight.gateway.fronts import media
from firstlight.gateway.fronts.visit import Visit
from firstlight.invoke.types import ACCOUNT

STAGE = "local"
_DROPPED = frozenset(
    {
        *("connection", "content-length", "content-md5", "expect", "keep-alive", "max-forwards"),
        *(
            "proxy-authenticate",
            "server",
            "te",
            "trailer",
            "transfer-encoding",
            "upgrade",
            "www-authenticate",
        ),
    }
)
"""Headers that API Gateway keeps to itself."""


def event(visit: Visit) -> dict[str, Any]:
    """The event of one request."""
    headers = {_title(name): values for name, values in visit.headers(_DROPPED).items()}
    query: dict[str, list[str]] = {}
    for name, value in query_pairs(visit.query.encode("latin-1")):
        query.setdefault(name, []).append(value)
    content_type = visit.call.header(b"content-type")
    text, encoded = (
        media.by_content(visit.body) if visit.lenient else media.by_declaration(visit.body, content_type)
    )
    return {
        "resource": visit.resource,
        "path": visit.path,
        "httpMethod": visit.method,
        "headers": {name: values[-1] for name, values in headers.items()},
        "multiValueHeaders": headers,
        "queryStringParameters": {name: values[-1] for name, values in query.items()} or None,
        "multiValueQueryStringParameters": query or None,
        "pathParameters": dict(visit.parameters) or None,
        "stageVariables": None,
        "requestContext": _context(visit),
        "body": text,
        "isBase64Encoded": encoded,
    }


def _context(visit: Visit) -> dict[str, Any]:
    return {
        "accountId": ACCOUNT,
        "apiId": visit.name,
        "deploymentId": "local",
        "domainName": visit.call.header(b"host"),
        "domainPrefix": visit.name,
        "extendedRequestId": visit.extended_id,
        "httpMethod": visit.method,
        "identity": _identity(visit),
        "path": f"/{STAGE}{visit.path}",
        "protocol": visit.protocol,
        "requestId": visit.request_id,
        "requestTime": visit.written_time,
        "requestTimeEpoch": int(visit.time * 1000),
        "resourceId": "local",
        "resourcePath": visit.resource,
        "stage": STAGE,
    }


def _identity(visit: Visit) -> dict[str, Any]:
    """Who asked; what only IAM or Cognito callers have is null."""
    caller = visit.caller
    identity: dict[str, Any] = {
        "accessKey": caller.access_key if caller else None,
        "accountId": ACCOUNT if caller else None,
        "caller": caller.user_id if caller else None,
        "cognitoAuthenticationProvider": None,
        "cognitoAuthenticationType": None,
        "cognitoIdentityId": None,
        "cognitoIdentityPoolId": None,
        "principalOrgId": None,
        "sourceIp": visit.source,
        "user": caller.user_id if caller else None,
        "userAgent": visit.call.header(b"user-agent") or None,
        "userArn": caller.arn if caller else None,
    }
    if visit.api_key is not None:
        identity["apiKey"], identity["apiKeyId"] = visit.api_key
    return identity


def _title(name: str) -> str:
    """Header names as clients of HTTP/1.1 write them, ``Content-Type``; the server has them in lower case only."""
    return "-".join(part.capitalize() for part in name.split("-"))
