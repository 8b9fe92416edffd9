from __future__ import annotations

from typing import Any

import pytest

from firstlight.gateway.app import create_app
from firstlight.gateway.security import cookie_value
from gateways import Client, TableInvoker

TOKEN = "s3cret-token"
SIGV4 = (
    "AWS4-HMAC-SHA256 Credential={}/20261120/us-east-1/lambda/aws4_request, SignedHeaders=host, Signature=00"
)


@pytest.fixture
def guarded(project: Any, invoker: TableInvoker) -> Client:
    return Client(create_app(project, invoker, token=TOKEN, hosts=["*"]))


@pytest.mark.parametrize(
    "host", ["127.0.0.1:8400", "localhost", "LOCALHOST:1", "[::1]:8400", "127.0.0.1", "localhost.:8400"]
)
async def test_names_of_this_machine_are_answered(client: Client, host: str) -> None:
    assert (await client("GET", "/livez", headers={"host": host})).status == 200


@pytest.mark.parametrize(
    "host", ["evil.example", "127.0.0.1.evil.example", "", "localhost.evil.example:8400", "[::2]"]
)
@pytest.mark.parametrize("path", ["/", "/livez", "/models/sentiment", "/nowhere"])
async def test_dns_rebinding_is_refused(client: Client, invoker: TableInvoker, host: str, path: str) -> None:
    response = await client("POST", path, {"inputs": "x"}, {"host": host})
    assert response.status == 403
    assert invoker.seen == []


async def test_more_names_can_be_allowed(project: Any, invoker: TableInvoker) -> None:
    client = Client(create_app(project, invoker, hosts=["models.lan"]))
    assert (await client("GET", "/livez", headers={"host": "models.lan:80"})).status == 200
    assert (await client("GET", "/livez", headers={"host": "localhost"})).status == 200
    assert (await client("GET", "/livez", headers={"host": "other.lan"})).status == 403


async def test_all_names_need_a_token(project: Any, invoker: TableInvoker) -> None:
    client = Client(create_app(project, invoker, hosts=["*"]))
    assert (await client("GET", "/livez", headers={"host": "other.lan"})).status == 403


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 200),
        ({"origin": "http://127.0.0.1:8400"}, 200),
        ({"origin": "http://127.0.0.1:3000"}, 403),
        ({"origin": "https://evil.example"}, 403),
        ({"origin": "null"}, 403),
        ({"origin": "http://["}, 403),
        ({"sec-fetch-site": "cross-site"}, 403),
        ({"sec-fetch-site": "same-site"}, 403),
        ({"sec-fetch-site": "same-origin"}, 200),
        ({"sec-fetch-site": "none"}, 200),
    ],
)
async def test_other_sites_may_not_send(
    client: Client, invoker: TableInvoker, headers: dict[str, str], status: int
) -> None:
    invoker.table["sentiment"] = []
    body = '{"inputs": "x"}'
    path = "/2015-03-31/functions/sentiment/invocations"
    assert (await client("POST", path, body, {"content-type": "text/plain", **headers})).status == status
    assert len(invoker.seen) == (status == 200)


async def test_without_a_token_only_loopback_is_served(client: Client, invoker: TableInvoker) -> None:
    invoker.table["sentiment"] = []
    response = await client("POST", "/models/sentiment", {"inputs": "x"}, server=("192.168.1.7", 8400))
    assert response.status == 401
    assert invoker.seen == []
    assert (await client("GET", "/livez", server=("::1", 8400))).status == 200


@pytest.mark.parametrize(
    "authorization",
    [
        "",
        "Bearer",
        "Bearer wrong",
        f"Bearer {TOKEN}x",
        f"Basic {TOKEN}",
        "Bearer é",
        SIGV4.format("AKIAWRONG"),
        "AWS4-HMAC-SHA256",
    ],
)
@pytest.mark.parametrize("path", ["/", "/models/sentiment", "/metrics", "/health", "/nowhere", "/go"])
async def test_a_wrong_token_gets_nothing(
    guarded: Client, invoker: TableInvoker, authorization: str, path: str
) -> None:
    headers = {"authorization": authorization} if authorization else {}
    response = await guarded("GET", path, headers=headers)
    assert response.status == 401
    assert TOKEN not in response.text


@pytest.mark.parametrize("authorization", [f"Bearer {TOKEN}", f"bearer  {TOKEN} ", SIGV4.format(TOKEN)])
async def test_the_token_opens(guarded: Client, invoker: TableInvoker, authorization: str) -> None:
    invoker.table["sentiment"] = []
    response = await guarded("POST", "/models/sentiment", {"inputs": "x"}, {"authorization": authorization})
    assert response.status == 200


async def test_the_shapes_of_a_refusal(guarded: Client) -> None:
    aws = await guarded("POST", "/2015-03-31/functions/sentiment/invocations", "{}")
    assert (aws.status, aws.headers["x-amzn-errortype"]) == (403, "UnrecognizedClientException")
    hub = await guarded("POST", "/models/sentiment", "{}")
    assert (hub.status, hub.headers["www-authenticate"]) == (401, "Bearer")
    assert "error" in hub.json()
    page = await guarded("GET", "/", headers={"accept": "text/html,*/*"})
    assert page.status == 401
    assert '<input type="password" name="token"' in page.text


@pytest.mark.parametrize("path", ["/livez", "/readyz", "/ping", "/assets/app.css"])
async def test_what_says_nothing_needs_no_token(guarded: Client, path: str) -> None:
    assert (await guarded("GET", path)).status == 200


async def test_a_browser_logs_in_once(guarded: Client) -> None:
    response = await guarded("GET", f"/endpoints/qa?task=x&token={TOKEN}")
    assert response.status == 200
    cookie = response.headers["set-cookie"]
    assert TOKEN not in cookie
    assert "HttpOnly" in cookie
    assert "SameSite=Strict" in cookie
    assert 'content="0;url=/endpoints/qa?task=x"' in response.text
    assert response.headers["cache-control"] == "no-store"
    sent = {"cookie": "other=1; " + cookie.partition(";")[0]}
    assert (await guarded("GET", "/endpoints/qa", headers=sent)).status == 200
    assert (await guarded("GET", "/", headers={"cookie": "firstlight=" + "0" * 64})).status == 401


async def test_a_login_leads_to_no_other_server(guarded: Client) -> None:
    response = await guarded("GET", f"//evil.example/%22%3E?token={TOKEN}")
    assert 'url=/evil.example/%22%3E"' in response.text


async def test_a_wrong_token_in_the_address_logs_nobody_in(guarded: Client) -> None:
    response = await guarded("GET", "/?token=wrong")
    assert response.status == 401
    assert "set-cookie" not in response.headers


def test_the_cookie_depends_on_the_token() -> None:
    assert cookie_value(b"a") != cookie_value(b"b")


async def test_pages_carry_a_policy(client: Client) -> None:
    headers = (await client("GET", "/")).headers
    policy = headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "frame-ancestors 'none'" in policy
    assert "unsafe" not in policy
    assert headers["x-content-type-options"] == "nosniff"
    assert (await client("GET", "/livez")).headers["x-content-type-options"] == "nosniff"


async def test_websockets_are_closed(client: Client) -> None:
    sent: list[Any] = []

    async def send(message: Any) -> None:
        sent.append(message)

    async def receive() -> Any:
        raise AssertionError

    await client.app({"type": "websocket", "path": "/", "headers": []}, receive, send)
    assert sent == [{"type": "websocket.close", "code": 1008}]
