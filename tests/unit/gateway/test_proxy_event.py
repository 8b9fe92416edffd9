from __future__ import annotations

import base64
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from firstlight.gateway import proxy_event
from firstlight.gateway.asgi import Call
from firstlight.gateway.proxy_event import Malformed


def call(**changes: Any) -> Call:
    scope = {
        "method": "POST",
        "path": "/qa",
        "query_string": b"a=1&a=2&b=",
        "headers": [(b"content-type", b"application/json"), (b"x-many", b"1"), (b"x-many", b"2")],
        "client": ("10.0.0.9", 1234),
        "http_version": "1.1",
    }

    async def receive() -> Any:
        raise AssertionError("the body is given")

    return Call({**scope, **changes}, receive)


def test_a_request_is_a_rest_event() -> None:
    event = proxy_event.event_of(call(), b'{"x": 1}', "/qa", {})
    assert event["httpMethod"] == "POST"
    assert (event["path"], event["resource"]) == ("/qa", "/qa")
    assert (event["body"], event["isBase64Encoded"]) == ('{"x": 1}', False)
    assert event["headers"] == {"Content-Type": "application/json", "X-Many": "2"}
    assert event["multiValueHeaders"]["X-Many"] == ["1", "2"]
    assert event["queryStringParameters"] == {"a": "2", "b": ""}
    assert event["multiValueQueryStringParameters"] == {"a": ["1", "2"], "b": [""]}
    assert event["pathParameters"] is None
    context = event["requestContext"]
    assert context["identity"]["sourceIp"] == "10.0.0.9"
    assert (context["httpMethod"], context["resourcePath"]) == ("POST", "/qa")
    json.dumps(event)


def test_what_is_empty_is_null_as_api_gateway_sends_it() -> None:
    event = proxy_event.event_of(call(query_string=b"", headers=[], client=None), b"", "/qa", {})
    assert event["body"] is None
    assert event["headers"] is None
    assert event["queryStringParameters"] is None


@given(st.binary())
def test_every_body_comes_back_from_the_event(body: bytes) -> None:
    event = proxy_event.event_of(call(), body, "/qa", {})
    text = event["body"] or ""
    assert (base64.b64decode(text) if event["isBase64Encoded"] else text.encode()) == body


def answer(value: Any) -> Any:
    return proxy_event.answer_of(json.dumps(value).encode())


def test_an_answer_is_a_response() -> None:
    found, serialised = answer(
        {
            "statusCode": 201,
            "headers": {"Content-Type": "text/plain", "X-One": 1, "Content-Length": "99"},
            "multiValueHeaders": {"Set-Cookie": ["a=1", "b=2"]},
            "body": "ä",
        }
    )
    assert (found.status, found.body, serialised) == (201, "ä".encode(), False)
    assert (b"content-type", b"text/plain") in found.headers
    assert [value for name, value in found.headers if name == b"set-cookie"] == [b"a=1", b"b=2"]
    assert (b"x-one", b"1") in found.headers
    assert b"content-length" not in dict(found.headers)


@pytest.mark.parametrize(
    ("body", "expected", "is_object"),
    [(None, b"", False), ({"a": "é"}, '{"a": "é"}'.encode(), True), ([1], b"[1]", True), (3, b"3", True)],
)
def test_bodies(body: Any, expected: bytes, is_object: bool) -> None:
    found, serialised = answer({"statusCode": "200", "body": body})
    assert (found.body, serialised) == (expected, is_object)
    assert dict(found.headers)[b"content-type"] == b"application/json"


def test_a_base64_body_is_decoded() -> None:
    found, _ = answer({"statusCode": 200, "body": "/wA=", "isBase64Encoded": True})
    assert found.body == b"\xff\x00"


@pytest.mark.parametrize(
    "value",
    [
        None,
        [],
        "text",
        {},
        {"body": "x"},
        {"statusCode": None},
        {"statusCode": True},
        {"statusCode": "abc"},
        {"statusCode": 99},
        {"statusCode": 1000},
        {"statusCode": 200, "headers": []},
        {"statusCode": 200, "multiValueHeaders": {"a": "b"}},
        {"statusCode": 200, "headers": {"a b": "x"}},
        {"statusCode": 200, "headers": {"": "x"}},
        {"statusCode": 200, "headers": {"x": "a\r\nset-cookie: b"}},
        {"statusCode": 200, "body": "%%%", "isBase64Encoded": True},
    ],
)
def test_what_api_gateway_calls_malformed(value: Any) -> None:
    with pytest.raises(Malformed):
        answer(value)


def test_an_answer_that_is_not_json_is_malformed() -> None:
    with pytest.raises(Malformed):
        proxy_event.answer_of(b"\xff")


anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)


@given(
    st.fixed_dictionaries(
        {},
        optional={
            "statusCode": st.integers(0, 700) | anything,
            "headers": st.dictionaries(st.text(max_size=8), anything, max_size=3) | anything,
            "multiValueHeaders": st.dictionaries(st.text(max_size=8), st.lists(anything, max_size=2))
            | anything,
            "body": anything,
            "isBase64Encoded": anything,
        },
    )
)
def test_no_answer_breaks_the_mapping(value: dict[str, Any]) -> None:
    try:
        found, _ = answer(value)
    except Malformed:
        return
    assert 200 <= found.status <= 599
    for name, text in found.headers:
        assert name.isascii()
        assert b"\n" not in text
        assert b"\r" not in text
