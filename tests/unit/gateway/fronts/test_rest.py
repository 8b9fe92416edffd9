"""The REST API front: what a caller gets, in the words of API Gateway."""

from __future__ import annotations

from typing import Any

import pytest

from firstlight.gateway.fronts.keys import Keys, Limits
from firstlight.gateway.streams import HTTP_INTEGRATION
from firstlight.invoke.types import REQUEST_LIMIT, Throttled
from firstlight.runtime.errors import WorkerFailed
from firstlight.versions.types import Target
from gateways import Client, TableInvoker, failed, streamed

QA = "/rest-api/qa/ask"
ERROR = {"message": "Internal server error"}
PRELUDE = b'{"statusCode": 201, "headers": {"content-type": "text/plain"}, "cookies": ["a=1"]}' + bytes(8)


async def test_an_answer(fronts: Client, invoker: TableInvoker) -> None:
    invoker.table["qa"] = {
        "statusCode": 201,
        "headers": {"X-One": 1, "Content-Length": "99", "WWW-Authenticate": "Basic"},
        "body": '{"a": 1}',
    }
    response = await fronts("POST", f"{QA}/more%20/?x=1", {"question": "q"})
    assert (response.status, response.json(), response.headers["x-one"]) == (201, {"a": 1}, "1")
    assert response.headers["content-type"] == "application/json"
    assert response.headers["x-amzn-remapped-www-authenticate"] == "Basic"
    assert response.headers["x-amzn-remapped-content-length"] == "99"
    assert response.headers["content-length"] == "8"
    event = invoker.event
    assert (event["resource"], event["path"]) == ("/{proxy+}", "/ask/more%20/")
    assert event["pathParameters"] == {"proxy": "ask/more%20"}
    assert event["queryStringParameters"] == {"x": "1"}
    context = event["requestContext"]
    assert response.headers["x-amzn-requestid"] == context["requestId"] == invoker.seen[0].request_id
    assert response.headers["x-amz-apigw-id"] == context["extendedRequestId"]
    assert response.headers["x-amzn-trace-id"].startswith("Root=1-")
    assert invoker.seen[0].wire == "rest-api"


@pytest.mark.parametrize("path", ["/rest-api/qa", "/rest-api/qa/"])
async def test_the_root_is_a_resource_of_its_own(fronts: Client, invoker: TableInvoker, path: str) -> None:
    invoker.table["qa"] = {}
    assert (await fronts("GET", path)).status == 200
    assert (invoker.event["resource"], invoker.event["path"]) == ("/", "/")
    assert invoker.event["pathParameters"] is None


@pytest.mark.parametrize("path", ["/rest-api/qa:live/ask%20me", "/rest-api/qa%3Alive/ask%20me"])
async def test_an_alias_may_be_asked(serving: Any, invoker: TableInvoker, path: str) -> None:
    client = serving(functions={("qa", "live"): Target("qa", "3", "live")})
    invoker.table["qa"] = {}
    assert (await client("GET", path)).status == 200
    assert (invoker.seen[0].version, invoker.seen[0].qualifier) == ("3", "live")
    assert invoker.event["path"] == "/ask%20me"
    assert (await client("GET", "/rest-api/qa:$LATEST/x")).status == 200
    assert invoker.seen[1].version == "$LATEST"
    assert (await client("GET", "/rest-api/qa:nope/x")).status == 403
    assert (await serving()("GET", "/rest-api/qa:live/x")).status == 403


@pytest.mark.parametrize("method", ["GET", "HEAD", "OPTIONS", "PUT", "PATCH", "DELETE"])
async def test_every_method_goes_through(fronts: Client, invoker: TableInvoker, method: str) -> None:
    invoker.table["qa"] = {"statusCode": 204, "body": "dropped"}
    response = await fronts(method, QA)
    assert (response.status, response.body) == (204, b"")
    assert invoker.event["httpMethod"] == method


@pytest.mark.parametrize("path", ["/rest-api/nope/x", "/rest-api/", "/rest-api/../x"])
async def test_what_no_resource_has(fronts: Client, path: str) -> None:
    response = await fronts("GET", path)
    assert (response.status, response.json()) == (403, {"message": "Missing Authentication Token"})
    assert response.headers["x-amzn-errortype"] == "MissingAuthenticationTokenException"


@pytest.mark.parametrize(
    ("answer", "status"),
    [
        ({"statusCode": 200, "body": {"an": "object"}}, 502),
        ({"no": "field of a response"}, 502),
        ("text", 502),
        (None, 502),
        (b"not json", 502),
        ({"statusCode": 200, "body": "%", "isBase64Encoded": True}, 502),
        (failed(), 502),
        (failed("Sandbox.Timedout", "Task timed out"), 502),
        (Throttled("busy", reason="x"), 500),
        (WorkerFailed("no worker"), 502),
        (RuntimeError("a bug"), 500),
    ],
)
async def test_whatever_goes_wrong_behind_it(
    fronts: Client, invoker: TableInvoker, answer: Any, status: int
) -> None:
    invoker.table["qa"] = answer
    response = await fronts("POST", QA, {}, {"accept": "image/png"})
    assert (response.status, response.json()) == (status, ERROR)
    assert response.headers["x-amzn-errortype"] == "InternalServerErrorException"
    assert response.headers["x-amzn-requestid"]


async def test_requests_that_are_too_long(fronts: Client, invoker: TableInvoker) -> None:
    response = await fronts("POST", QA, b"x" * REQUEST_LIMIT)
    assert (response.status, response.json()) == (413, {"message": "Request Too Long"})
    response = await fronts("POST", QA, b"x" * 10_485_761)
    assert (response.status, response.text) == (413, "HTTP content length exceeded 10485760 bytes.")
    assert response.headers["content-type"] == "text/plain"
    response = await fronts("POST", QA, b"", {"content-length": "999999999"})
    assert (response.status, response.headers["connection"]) == (413, "close")
    assert invoker.seen == []


async def test_base64_is_decoded_for_whom_accept_says_so(fronts: Client, invoker: TableInvoker) -> None:
    picture = {"headers": {"content-type": "image/png"}, "body": "/wA=", "isBase64Encoded": True}
    invoker.table["qa"] = picture
    assert (await fronts("GET", QA, headers={"accept": "image/png,*/*"})).body == b"\xff\x00"
    assert (await fronts("GET", QA, headers={"accept": "text/html,image/png"})).body == b"/wA="
    assert (await fronts("GET", QA)).body == b"/wA="


async def test_bytes_that_no_binary_type_announces_are_lost_and_said_so_once(
    fronts: Client, invoker: TableInvoker, caplog: pytest.LogCaptureFixture
) -> None:
    invoker.table["qa"] = {}
    for _ in range(2):
        await fronts("POST", QA, b"\xff", {"content-type": "application/json"})
    assert invoker.event["body"] == "\ufffd"
    assert len([record for record in caplog.records if "octet-stream" in record.getMessage()]) == 1
    await fronts("POST", QA, b"\xff", {"content-type": "audio/wav"})
    assert (invoker.event["body"], invoker.event["isBase64Encoded"]) == ("/w==", True)


async def test_a_query_with_too_many_fields(fronts: Client) -> None:
    response = await fronts("GET", QA + "?" + "&".join("a=1" for _ in range(201)))
    assert (response.status, response.json()) == (400, {"message": "Bad Request"})


async def test_a_stream_is_answered_whole(fronts: Client, invoker: TableInvoker) -> None:
    invoker.table["qa"] = streamed(PRELUDE + b"one ", b"two", content_type=HTTP_INTEGRATION)
    response = await fronts("GET", QA)
    assert (response.status, response.body, len(response.pieces)) == (201, b"one two", 1)
    assert (response.headers["content-length"], response.headers["set-cookie"]) == ("7", "a=1")
    invoker.table["qa"] = streamed(b'{"statusCode"', b": 202}")
    assert (await fronts("GET", QA)).status == 202


@pytest.mark.parametrize(
    "answer",
    [
        streamed(b"text"),
        streamed(b"no prelude", content_type=HTTP_INTEGRATION),
        streamed(PRELUDE, b"half", content_type=HTTP_INTEGRATION, function_error="Unhandled", payload=b"{}"),
        streamed(PRELUDE, *[b"x" * 1_000_000] * 7, content_type=HTTP_INTEGRATION),
    ],
)
async def test_streams_that_are_no_answer(fronts: Client, invoker: TableInvoker, answer: Any) -> None:
    invoker.table["qa"] = answer
    response = await fronts("GET", QA)
    assert (response.status, response.json()) == (502, ERROR)


async def test_stream_mode(serving: Any, invoker: TableInvoker) -> None:
    client = serving(stream=True)
    invoker.table["qa"] = streamed(PRELUDE + b"one ", b"two", content_type=HTTP_INTEGRATION)
    response = await client("GET", QA)
    assert (response.status, response.pieces) == (201, [b"one ", b"two", b""])
    assert "content-length" not in response.headers
    invoker.table["qa"] = streamed(PRELUDE + b"one", content_type="application/octet-stream")
    assert (await client("GET", QA)).status == 201
    for answer in (
        streamed(b"x" * 20_000 + PRELUDE),
        streamed(b"text"),
        {"statusCode": 200},
        streamed(b"x", content_type=HTTP_INTEGRATION),
    ):
        invoker.table["qa"] = answer
        response = await client("GET", QA)
        assert (response.status, response.json()) == (502, ERROR)


async def test_api_keys(serving: Any, invoker: TableInvoker, keys: Keys, clock: Any) -> None:
    client = serving(auth="key")
    invoker.table["qa"] = {}
    key, value = keys.create("app", "api", Limits(rate=1, burst=2, quota=3, period="day"))
    iam, _ = keys.create("bob", "iam")
    for headers in ({}, {"x-api-key": "wrong"}, {"x-api-key": iam.id}):
        response = await client("GET", QA, headers=headers)
        assert (response.status, response.json()) == (403, {"message": "Forbidden"})
        assert response.headers["x-amzn-errortype"] == "ForbiddenException"
    assert invoker.seen == []
    sent = {"x-api-key": value}
    assert [(await client("GET", QA, headers=sent)).status for _ in range(3)] == [200, 200, 429]
    identity = invoker.event["requestContext"]["identity"]
    assert (identity["apiKey"], identity["apiKeyId"]) == (value, key.id)
    response = await client("GET", QA, headers=sent)
    assert response.json() == {"message": "Too Many Requests"}
    assert response.headers["x-amzn-errortype"] == "TooManyRequestsException"
    clock.now += 60
    assert (await client("GET", QA, headers=sent)).status == 200
    response = await client("GET", QA, headers=sent)
    assert (response.status, response.json()) == (429, {"message": "Limit Exceeded"})
    assert response.headers["x-amzn-errortype"] == "LimitExceededException"
    clock.now += 24 * 3600
    assert (await client("GET", QA, headers=sent)).status == 200
    keys.delete("app")
    assert (await client("GET", QA, headers=sent)).status == 403


@pytest.mark.parametrize(
    ("path", "status", "body"),
    [
        ("/http-api/qa/x", 403, {"message": "Forbidden"}),
        ("/lambda-url/qa/x", 403, None),
    ],
)
async def test_an_endpoint_with_api_keys_has_no_other_way_in(
    serving: Any, invoker: TableInvoker, keys: Keys, path: str, status: int, body: Any
) -> None:
    _, value = keys.create("app", "api")
    response = await serving(auth="key")("GET", path, headers={"x-api-key": value})
    assert response.status == status
    assert body is None or response.json() == body
    assert invoker.seen == []
