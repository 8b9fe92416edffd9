"""The Function URL front."""

from __future__ import annotations

from typing import Any

import pytest

from firstlight.gateway.app import create_app
from firstlight.gateway.streams import HTTP_INTEGRATION
from firstlight.invoke.types import REQUEST_LIMIT, Throttled
from firstlight.project import Project
from gateways import Client, TableInvoker, failed, streamed

QA = "/lambda-url/qa/ask"
PRELUDE = b'{"statusCode": 201, "headers": {"content-type": "text/plain"}, "cookies": ["a=1"]}' + bytes(8)


async def test_an_answer(fronts: Client, invoker: TableInvoker) -> None:
    invoker.table["qa"] = {"statusCode": 200, "headers": {"Date": "x"}, "cookies": ["a=1"], "body": "body123"}
    response = await fronts("POST", f"{QA}?a=1", b"text", {"content-type": "text/plain", "cookie": "b=2"})
    assert (response.status, response.text) == (200, "body123")
    assert response.headers["content-type"] == "application/json"
    assert (response.headers["x-amzn-remapped-date"], response.headers["set-cookie"]) == ("x", "a=1")
    event = invoker.event
    assert (event["rawPath"], event["body"], event["isBase64Encoded"]) == ("/ask", "text", False)
    assert event["cookies"] == ["b=2"]
    assert (event["requestContext"]["accountId"], event["requestContext"]["domainPrefix"]) == (
        "anonymous",
        "qa",
    )
    assert "pathParameters" not in event
    assert response.headers["x-amzn-requestid"] == event["requestContext"]["requestId"]
    assert response.headers["x-amzn-trace-id"] == event["headers"]["x-amzn-trace-id"]


@pytest.mark.parametrize(
    ("answer", "body"),
    [
        ({"hello": "world"}, b'{"hello": "world"}'),
        (["hello", 3, True], b'["hello", 3, true]'),
        ("hello", b"hello"),
        (3, b"3"),
        (3.1, b"3.1"),
        (True, b"true"),
    ],
)
async def test_an_answer_that_is_inferred(
    fronts: Client, invoker: TableInvoker, answer: Any, body: bytes
) -> None:
    invoker.table["qa"] = answer
    response = await fronts("GET", "/lambda-url/qa/")
    assert (response.status, response.body) == (200, body)
    assert response.headers["content-type"] == "application/json"


@pytest.mark.parametrize("status", ["418", 418])
async def test_a_status_may_be_text(fronts: Client, invoker: TableInvoker, status: Any) -> None:
    invoker.table["qa"] = {"statusCode": status, "body": "i'm a teapot", "isBase64Encoded": False}
    response = await fronts("POST", QA, {})
    assert (response.status, response.text) == (418, "i'm a teapot")


@pytest.mark.parametrize(
    "answer",
    [
        failed(),
        failed("Sandbox.Timedout", "Task timed out"),
        {"statusCode": 200, "body": {"an": "object"}},
    ],
)
async def test_what_the_function_does_wrong(fronts: Client, invoker: TableInvoker, answer: Any) -> None:
    invoker.table["qa"] = answer
    response = await fronts("POST", QA, {})
    assert (response.status, response.text) == (502, "Internal Server Error")


async def test_no_room(fronts: Client, invoker: TableInvoker) -> None:
    invoker.table["qa"] = Throttled(
        "busy", reason="ReservedFunctionConcurrentInvocationLimitExceeded", retry_after=2
    )
    response = await fronts("POST", QA, {})
    assert response.status == 429
    assert response.json()["Reason"] == "ReservedFunctionConcurrentInvocationLimitExceeded"
    assert (response.headers["retry-after"], response.headers["x-amzn-errortype"]) == (
        "2",
        "TooManyRequestsException",
    )


async def test_other_failures(fronts: Client, invoker: TableInvoker) -> None:
    invoker.table["qa"] = RuntimeError("a bug")
    assert (await fronts("GET", QA)).status == 500
    response = await fronts("POST", QA, b"x" * (REQUEST_LIMIT + 1))
    assert response.status == 413
    assert "6291456 bytes" in response.json()["Message"]
    assert len(invoker.seen) == 1


async def test_a_url_that_does_not_exist(fronts: Client) -> None:
    response = await fronts("GET", "/lambda-url/nope/")
    assert (response.status, response.text) == (403, '{"Message":null}')
    assert response.headers["x-amzn-errortype"] == "AccessDeniedException"


async def test_a_stream_is_buffered(fronts: Client, invoker: TableInvoker) -> None:
    invoker.table["qa"] = streamed(PRELUDE + b"one ", b"two", content_type=HTTP_INTEGRATION)
    response = await fronts("GET", QA)
    assert (response.status, response.body, len(response.pieces)) == (201, b"one two", 1)
    assert (response.headers["content-length"], response.headers["set-cookie"]) == ("7", "a=1")


async def test_response_stream_mode(serving: Any, invoker: TableInvoker) -> None:
    client = serving(kind="url", stream=True)
    invoker.table["qa"] = streamed(PRELUDE + b"one ", b"two", content_type=HTTP_INTEGRATION)
    response = await client("GET", QA)
    assert (response.status, response.pieces) == (201, [b"one ", b"two", b""])
    invoker.table["qa"] = streamed(b"\xff", b"two", content_type="application/octet-stream")
    response = await client("GET", QA)
    assert (response.status, response.pieces) == (200, [b"\xff", b"two", b""])
    assert response.headers["content-type"] == "application/octet-stream"
    # Recorded: an answer that does not stream is not looked into.
    invoker.table["qa"] = {"statusCode": 418, "body": "x"}
    response = await client("GET", QA)
    assert (response.status, response.json()) == (200, {"statusCode": 418, "body": "x"})


async def test_who_has_not_signed_is_told_where_to_read_on(serving: Any, invoker: TableInvoker) -> None:
    client = serving(auth="iam")
    response = await client("GET", QA)
    assert response.status == 403
    assert response.json()["Message"].startswith("Forbidden. For troubleshooting")
    assert response.headers["x-amzn-errortype"] == "AccessDeniedException"
    response = await client("GET", QA, headers={"authorization": "Bearer x"})
    assert response.json()["message"].startswith("Invalid key=value pair")
    assert response.headers["x-amzn-errortype"] == "IncompleteSignatureException"
    assert invoker.seen == []


async def test_the_host_may_name_the_endpoint(project: Project, invoker: TableInvoker) -> None:
    client = Client(create_app(project, invoker))
    invoker.table["qa"] = "hello"
    there = {"host": "qa.lambda-url.localhost:8400"}
    response = await client("GET", "/v1/models%20?a=1", headers=there)
    assert (response.status, response.body) == (200, b"hello")
    assert (invoker.event["rawPath"], invoker.event["rawQueryString"]) == ("/v1/models%20", "a=1")
    assert invoker.event["requestContext"]["domainName"] == "qa.lambda-url.localhost:8400"
    assert (await client("GET", "/lambda-url/qa/x", headers=there)).status == 200
    assert invoker.event["rawPath"] == "/lambda-url/qa/x"
    for host in (
        "qa.lambda-url.localhost.evil.org",
        "qa.lambda-url.localhost@x",
        ".lambda-url.localhost",
        "evil.org",
    ):
        assert (await client("GET", "/", headers={"host": host})).status == 403
