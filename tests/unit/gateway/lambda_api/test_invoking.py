from __future__ import annotations

import base64
import json
from collections.abc import Callable
from typing import Any

import pytest
from botocore.eventstream import EventStreamBuffer

from firstlight.invoke.types import REQUEST_LIMIT, Reply, Throttled
from firstlight.runtime.errors import EngineError
from gateways import Client, TableInvoker, failed, report, streamed

INVOKE = "/2015-03-31/functions/{}/invocations"


async def test_the_answer_is_the_functions_own_bytes(client: Client, invoker: TableInvoker) -> None:
    invoker.table["sentiment"] = b'{"a":  1}'
    response = await client("POST", INVOKE.format("sentiment"), b'{"inputs": "x"}')
    assert response.status == 200
    assert response.body == b'{"a":  1}'
    assert invoker.seen[0].payload == b'{"inputs": "x"}'
    assert invoker.seen[0].wire == "lambda"
    assert response.headers["x-amzn-requestid"] == invoker.seen[0].request_id
    assert response.headers["x-amz-executed-version"] == "$LATEST"
    assert response.headers["content-type"] == "application/json"
    assert "x-amz-function-error" not in response.headers
    assert "x-amz-log-result" not in response.headers
    assert "engine;dur=3.50" in response.headers["server-timing"]


@pytest.mark.parametrize(
    "name",
    [
        "sentiment",
        "sentiment:$LATEST",
        "arn%3Aaws%3Alambda%3Aus-east-1%3A123456789012%3Afunction%3Asentiment",
    ],
)
async def test_every_way_to_name_it(client: Client, invoker: TableInvoker, name: str) -> None:
    invoker.table["sentiment"] = 1
    assert (await client("POST", INVOKE.format(name) + "?Qualifier=$LATEST", "{}")).body == b"1"


async def test_no_body_is_an_empty_event(client: Client, invoker: TableInvoker) -> None:
    invoker.table["sentiment"] = 1
    await client("POST", INVOKE.format("sentiment"))
    assert invoker.event == {}


async def test_a_function_error_is_status_200_with_a_header(client: Client, invoker: TableInvoker) -> None:
    invoker.table["sentiment"] = failed(stackTrace=["  File x"])
    response = await client("POST", INVOKE.format("sentiment"), "{}")
    assert response.status == 200
    assert response.headers["x-amz-function-error"] == "Unhandled"
    assert response.json()["errorType"] == "ValueError"


async def test_the_log_comes_when_it_is_asked_for(client: Client, invoker: TableInvoker) -> None:
    invoker.table["sentiment"] = lambda sent: Reply(
        sent.request_id, b"1", log=b"START\nEND\n", report=report()
    )
    response = await client("POST", INVOKE.format("sentiment"), "{}", {"x-amz-log-type": "Tail"})
    assert base64.b64decode(response.headers["x-amz-log-result"]) == b"START\nEND\n"
    assert invoker.seen[0].tail


async def test_client_context_and_trace_go_along(client: Client, invoker: TableInvoker) -> None:
    invoker.table["sentiment"] = 1
    context = {"custom": {"who": "é"}}
    headers = {
        "x-amz-client-context": base64.b64encode(json.dumps(context).encode()).decode(),
        "x-amzn-trace-id": "Root=1-2-3",
    }
    await client("POST", INVOKE.format("sentiment"), "{}", headers)
    assert json.loads(invoker.seen[0].client_context or "") == context
    assert (invoker.seen[0].trace_id or "").startswith("Root=1-2-3;Lineage=")


async def test_a_dry_run_runs_nothing(client: Client, invoker: TableInvoker) -> None:
    response = await client("POST", INVOKE.format("sentiment"), "{}", {"x-amz-invocation-type": "DryRun"})
    assert (response.status, response.body, invoker.seen) == (204, b"", [])


@pytest.mark.parametrize("path", [INVOKE.format("sentiment"), "/2014-11-13/functions/sentiment/invoke-async"])
async def test_an_event_is_refused_honestly(client: Client, invoker: TableInvoker, path: str) -> None:
    response = await client("POST", path, "{}", {"x-amz-invocation-type": "Event"})
    assert response.status == 501
    assert response.headers["x-amzn-errortype"] == "ServiceException"
    assert "nothing was queued" in response.json()["Message"]
    assert invoker.seen == []


def huge(size: int) -> bytes:
    return b'"' + b"x" * (size - 2) + b'"'


@pytest.mark.parametrize(
    ("name", "body", "headers", "status", "exception", "expected"),
    [
        (
            "sentiment",
            b"{'a'}",
            {},
            400,
            "InvalidRequestContentException",
            "Could not parse request body into json",
        ),
        (
            "sentiment",
            b"NaN",
            {},
            400,
            "InvalidRequestContentException",
            "Could not parse request body into json",
        ),
        (
            "sentiment",
            b"{}",
            {"x-amz-client-context": "e30"},
            400,
            "InvalidRequestContentException",
            "Base64",
        ),
        (
            "sentiment",
            b"{}",
            {"x-amz-client-context": "W" * 3584},
            400,
            "InvalidRequestContentException",
            "3583",
        ),
        (
            "sentiment",
            b"{}",
            {"x-amz-invocation-type": "Nope"},
            400,
            "ValidationException",
            "enum value",
        ),
        (
            "sentiment",
            b"{}",
            {"x-amz-log-type": "Head"},
            400,
            "ValidationException",
            "enum value set",
        ),
        ("a b", b"{}", {}, 400, "ValidationException", "regular expression"),
        (
            "nope",
            b"{}",
            {},
            404,
            "ResourceNotFoundException",
            "Function not found: arn:aws:lambda:us-east-1:000000000000:function:nope",
        ),
        (
            "sentiment:prod",
            b"{}",
            {},
            404,
            "ResourceNotFoundException",
            "Function not found: arn:aws:lambda:us-east-1:000000000000:function:sentiment:prod",
        ),
        (
            "sentiment",
            huge(REQUEST_LIMIT + 144),
            {},
            413,
            "RequestEntityTooLargeException",
            "6291600 byte payload is too large for the RequestResponse invocation type (limit 6291456 bytes)",
        ),
        (
            "sentiment",
            b"<a/>",
            {"content-type": "text/xml"},
            415,
            "UnsupportedMediaTypeException",
            "not JSON",
        ),
    ],
)
async def test_refusals_in_lambdas_own_words(
    client: Client,
    invoker: TableInvoker,
    name: str,
    body: bytes,
    headers: dict[str, str],
    status: int,
    exception: str,
    expected: str,
) -> None:
    response = await client("POST", INVOKE.format(name.replace(" ", "%20")), body, headers)
    assert response.status == status
    assert response.headers["x-amzn-errortype"] == exception
    found = response.json()
    assert found.get("Type") == (None if exception == "ValidationException" else "User")
    assert expected in (found.get("message") or found["Message"])
    assert invoker.seen == []


async def test_six_megabytes_are_taken(client: Client, invoker: TableInvoker) -> None:
    invoker.table["sentiment"] = 1
    assert (await client("POST", INVOKE.format("sentiment"), huge(REQUEST_LIMIT))).status == 200


async def test_a_throttle_says_why_and_when_to_come_back(client: Client, invoker: TableInvoker) -> None:
    reason = "ReservedFunctionConcurrentInvocationLimitExceeded"
    invoker.table["sentiment"] = Throttled("busy", reason=reason, retry_after=3)
    response = await client("POST", INVOKE.format("sentiment"), "{}")
    assert response.status == 429
    assert response.headers["retry-after"] == "3"
    assert response.headers["x-amzn-errortype"] == "TooManyRequestsException"
    assert response.json() == {"Reason": reason, "Type": "User", "message": "Rate Exceeded."}


@pytest.mark.parametrize("error", [EngineError("no", "try"), RuntimeError("a bug")])
async def test_what_breaks_on_our_side_is_a_service_exception(
    client: Client, invoker: TableInvoker, error: Exception, caplog: pytest.LogCaptureFixture
) -> None:
    invoker.table["sentiment"] = error
    response = await client("POST", INVOKE.format("sentiment"), "{}")
    assert response.status == 500
    assert response.headers["x-amzn-errortype"] == "ServiceException"
    assert response.json()["Type"] == "Service"
    assert "a bug" not in response.text
    invoker.table["sentiment"] = 1
    assert (await client("POST", INVOKE.format("sentiment"), "{}")).status == 200


def events(body: bytes) -> list[tuple[str, bytes]]:
    buffer = EventStreamBuffer()
    buffer.add_data(body)
    return [(message.headers[":event-type"], message.payload) for message in buffer]


STREAM = "/2021-11-15/functions/{}/response-streaming-invocations"


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (streamed(b"a", b"b"), [("PayloadChunk", b"a"), ("PayloadChunk", b"b"), ("InvokeComplete", b"{}")]),
        ({"a": 1}, [("PayloadChunk", b'{"a": 1}'), ("InvokeComplete", b"{}")]),
    ],
)
async def test_streams(
    client: Client, invoker: TableInvoker, answer: Any, expected: list[tuple[str, bytes]]
) -> None:
    invoker.table["sentiment"] = answer
    response = await client("POST", STREAM.format("sentiment"), "{}")
    assert response.headers["content-type"] == "application/vnd.amazon.eventstream"
    assert events(response.body) == expected
    assert len(response.pieces) == len(expected) + 1


async def test_a_stream_that_breaks_off_says_so_at_its_end(client: Client, invoker: TableInvoker) -> None:
    invoker.table["sentiment"] = streamed(
        b"a", function_error="Unhandled", payload=b'{"errorType":"X"}', log=b"L"
    )
    response = await client("POST", STREAM.format("sentiment"), "{}", {"x-amz-log-type": "Tail"})
    name, payload = events(response.body)[-1]
    assert name == "InvokeComplete"
    assert json.loads(payload) == {
        "ErrorCode": "Unhandled",
        "ErrorDetails": '{"errorType":"X"}',
        "LogResult": "TA==",
    }


async def test_a_stream_is_joined_for_a_plain_invoke(client: Client, invoker: TableInvoker) -> None:
    invoker.table["sentiment"] = streamed(b"[1,", b"2]")
    assert (await client("POST", INVOKE.format("sentiment"), "{}")).json() == [1, 2]


async def test_functions_are_listed_page_by_page(client: Client) -> None:
    first = (await client("GET", "/2015-03-31/functions/?MaxItems=4")).json()
    assert [found["FunctionName"] for found in first["Functions"]] == [
        "sentiment",
        "qa",
        "embeddings",
        "zero",
    ]
    second = (await client("GET", f"/2015-03-31/functions?Marker={first['NextMarker']}")).json()
    assert [found["FunctionName"] for found in second["Functions"]] == ["ner", "hello"]
    assert "NextMarker" not in second
    assert (await client("GET", "/2015-03-31/functions?MaxItems=x")).status == 400


@pytest.mark.parametrize(
    ("path", "read"),
    [
        ("/2015-03-31/functions/hello", lambda found: found["Configuration"]),
        ("/2015-03-31/functions/hello/configuration", lambda found: found),
    ],
)
async def test_one_function_is_described(client: Client, path: str, read: Callable[[Any], Any]) -> None:
    found = read((await client("GET", path)).json())
    assert found["FunctionArn"] == "arn:aws:lambda:us-east-1:000000000000:function:hello"
    assert (found["State"], found["MemorySize"], found["Timeout"]) == ("Active", 1769, 30)
    assert (await client("GET", path.replace("hello", "nope"))).status == 404


async def test_the_rest_of_the_api_is_declined_in_its_shape(client: Client) -> None:
    response = await client("DELETE", "/2015-03-31/functions/hello")
    assert response.status == 501
    assert response.headers["x-amzn-errortype"] == "ServiceException"
