"""What /openapi.json says of jobs."""

from __future__ import annotations

import re
from typing import Any

from gateways import Client, TableInvoker


async def test_every_route_and_every_field(client: Client, desk: Any, invoker: TableInvoker) -> None:
    document = (await client("GET", "/openapi.json")).json()
    paths = {path: methods for path, methods in document["paths"].items() if path.startswith("/v1/jobs")}
    routes = {route.path for route in client.app.routes if getattr(route, "path", "").startswith("/v1/jobs")}
    assert set(paths) == {path for path in routes if "{rest" not in path}
    for path, methods in paths.items():
        for operation in methods.values():
            declared = {field["name"] for field in operation.get("parameters", []) if field["in"] == "path"}
            assert declared == set(re.findall(r"\{(\w+)\}", path))
            assert {"200", "202"} & set(operation["responses"])
    invoker.table["sentiment"] = []
    wish = {"endpoint": "sentiment", "inputs": "x"}
    shown = await client("PUT", "/v1/jobs/a?inputs=true", wish, {"prefer": "wait=20"})
    assert set(shown.json()) == set(document["components"]["schemas"]["Job"]["properties"])
    inferring = document["paths"]["/models/sentiment"]["post"]
    assert "Prefer" in [field["name"] for field in inferring["parameters"]]
    assert inferring["responses"]["202"]


async def test_the_page_shows_them(client: Client) -> None:
    page = await client("GET", "/docs")
    assert page.status == 200
    assert "/v1/jobs/{id}/stream" in page.text
