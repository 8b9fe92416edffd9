"""What a handler sees, compared with events that were recorded on AWS."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from firstlight.gateway.asgi import Call
from firstlight.gateway.fronts import events_v1, events_v2, media
from firstlight.gateway.fronts.visit import Caller, Visit

CALLER = Caller("AKIAEXAMPLE", "bob", "AIDAEXAMPLE", "arn:aws:iam::000000000000:user/bob")
HEADERS = [
    (b"host", b"localhost:8400"),
    (b"content-type", b"application/json"),
    (b"content-length", b"8"),
    (b"connection", b"keep-alive"),
    (b"x-many", b"1"),
    (b"x-many", b"2"),
    (b"cookie", b"a=1; b=2"),
    (b"authorization", b"AWS4-HMAC-SHA256 ..."),
    (b"user-agent", b"test/1"),
]


def visit(body: bytes = b'{"x": 1}', **changes: Any) -> Visit:
    scope = {
        "method": "POST",
        "path": "/qa",
        "query_string": b"a=1&a=2&b=&plus=x+y&whole=%2B",
        "headers": HEADERS,
        "client": ("10.0.0.9", 1234),
        "server": ("127.0.0.1", 8400),
        "scheme": "http",
        "http_version": "1.1",
    }
    scope |= {key: changes.pop(key) for key in list(changes) if key in scope}

    async def receive() -> Any:
        raise AssertionError("the body is given")

    known = {"parameters": {"proxy": "b%2Bc"}, "trace_id": "Root=1-2", "request_id": "the-id"}
    return Visit(Call(scope, receive), "qa", "/b%2Bc", body, 1_700_000_000.25, **{**known, **changes})


def test_a_rest_api_sends_what_was_recorded() -> None:
    event = events_v1.event(visit())
    assert (event["resource"], event["path"], event["httpMethod"]) == ("/{proxy+}", "/b%2Bc", "POST")
    assert event["pathParameters"] == {"proxy": "b%2Bc"}
    assert (event["body"], event["isBase64Encoded"]) == ('{"x": 1}', False)
    assert event["queryStringParameters"] == {"a": "2", "b": "", "plus": "x y", "whole": "+"}
    assert event["multiValueQueryStringParameters"]["a"] == ["1", "2"]
    assert event["stageVariables"] is None
    headers = event["headers"]
    assert headers["X-Many"] == "2"
    assert event["multiValueHeaders"]["X-Many"] == ["1", "2"]
    assert headers["Host"] == "localhost:8400"
    assert headers["X-Amzn-Trace-Id"] == "Root=1-2"
    assert (headers["X-Forwarded-For"], headers["X-Forwarded-Port"]) == ("10.0.0.9", "8400")
    assert not {"Content-Length", "Connection"} & headers.keys()
    assert headers["Authorization"]
    json.dumps(event)


def test_the_context_of_a_rest_api_has_every_field() -> None:
    context = events_v1.event(visit())["requestContext"]
    assert set(context) == {
        *(
            "accountId",
            "apiId",
            "deploymentId",
            "domainName",
            "domainPrefix",
            "extendedRequestId",
            "httpMethod",
        ),
        *("identity", "path", "protocol", "requestId", "requestTime", "requestTimeEpoch", "resourceId"),
        *("resourcePath", "stage"),
    }
    assert context["identity"] == {
        "accessKey": None,
        "accountId": None,
        "caller": None,
        "cognitoAuthenticationProvider": None,
        "cognitoAuthenticationType": None,
        "cognitoIdentityId": None,
        "cognitoIdentityPoolId": None,
        "principalOrgId": None,
        "sourceIp": "10.0.0.9",
        "user": None,
        "userAgent": "test/1",
        "userArn": None,
    }
    assert (context["path"], context["stage"]) == ("/local/b%2Bc", "local")
    assert context["requestTime"] == "14/Nov/2023:22:13:20 +0000"
    assert context["requestTimeEpoch"] == 1_700_000_000_250
    assert context["requestId"] == "the-id"


def test_what_is_empty_is_null_in_version_1_and_left_out_of_version_2() -> None:
    bare = visit(b"", query_string=b"", headers=[], client=None, server=None, parameters={})
    event = events_v1.event(bare)
    for field in ("body", "queryStringParameters", "multiValueQueryStringParameters", "pathParameters"):
        assert event[field] is None
    second = events_v2.of_url(bare, "anonymous")
    assert not {"body", "queryStringParameters", "pathParameters", "cookies"} & second.keys()
    assert (second["rawQueryString"], second["isBase64Encoded"]) == ("", False)


def test_version_2_joins_and_takes_the_cookies_out() -> None:
    event = events_v2.of_url(visit(), "anonymous")
    assert event["version"] == "2.0"
    assert (event["rawPath"], event["routeKey"]) == ("/b%2Bc", "$default")
    assert event["rawQueryString"] == "a=1&a=2&b=&plus=x+y&whole=%2B"
    assert event["queryStringParameters"] == {"a": "1,2", "b": "", "plus": "x y", "whole": "+"}
    assert event["headers"]["x-many"] == "1,2"
    assert "cookie" not in event["headers"]
    assert event["cookies"] == ["a=1", "b=2"]
    assert event["headers"]["content-length"] == "8"
    context = event["requestContext"]
    assert context["http"] == {
        "method": "POST",
        "path": "/b%2Bc",
        "protocol": "HTTP/1.1",
        "sourceIp": "10.0.0.9",
        "userAgent": "test/1",
    }
    assert (context["accountId"], context["apiId"], context["stage"]) == ("anonymous", "qa", "$default")
    assert (context["time"], context["timeEpoch"]) == ("14/Nov/2023:22:13:20 +0000", 1_700_000_000_250)
    assert "authorizer" not in context


def test_who_signed_is_told_and_the_signature_is_not() -> None:
    signed = visit(caller=CALLER)
    first, second = events_v1.event(signed), events_v2.of_url(signed, "000000000000")
    identity = first["requestContext"]["identity"]
    assert (identity["accessKey"], identity["userArn"]) == ("AKIAEXAMPLE", CALLER.arn)
    assert (identity["user"], identity["caller"]) == ("AIDAEXAMPLE", "AIDAEXAMPLE")
    assert "Authorization" not in first["headers"]
    assert second["requestContext"]["authorizer"] == {
        "iam": {
            "accessKey": "AKIAEXAMPLE",
            "accountId": "000000000000",
            "callerId": "AIDAEXAMPLE",
            "cognitoIdentity": None,
            "principalOrgId": None,
            "userArn": CALLER.arn,
            "userId": "AIDAEXAMPLE",
        }
    }
    assert "authorization" not in second["headers"]


def test_an_api_key_is_told() -> None:
    identity = events_v1.event(visit(api_key=("value", "id")))["requestContext"]["identity"]
    assert (identity["apiKey"], identity["apiKeyId"]) == ("value", "id")


def test_an_address_that_was_forwarded_stays_first() -> None:
    event = events_v2.of_url(visit(headers=[(b"x-forwarded-for", b"1.2.3.4")]), "anonymous")
    assert event["headers"]["x-forwarded-for"] == "1.2.3.4, 10.0.0.9"


@pytest.mark.parametrize(
    ("content_type", "of_url", "of_http_api"),
    [
        ("application/json", True, True),
        ("application/json; charset=utf-8", True, True),
        ("text/plain", True, True),
        ("application/vnd.api+json", True, False),
        ("application/xml", True, True),
        ("application/javascript", True, True),
        ("application/x-www-form-urlencoded", False, False),
        ("multipart/form-data; boundary=json", False, False),
        ("application/octet-stream", False, False),
        ("", False, False),
    ],
)
def test_version_2_goes_by_the_content_type(content_type: str, of_url: bool, of_http_api: bool) -> None:
    for found, text in ((media.of_url, of_url), (media.of_http_api, of_http_api)):
        assert found("é".encode(), content_type) == (("é", False) if text else ("w6k=", True))


def test_an_http_api_decodes_the_path_and_says_how_long_the_body_is() -> None:
    made = visit(b"", headers=[], parameters={"id": "a b"})
    event = events_v2.of_http_api(made, "000000000000", "ANY /x/{id}")
    assert (event["rawPath"], event["requestContext"]["http"]["path"]) == ("/b+c", "/b+c")
    assert event["headers"]["content-length"] == "0"
    assert event["pathParameters"] == {"id": "a b"}
    assert event["routeKey"] == event["requestContext"]["routeKey"] == "ANY /x/{id}"


@pytest.mark.parametrize(
    ("content_type", "binary"),
    [
        ("audio/wav", True),
        ("IMAGE/PNG", True),
        ("multipart/form-data; boundary=x", True),
        ("text/plain", False),
        ("", False),
    ],
)
def test_version_1_goes_by_the_binary_media_types(content_type: str, binary: bool) -> None:
    assert media.by_declaration(b"\xff", content_type) == (("/w==", True) if binary else ("\ufffd", False))


@given(st.binary(), st.sampled_from(["text/plain", "audio/wav", ""]))
def test_version_2_loses_nothing_of_a_body(body: bytes, content_type: str) -> None:
    for found in (media.of_url, media.of_http_api):
        text, encoded = found(body, content_type)
        assert (base64.b64decode(text or "") if encoded else (text or "").encode()) == body


@given(st.binary())
def test_a_route_loses_nothing_of_a_body(body: bytes) -> None:
    event = events_v1.event(visit(body, lenient=True))
    text = event["body"] or ""
    assert (base64.b64decode(text) if event["isBase64Encoded"] else text.encode()) == body


@given(
    st.lists(
        st.tuples(st.sampled_from([b"cookie", b"x-a", b"te", b"host"]), st.binary(max_size=9)), max_size=4
    ),
    st.text("ab=&%+;2é", max_size=12),
    st.binary(max_size=20),
)
def test_every_request_makes_an_event(headers: list[tuple[bytes, bytes]], query: str, body: bytes) -> None:
    made = visit(body, headers=headers, query_string=query.encode("utf-8"))
    for event in (
        events_v1.event(made),
        events_v2.of_url(made, "x"),
        events_v2.of_http_api(made, "x", "$default"),
    ):
        assert json.loads(json.dumps(event)) == event
