"""Events of AWS's HTTP fronts as requests, and responses as what these fronts read."""

from __future__ import annotations

import base64
import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from firstlight.gateway.asgi import BODY, Call, query_pairs
from firstlight.gateway.aws import answers, requests
from firstlight.runtime.errors import InvalidInput
from front_events import rest_event, url_event


def test_a_function_url_streams():
    event = url_event(
        path="/models/a%2Fb",
        query="x=1&y=%20",
        body="né",
        headers={"content-type": "text/plain"},
        cookies=["a=1", "b=2"],
    )
    arrived = requests.read(event)
    scope = arrived.scope
    assert (arrived.version, arrived.streams) == (2, True)
    assert (scope["method"], scope["path"], scope["raw_path"]) == ("POST", "/models/a/b", b"/models/a%2Fb")
    assert (scope["query_string"], scope["client"][0], scope["scheme"]) == (
        b"x=1&y=%20",
        "192.0.2.1",
        "https",
    )
    assert scope[BODY] == "né".encode()
    call = Call(scope, None)
    assert (call.header(b"cookie"), call.header(b"content-length")) == ("a=1; b=2", "3")


@pytest.mark.parametrize(("stage", "path"), [("$default", "/prod/x y"), ("prod", "/x y")])
def test_an_http_api_answers_whole_and_has_its_stage_before_the_path(stage, path):
    event = url_event(path="/prod/x y")
    event["requestContext"] |= {"domainName": "id.execute-api.eu-central-1.amazonaws.com", "stage": stage}
    arrived = requests.read(event)
    assert (arrived.version, arrived.streams, arrived.scope["path"]) == (2, False, path)
    assert b" " not in arrived.scope["raw_path"]


def test_a_rest_api_streams_and_has_several_values():
    arrived = requests.read(rest_event())
    assert (arrived.version, arrived.streams, arrived.multiple) == (1, True, False)
    assert (b"x-one", b"1") in arrived.scope["headers"]
    assert (b"x-one", b"2") in arrived.scope["headers"]
    assert query_pairs(arrived.scope["query_string"]) == [("q", "a&"), ("q", "b c")]
    assert (arrived.scope["path"], arrived.scope["raw_path"]) == ("/a b/c", b"/a%20b/c")
    assert not requests.read(rest_event(version="1.0")).streams


def test_a_load_balancer_leaves_the_query_as_it_was_sent():
    event = rest_event(requestContext={"elb": {}}, multiValueQueryStringParameters={"q": ["b%20c"]})
    arrived = requests.read(event)
    assert (arrived.streams, arrived.multiple) == (False, True)
    assert arrived.scope["query_string"] == b"q=b%20c"
    plain = requests.read({**event, "multiValueHeaders": None, "multiValueQueryStringParameters": None})
    assert not plain.multiple


def test_a_body_may_be_base64():
    event = url_event(body=base64.b64encode(b"\x00\xff").decode(), isBase64Encoded=True)
    assert requests.read(event).scope[BODY] == b"\x00\xff"


@pytest.mark.parametrize(
    "event",
    [
        {"inputs": "x"},
        [],
        None,
        {"requestContext": {}},
        {"requestContext": {}, "version": "2.0"},
        url_event(body="?", isBase64Encoded=True),
    ],
)
def test_any_other_event_is_refused(event):
    with pytest.raises(InvalidInput):
        requests.read(event)


JSON = st.none() | st.integers() | st.text(max_size=3) | st.just([None]) | st.just({"Ā": {"a": 1}})


@settings(max_examples=60)
@given(st.dictionaries(st.sampled_from(sorted(rest_event() | url_event())), JSON))
def test_garbage_is_refused_and_nothing_else(changes):
    for event in (rest_event(), url_event()):
        try:
            requests.read({**event, **changes})
        except InvalidInput:
            continue


HEADERS = [
    (b"Content-Type", b"text/plain"),
    (b"vary", b"a"),
    (b"vary", b"b"),
    (b"content-length", b"2"),
    (b"set-cookie", b"a=1"),
    (b"set-cookie", b"b=2"),
]


def test_a_whole_answer_has_the_form_of_its_front():
    second = answers.whole(requests.read(url_event()), 201, HEADERS, b"ok")
    assert second == {
        "statusCode": 201,
        "body": "ok",
        "isBase64Encoded": False,
        "headers": {"content-type": "text/plain", "vary": "a, b"},
        "cookies": ["a=1", "b=2"],
    }
    first = answers.whole(requests.read(rest_event()), 200, HEADERS, b"\xff")
    assert (first["body"], first["isBase64Encoded"]) == (base64.b64encode(b"\xff").decode(), True)
    assert first["multiValueHeaders"]["set-cookie"] == ["a=1", "b=2"]
    assert first["multiValueHeaders"]["vary"] == ["a, b"]
    assert "headers" not in first
    assert "multiValueHeaders" not in answers.whole(requests.read(rest_event()), 200, HEADERS[:1], b"")
    balanced = requests.read(rest_event(requestContext={"elb": {}}))
    assert answers.whole(balanced, 200, HEADERS[:1], b"")["multiValueHeaders"] == {
        "content-type": ["text/plain"]
    }
    json.dumps([first, second])


@pytest.mark.parametrize("source", ["aws.scheduler", "aws.events"])
def test_a_schedule_is_a_ping(source):
    assert requests.is_ping({"source": source})
    assert not requests.is_ping({"source": "mine"})
    assert not requests.is_ping("aws.events")
