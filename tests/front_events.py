"""Events as AWS's HTTP fronts send them."""

from __future__ import annotations

DOMAIN = "abc.lambda-url.us-east-1.on.aws"


def url_event(method="POST", path="/models/mood", *, body=None, query="", headers=None, **more):
    """As a Function URL sends it."""
    http = {"method": method, "path": path, "sourceIp": "192.0.2.1", "protocol": "HTTP/1.1"}
    return {
        "version": "2.0",
        "routeKey": "$default",
        "rawPath": path,
        "rawQueryString": query,
        "headers": {"host": DOMAIN, **(headers or {})},
        "requestContext": {"domainName": DOMAIN, "stage": "$default", "http": http},
        "body": body,
        "isBase64Encoded": False,
        **more,
    }


def rest_event(**more):
    """As a REST API sends it."""
    return {
        "httpMethod": "POST",
        "path": "/a b/c",
        "headers": {"Host": "api.example", "X-One": "2"},
        "multiValueHeaders": {"Host": ["api.example"], "X-One": ["1", "2"]},
        "queryStringParameters": {"q": "b c"},
        "multiValueQueryStringParameters": {"q": ["a&", "b c"]},
        "requestContext": {
            "stage": "prod",
            "identity": {"sourceIp": "192.0.2.2"},
            "domainName": "api.example",
        },
        "body": "x",
        "isBase64Encoded": False,
        **more,
    }
