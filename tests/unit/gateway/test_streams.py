from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from firstlight.gateway.streams import HTTP_INTEGRATION
from gateways import Client, TableInvoker, streamed

PRELUDE = b'{"statusCode": 201, "headers": {"content-type": "text/plain"}, "cookies": ["a=1"]}' + bytes(8)
INVOKE = "/2015-03-31/functions/qa/invocations"


@pytest.mark.parametrize(
    "pieces", [[PRELUDE + b"one ", b"two"], [PRELUDE[:10], PRELUDE[10:-3], PRELUDE[-3:], b"one two"]]
)
async def test_a_route_streams_an_http_response(
    client: Client, invoker: TableInvoker, pieces: list[bytes]
) -> None:
    invoker.table["qa"] = streamed(*pieces, content_type=HTTP_INTEGRATION)
    response = await client("GET", "/qa")
    assert (response.status, response.body) == (201, b"one two")
    assert response.headers["content-type"] == "text/plain"
    assert response.headers["set-cookie"] == "a=1"
    assert "content-length" not in response.headers


async def test_a_route_streams_plain_bytes(client: Client, invoker: TableInvoker) -> None:
    invoker.table["qa"] = streamed(b"\xff", b"two", content_type="application/octet-stream")
    response = await client("GET", "/qa")
    assert (response.status, response.body, len(response.pieces)) == (200, b"\xfftwo", 3)


@pytest.mark.parametrize(
    "pieces", [[], [b"no prelude"], [b"[]" + bytes(8)], [b"{" + bytes(8)], [b"x" * 70_000, b"y"]]
)
async def test_a_stream_without_a_prelude_is_malformed(
    client: Client, invoker: TableInvoker, pieces: list[bytes]
) -> None:
    invoker.table["qa"] = streamed(*pieces, content_type=HTTP_INTEGRATION)
    response = await client("GET", "/qa")
    assert (response.status, response.json()) == (502, {"message": "Internal server error"})


async def test_an_answer_that_breaks_off_is_left_incomplete(client: Client, invoker: TableInvoker) -> None:
    invoker.table["qa"] = streamed(
        b"one", content_type="text/plain", function_error="Unhandled", payload=b"{}"
    )
    messages: list[Any] = []

    requests = iter([{"type": "http.request", "body": b"", "more_body": False}])

    async def receive() -> Any:
        return next(requests, None) or await asyncio.Future()

    async def send(message: Any) -> None:
        messages.append(message)

    scope = {
        "type": "http",
        "method": "GET",
        "path": "/qa",
        "root_path": "",
        "query_string": b"",
        "headers": [(b"host", b"localhost")],
        "server": ("127.0.0.1", 1),
        "client": ("127.0.0.1", 1),
        "scheme": "http",
        "http_version": "1.1",
    }
    await client.app(scope, receive, send)
    assert messages[-1] == {"type": "http.response.body", "body": b"one", "more_body": True}


@pytest.mark.parametrize(
    ("pieces", "kind", "expected"),
    [
        ([b"[1,", b"2]"], "application/json", [1, 2]),
        ([b"first ", b"light"], "application/octet-stream", "first light"),
        ([PRELUDE, b'{"a": 1}'], HTTP_INTEGRATION, {"a": 1}),
    ],
)
async def test_wires_that_answer_whole_get_json(
    client: Client, invoker: TableInvoker, pieces: list[bytes], kind: str, expected: Any
) -> None:
    invoker.table["hello"] = streamed(*pieces, content_type=kind)
    assert (await client("POST", "/models/hello", {"inputs": "x"})).json() == expected


async def test_an_invocation_that_breaks_off_answers_its_error(client: Client, invoker: TableInvoker) -> None:
    error = json.dumps({"errorType": "X", "errorMessage": "boom"}).encode()
    invoker.table["qa"] = streamed(b"half", function_error="Unhandled", payload=error)
    response = await client("POST", INVOKE, "{}")
    assert response.body == error
    assert response.headers["x-amz-function-error"] == "Unhandled"
    invoker.table["qa"] = streamed(b"half", function_error="Unhandled", payload=error)
    assert (await client("POST", "/models/qa", {"inputs": {}})).status == 500
