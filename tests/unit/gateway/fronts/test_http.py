"""The HTTP API front."""

from __future__ import annotations

from typing import Any

import pytest

from firstlight.gateway.streams import HTTP_INTEGRATION
from firstlight.invoke.types import REQUEST_LIMIT, Throttled
from gateways import Client, TableInvoker, failed, streamed

QA = "/http-api/qa/ask"
ERROR = {"message": "Internal Server Error"}


async def test_an_answer(fronts: Client, invoker: TableInvoker) -> None:
    invoker.table["qa"] = {
        "statusCode": 201,
        "headers": {"Date": "x", "X-A": "b"},
        "cookies": ["a=1"],
        "body": "hi",
    }
    response = await fronts("POST", f"{QA}%20x?a=1&a=2", {"q": 1}, {"content-type": "application/json"})
    assert (response.status, response.text) == (201, "hi")
    assert response.headers["content-type"] == "text/plain; charset=utf-8"
    assert (response.headers["x-a"], response.headers["set-cookie"]) == ("b", "a=1")
    assert "date" not in response.headers
    event = invoker.event
    assert (event["version"], event["rawPath"], event["body"]) == ("2.0", "/ask x", '{"q": 1}')
    assert (event["routeKey"], event["requestContext"]["accountId"]) == ("$default", "000000000000")
    assert response.headers["apigw-requestid"] == event["requestContext"]["requestId"]
    assert invoker.seen[0].wire == "http-api"


@pytest.mark.parametrize(
    ("answer", "body"), [({"hello": "world"}, b'{"hello": "world"}'), ("hello", b"hello"), (None, b"null")]
)
async def test_an_answer_that_is_inferred(
    fronts: Client, invoker: TableInvoker, answer: Any, body: bytes
) -> None:
    invoker.table["qa"] = answer
    response = await fronts("GET", QA)
    assert (response.status, response.body) == (200, body)
    assert response.headers["content-type"] == "application/json"


async def test_a_form_travels_as_base64_and_base64_comes_back_as_bytes(
    fronts: Client, invoker: TableInvoker
) -> None:
    invoker.table["qa"] = {"statusCode": 200, "body": "/wA=", "isBase64Encoded": True}
    form = {"content-type": "application/x-www-form-urlencoded"}
    assert (await fronts("POST", QA, b"a=1", form)).body == b"\xff\x00"
    assert (invoker.event["body"], invoker.event["isBase64Encoded"]) == ("YT0x", True)


@pytest.mark.parametrize(
    ("answer", "status", "body"),
    [
        ({"statusCode": 200, "body": {"an": "object"}}, 500, ERROR),
        ({"statusCode": "x"}, 500, ERROR),
        (failed(), 500, ERROR),
        (failed("Sandbox.Timedout", "Task timed out"), 500, ERROR),
        (Throttled("busy", reason="x"), 503, {"message": "Service Unavailable"}),
        (RuntimeError("a bug"), 500, ERROR),
    ],
)
async def test_whatever_goes_wrong_behind_it(
    fronts: Client, invoker: TableInvoker, answer: Any, status: int, body: Any
) -> None:
    invoker.table["qa"] = answer
    response = await fronts("GET", QA)
    assert (response.status, response.json()) == (status, body)
    assert response.headers["apigw-requestid"]


async def test_requests_that_are_too_long(fronts: Client, invoker: TableInvoker) -> None:
    for size in (REQUEST_LIMIT, 10_485_761):
        response = await fronts("POST", QA, b"x" * size, {"content-type": "text/plain"})
        assert (response.status, response.json()) == (413, {"message": "Request Entity Too Large"})
    assert invoker.seen == []


async def test_what_no_route_has(fronts: Client) -> None:
    response = await fronts("GET", "/http-api/nope")
    assert (response.status, response.json()) == (404, {"message": "Not Found"})


async def test_it_does_not_stream(serving: Any, invoker: TableInvoker) -> None:
    invoker.table["qa"] = streamed(
        b'{"statusCode": 202}' + bytes(8) + b"one ", b"two", content_type=HTTP_INTEGRATION
    )
    response = await serving(stream=True)("GET", QA)
    assert (response.status, response.body, len(response.pieces)) == (202, b"one two", 1)
    invoker.table["qa"] = streamed(b"one ", b"two", content_type="text/plain")
    assert (await serving()("GET", QA)).body == b"one two"


async def test_nobody_is_told_why_it_is_forbidden(serving: Any, invoker: TableInvoker) -> None:
    for headers in ({}, {"authorization": "Bearer x"}):
        response = await serving(auth="iam")("GET", QA, headers=headers)
        assert (response.status, response.json()) == (403, {"message": "Forbidden"})
    assert invoker.seen == []
