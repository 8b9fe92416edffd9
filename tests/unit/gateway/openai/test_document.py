"""What ``/openapi.json`` says of the OpenAI routes is what they take."""

from __future__ import annotations

from typing import Any

import pytest

from gateways import Client, TableInvoker, generated, speaking

PATHS = ["/v1/chat/completions", "/v1/completions", "/v1/embeddings"]


@pytest.fixture
async def document(client: Client) -> Any:
    return (await client("GET", "/openapi.json")).json()


def request_of(document: Any, path: str) -> Any:
    return document["paths"][path]["post"]["requestBody"]["content"]["application/json"]


@pytest.mark.parametrize("path", PATHS)
async def test_examples_are_answered(document: Any, client: Client, invoker: TableInvoker, path: str) -> None:
    invoker.table["stories"] = speaking(generated("x"))
    invoker.table["embeddings"] = [[0.5]]
    for example in request_of(document, path)["examples"].values():
        assert (await client("POST", path, example["value"])).status == 200


@pytest.mark.parametrize("path", PATHS)
async def test_every_field_is_known(document: Any, client: Client, path: str) -> None:
    content = request_of(document, path)
    (example,) = (example["value"] for example in content["examples"].values())
    for name in content["schema"]["properties"]:
        response = await client("POST", path, {**example, name: {"no": "such"}})
        if response.status == 400:
            assert response.json()["error"]["code"] != "unknown_parameter", name


async def test_models(document: Any) -> None:
    assert {"/v1/models", "/v1/models/{model}"} <= set(document["paths"])
    names = request_of(document, PATHS[0])["schema"]["properties"]["model"]["examples"]
    assert names == ["stories"]
