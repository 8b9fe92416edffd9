from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest

from firstlight.gateway.app import create_app
from gateways import Client, TableInvoker

TYPES = {"null", "boolean", "object", "array", "number", "string", "integer"}


def walk(value: Any) -> Iterator[Any]:
    yield value
    inside = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    for part in inside:
        yield from walk(part)


@pytest.fixture
async def document(client: Client) -> Any:
    return (await client("GET", "/openapi.json")).json()


async def test_it_is_openapi_3_1(document: Any) -> None:
    assert document["openapi"] == "3.1.0"
    assert set(document) <= {"openapi", "info", "servers", "paths", "components", "security", "tags"}
    assert {"title", "version"} <= set(document["info"])
    for path, methods in document["paths"].items():
        assert path.startswith("/")
        assert set(methods) <= {"get", "post"}
        for operation in methods.values():
            assert operation["responses"]
            for status, response in operation["responses"].items():
                assert re.fullmatch(r"[1-5]\d\d", status)
                assert response["description"]
            declared = {field["name"] for field in operation.get("parameters", []) if field["in"] == "path"}
            assert declared == set(re.findall(r"\{(\w+)\}", path))


async def test_operations_have_names_of_their_own(document: Any) -> None:
    names = [
        operation["operationId"]
        for methods in document["paths"].values()
        for operation in methods.values()
        if "operationId" in operation
    ]
    assert len(names) == len(set(names)) >= 12


async def test_schemas_are_json_schema_and_references_lead_somewhere(document: Any) -> None:
    for part in walk(document):
        if not isinstance(part, dict):
            continue
        if "$ref" in part:
            found: Any = document
            for name in part["$ref"].removeprefix("#/").split("/"):
                found = found[name]
        kinds = part.get("type")
        if isinstance(kinds, str) and "scheme" not in part:
            assert kinds in TYPES
        if isinstance(kinds, list):
            assert set(kinds) <= TYPES


async def test_every_endpoint_and_route_is_in_it(document: Any) -> None:
    paths = document["paths"]
    for name in ("sentiment", "qa", "hello"):
        assert f"/models/{name}" in paths
        assert f"/2015-03-31/functions/{name}/invocations" in paths
    assert "/qa" in paths
    assert "/hello/{name}" in paths
    body = paths["/models/qa"]["post"]["requestBody"]["content"]["application/json"]["schema"]
    assert "max_answer_len" in json.dumps(body)


async def test_examples_are_answered(document: Any, client: Client, invoker: TableInvoker) -> None:
    for name in ("sentiment", "qa", "zero", "ner", "embeddings"):
        invoker.table[name] = []
        content = document["paths"][f"/models/{name}"]["post"]["requestBody"]["content"]["application/json"]
        for example in content["examples"].values():
            assert (await client("POST", f"/models/{name}", example["value"])).status == 200


async def test_a_token_is_declared(project: Any, invoker: TableInvoker) -> None:
    client = Client(create_app(project, invoker, token="t"))
    document = (await client("GET", "/openapi.json", headers={"authorization": "Bearer t"})).json()
    assert document["security"] == [{"token": []}]


async def test_the_page_shows_every_operation(client: Client, document: Any) -> None:
    page = (await client("GET", "/docs")).text
    for path in document["paths"]:
        assert f"<code>{path}</code>" in page
