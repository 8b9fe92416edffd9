"""A handler's answer as an HTTP response, compared with what was recorded on AWS."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from firstlight.gateway.fronts import answers, headers
from firstlight.gateway.streams import Malformed


def first(value: Any, lenient: bool = False) -> answers.Parsed:
    return answers.version_1(json.dumps(value).encode(), lenient)


def second(value: Any) -> answers.Parsed:
    return answers.version_2(json.dumps(value).encode())


@pytest.mark.parametrize(
    ("value", "status", "body"),
    [
        ({}, 200, b""),
        ({"statusCode": 200}, 200, b""),
        ({"headers": {"test-header": "value"}}, 200, b""),
        ({"statusCode": "201", "body": "ä"}, 201, "ä".encode()),
        ({"statusCode": 200, "body": None}, 200, b""),
        ({"statusCode": 200, "body": 3}, 200, b"3"),
        ({"statusCode": 200, "body": True}, 200, b"true"),
    ],
)
def test_version_1(value: Any, status: int, body: bytes) -> None:
    for lenient in (False, True):
        parsed = first(value, lenient)
        assert (parsed.status, parsed.body) == (status, body)


@pytest.mark.parametrize(
    "value",
    [
        None,
        [],
        "text",
        3,
        {"no": "status"},
        {"statusCode": True},
        {"statusCode": "abc"},
        {"statusCode": 99},
        {"statusCode": 1000},
        {"statusCode": 200, "headers": []},
        {"statusCode": 200, "headers": {"x": {"an": "object"}}},
        {"statusCode": 200, "multiValueHeaders": {"a": "b"}},
        {"statusCode": 200, "headers": {"a b": "x"}},
        {"statusCode": 200, "headers": {"": "x"}},
        {"statusCode": 200, "headers": {"x": "a\r\nset-cookie: b"}},
    ],
)
def test_what_both_a_rest_api_and_a_route_call_malformed(value: Any) -> None:
    for lenient in (False, True):
        with pytest.raises(Malformed):
            first(value, lenient)


@pytest.mark.parametrize(
    "value",
    [
        {"statusCode": 200, "body": {"a": "é"}},
        {"statusCode": 200, "body": [1]},
        {"statusCode": 200, "cookies": []},
    ],
)
def test_what_a_rest_api_calls_malformed_and_a_route_serves(value: Any) -> None:
    with pytest.raises(Malformed):
        first(value)
    assert first(value, lenient=True).status == 200


def test_an_object_that_a_route_serves_is_noted() -> None:
    parsed = first({"statusCode": 200, "body": {"a": "é"}}, lenient=True)
    assert (parsed.body, parsed.serialised) == ('{"a": "é"}'.encode(), True)


@pytest.mark.parametrize(
    ("value", "body"),
    [
        ({"hello": "world"}, b'{"hello": "world"}'),
        (["hello", 3, True], b'["hello", 3, true]'),
        ("hello", b"hello"),
        (3, b"3"),
        (3.1, b"3.1"),
        (True, b"true"),
        (None, b"null"),
    ],
)
def test_version_2_infers(value: Any, body: bytes) -> None:
    parsed = second(value)
    assert (parsed.status, parsed.body, parsed.content_type) == (200, body, b"application/json")


def test_version_2_structured() -> None:
    value = {"statusCode": 418, "headers": {"X-A": 1}, "cookies": ["a=1", "b=2; Path=/"], "body": "tea"}
    parsed = second({**value, "multiValueHeaders": {"X-B": ["ignored"]}})
    assert (parsed.status, parsed.body, parsed.content_type) == (418, b"tea", None)
    assert parsed.headers == [(b"x-a", b"1"), (b"set-cookie", b"a=1"), (b"set-cookie", b"b=2; Path=/")]


@pytest.mark.parametrize(
    "value",
    [
        {"statusCode": 200, "body": {}},
        {"statusCode": 200, "cookies": "a=1"},
        {"statusCode": 200, "cookies": [1]},
        {"statusCode": 200, "cookies": ["a\r\nb"]},
        {"statusCode": "x"},
    ],
)
def test_what_version_2_calls_malformed(value: Any) -> None:
    with pytest.raises(Malformed):
        second(value)


def test_what_is_not_json() -> None:
    with pytest.raises(Malformed):
        answers.version_1(b"\xff")
    assert answers.version_2(b'{"half"').body == b'{"half"'


def test_base64() -> None:
    parsed = first({"body": "/wA=", "isBase64Encoded": True})
    assert (parsed.encoded, parsed.decoded()) == (True, b"\xff\x00")
    with pytest.raises(Malformed):
        first({"body": "%%%", "isBase64Encoded": True}).decoded()


def test_headers_are_merged_as_api_gateway_does() -> None:
    value = {
        "headers": {"X-A": "one", "x-b": "b", "X-None": None, "X-True": True},
        "multiValueHeaders": {"X-A": ["two", "three"], "X-B": ["b"]},
    }
    assert headers.collected(value) == [
        (b"x-a", b"two"),
        (b"x-a", b"three"),
        (b"x-a", b"one"),
        (b"x-b", b"b"),
        (b"x-true", b"true"),
    ]


def test_headers_that_are_the_gateways_own() -> None:
    given_ = [
        (b"connection", b"a"),
        (b"date", b"b"),
        (b"www-authenticate", b"c"),
        (b"transfer-encoding", b"d"),
        (b"x", b"e"),
    ]
    assert headers.remapped(given_) == [
        (b"x-amzn-remapped-connection", b"a"),
        (b"x-amzn-remapped-date", b"b"),
        (b"x-amzn-remapped-www-authenticate", b"c"),
        (b"x", b"e"),
    ]
    assert headers.own(given_) == [(b"www-authenticate", b"c"), (b"x", b"e")]


anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)
responses = st.fixed_dictionaries(
    {},
    optional={
        "statusCode": st.integers(0, 700) | anything,
        "headers": st.dictionaries(st.text(max_size=8), anything, max_size=3) | anything,
        "multiValueHeaders": st.dictionaries(st.text(max_size=8), st.lists(anything, max_size=2)) | anything,
        "cookies": st.lists(st.text(max_size=5), max_size=2) | anything,
        "body": anything,
        "isBase64Encoded": anything,
    },
)


@given(responses | anything)
def test_no_answer_breaks_the_mapping(value: Any) -> None:
    payload = json.dumps(value).encode()
    for parse in (
        answers.version_1,
        lambda given_: answers.version_1(given_, lenient=True),
        answers.version_2,
    ):
        try:
            parsed = parse(payload)
            if parsed.encoded:
                parsed.decoded()
        except Malformed:
            continue
        assert 200 <= parsed.status <= 599
        for name, text in headers.completed(headers.remapped(parsed.headers or []), b"text/plain"):
            assert name.isascii()
            assert b"\n" not in text
            assert b"\r" not in text
