from __future__ import annotations

from typing import Any

import pytest

from firstlight.invoke.types import REQUEST_LIMIT, Throttled
from gateways import Client, TableInvoker, failed


async def test_a_route_sends_the_event_of_a_rest_api(client: Client, invoker: TableInvoker) -> None:
    invoker.table["qa"] = {"statusCode": 200, "headers": {"x-a": "b"}, "body": '{"answer": "x"}'}
    response = await client("POST", "/qa?top_k=2", {"question": "q", "context": "c"})
    assert (response.status, response.json(), response.headers["x-a"]) == (200, {"answer": "x"}, "b")
    assert invoker.event["httpMethod"] == "POST"
    assert invoker.event["body"] == '{"question": "q", "context": "c"}'
    assert invoker.event["queryStringParameters"] == {"top_k": "2"}
    assert invoker.seen[0].wire == "route"


async def test_names_in_a_route_are_path_parameters(client: Client, invoker: TableInvoker) -> None:
    invoker.table["hello"] = {"statusCode": 204}
    assert (await client("DELETE", "/hello/world%20one")).status == 204
    assert invoker.event["pathParameters"] == {"name": "world%20one"}  # as a REST API sends it
    assert invoker.event["resource"] == "/hello/{name}"
    assert (await client("GET", "/hello/%40me%2Fyou")).status == 404  # %2F is a slash to this server's router
    assert (await client("GET", "/hello/%40me")).status == 204
    assert invoker.event["pathParameters"] == {"name": "%40me"}
    assert (await client("GET", "/hello/a/b")).status == 404


async def test_an_object_as_body_is_served_and_warned_of_once(
    client: Client, invoker: TableInvoker, caplog: pytest.LogCaptureFixture
) -> None:
    invoker.table["qa"] = {"statusCode": 200, "body": {"label": "POSITIVE"}}
    for _ in range(3):
        assert (await client("POST", "/qa", {})).json() == {"label": "POSITIVE"}
    assert len([record for record in caplog.records if "json.dumps" in record.getMessage()]) == 1


@pytest.mark.parametrize(
    ("answer", "status", "message"),
    [
        ({"no": "status"}, 502, "Internal server error"),
        (b"not json", 502, "Internal server error"),
        (failed(), 502, "Internal server error"),
        (failed("Sandbox.Timedout", "Task timed out"), 502, "Internal server error"),
        (Throttled("busy", reason="x"), 429, "Too Many Requests"),
        (RuntimeError("a bug"), 500, "Internal server error"),
    ],
)
async def test_failures_are_what_api_gateway_says(
    client: Client, invoker: TableInvoker, answer: Any, status: int, message: str
) -> None:
    invoker.table["qa"] = answer
    response = await client("POST", "/qa", {})
    assert (response.status, response.json()) == (status, {"message": message})


@pytest.mark.parametrize("size", [REQUEST_LIMIT + 1, REQUEST_LIMIT])
async def test_a_request_that_is_too_long_is_said_so(
    client: Client, invoker: TableInvoker, size: int
) -> None:
    response = await client("POST", "/qa", b"x" * size)
    assert (response.status, response.json()) == (413, {"message": "Request Too Long"})
    assert invoker.seen == []


async def test_a_page_of_a_handler_keeps_its_own_scripts(client: Client, invoker: TableInvoker) -> None:
    page = {"statusCode": 200, "headers": {"content-type": "text/html"}, "body": "<script>1</script>"}
    invoker.table["qa"] = page
    response = await client("GET", "/qa")
    assert response.headers["content-security-policy"] == "frame-ancestors 'none'"


async def test_the_router_form(client: Client) -> None:
    response = await client("GET", "/go")
    assert response.status == 200
    assert response.headers["content-type"] == "text/html; charset=utf-8"
    assert '<option value="qa">qa</option>' in response.text


async def test_the_router_asks_the_first_endpoint(client: Client, invoker: TableInvoker) -> None:
    invoker.table["sentiment"] = {"statusCode": 200, "body": {"label": "x"}}
    response = await client("POST", "/go", {"text": "hello"})
    assert response.json() == {
        "message": "Invocation successful",
        "responseFromLambda": {"statusCode": 200, "body": {"label": "x"}},
    }
    assert invoker.event == {"text": "hello"}


async def test_the_router_asks_the_function_that_is_named(client: Client, invoker: TableInvoker) -> None:
    invoker.table["hello"] = 1
    arn = "arn:aws:lambda:eu-west-1:123456789012:function:hello"
    assert (await client("POST", "/go", {"text": "x", "functionARN": arn})).status == 200
    form = {"content-type": "application/x-www-form-urlencoded"}
    assert (await client("POST", "/go", b"text=a+b&functionARN=hello", form)).status == 200
    assert invoker.event == {"text": "a b"}


@pytest.mark.parametrize(
    ("body", "status", "message"),
    [
        (b"{", 400, "the body is not JSON"),
        (b"{}", 400, "the body has no 'text'"),
        (b"[]", 400, "the body has no 'text'"),
        (b'{"text": 1}', 400, "the body has no 'text'"),
        (b'{"text": "x", "functionARN": 1}', 400, "not text"),
        (b'{"text": "x", "functionARN": "a b"}', 400, "validation error"),
        (b'{"text": "x", "functionARN": "nope"}', 404, "Function not found"),
    ],
)
async def test_the_router_says_what_is_wrong(
    client: Client, invoker: TableInvoker, body: bytes, status: int, message: str
) -> None:
    response = await client("POST", "/go", body)
    assert response.status == status
    assert message in response.json()["message"]
    assert invoker.seen == []


async def test_the_router_passes_a_failure_on(client: Client, invoker: TableInvoker) -> None:
    invoker.table["sentiment"] = failed()
    response = await client("POST", "/go", {"text": "x"})
    assert response.status == 502
    assert response.json()["responseFromLambda"]["errorType"] == "ValueError"


async def test_a_reload_changes_the_routes(client: Client, invoker: TableInvoker, project: Any) -> None:
    from dataclasses import replace

    invoker.table["qa"] = {"statusCode": 200}
    moved = replace(project, endpoints={"qa": replace(project.endpoints["qa"], route="/ask")})
    client.app.state.gateway.replace(moved)
    assert (await client("POST", "/qa", {})).status == 404
    assert (await client("POST", "/ask", {})).status == 200
    assert (await client("POST", "/models/sentiment", {"inputs": "x"})).status == 404
