from __future__ import annotations

from typing import Any

import pytest

from firstlight.gateway.app import create_app
from firstlight.invoke.types import REQUEST_LIMIT, Throttled
from firstlight.runtime.errors import WorkerFailed
from gateways import Client, TableInvoker
from unit.gateway.openai.conftest import Asker


async def test_the_models_are_those_that_can_be_asked(client: Client) -> None:
    body = (await client("GET", "/v1/models")).json()
    assert body == {
        "object": "list",
        "data": [
            {"id": "embeddings", "object": "model", "created": 0, "owned_by": "firstlight"},
            {"id": "stories", "object": "model", "created": 0, "owned_by": "acme"},
        ],
    }


@pytest.mark.parametrize(
    "path", ["/v1/models/stories", "/v1/models/acme%2Fstories", "/v1/models/acme/stories"]
)
async def test_one_model(client: Client, path: str) -> None:
    assert (await client("GET", path)).json()["id"] == "stories"


async def test_the_model_of_a_path(client: Client) -> None:
    body = (await client("GET", "/models/acme/stories/v1/models")).json()
    assert [model["id"] for model in body["data"]] == ["stories"]


@pytest.mark.parametrize("name", ["nope", "qa"])
async def test_a_model_that_is_not_there(client: Client, name: str) -> None:
    response = await client("GET", f"/v1/models/{name}")
    assert response.status == 404
    assert response.json()["error"]["code"] == "model_not_found"


async def test_models_that_are_there_are_named(ask: Asker) -> None:
    response = await ask.chat(model="storis")
    error = response.json()["error"]
    assert (response.status, error["code"], error["param"]) == (404, "model_not_found", "model")
    assert error["message"] == "The model 'storis' does not exist (models here: stories)"
    assert response.headers["x-request-id"]


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/v1/chat/completions", 405),
        ("DELETE", "/v1/models/stories", 405),
        ("POST", "/v1/models", 405),
        ("GET", "/models/stories/v1/completions", 405),
        ("POST", "/v1/responses", 404),
        ("POST", "/models/stories/v1/audio/speech", 404),
    ],
)
async def test_paths_that_are_none(client: Client, method: str, path: str, status: int) -> None:
    response = await client(method, path, "{}")
    error = response.json()["error"]
    assert (response.status, error["type"]) == (status, "invalid_request_error")
    assert path in error["message"]


@pytest.mark.parametrize("body", [b"{", b"[]", b"\xff", b'{"model": NaN}', b"[" * 5000, b""])
async def test_bodies_that_are_none(client: Client, body: bytes) -> None:
    response = await client("POST", "/v1/chat/completions", body)
    assert (response.status, response.json()["error"]["type"]) == (400, "invalid_request_error")


async def test_a_body_of_another_kind(client: Client) -> None:
    response = await client("POST", "/v1/completions", b"x", {"content-type": "multipart/form-data"})
    assert (response.status, response.json()["error"]["code"]) == (415, "unsupported_media_type")


async def test_too_large(client: Client) -> None:
    response = await client("POST", "/v1/embeddings", b" " * (REQUEST_LIMIT + 1))
    assert (response.status, response.json()["error"]["code"]) == (413, "request_too_large")


@pytest.mark.parametrize(
    ("error", "status", "kind", "code", "headers"),
    [
        (
            Throttled("busy", reason="x", retry_after=7),
            429,
            "requests",
            "rate_limit_exceeded",
            {"retry-after": "7"},
        ),
        (WorkerFailed("no"), 502, "server_error", None, {}),
    ],
)
async def test_errors_of_the_server(
    ask: Asker, invoker: TableInvoker, error: Any, status: int, kind: str, code: str, headers: dict[str, str]
) -> None:
    invoker.table["stories"] = error
    for stream in (False, True):
        response = await ask.chat(stream=stream)
        found = response.json()["error"]
        assert (response.status, found["type"], found["code"]) == (status, kind, code)
        assert "x-should-retry" not in response.headers
        assert headers.items() <= response.headers.items()


async def test_a_bug_of_ours_is_an_error_of_theirs(ask: Asker, invoker: TableInvoker) -> None:
    invoker.table["stories"] = lambda _: 1 / 0
    response = await ask.chat()
    assert (response.status, response.json()["error"]["type"]) == (500, "server_error")


async def test_a_token_is_asked_for(project: Any, invoker: TableInvoker) -> None:
    client = Client(create_app(project, invoker, token="t"))
    for path in ("/v1/models", "/models/stories/v1/models"):
        response = await client("GET", path)
        error = response.json()["error"]
        assert (response.status, error["code"]) == (401, "invalid_api_key")
    assert (await client("GET", "/v1/models", headers={"authorization": "Bearer t"})).status == 200
