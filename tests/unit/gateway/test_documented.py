"""docs/gateway.md names every route and every metric."""

from __future__ import annotations

import re
from pathlib import Path

from firstlight.gateway.app import create_app
from firstlight.gateway.metrics import Metrics
from firstlight.project import Project
from gateways import Client, TableInvoker, report, with_stories

DOCS = Path(__file__).resolve().parents[3] / "docs"
TEXT = (DOCS / "gateway.md").read_text()
UNSPOKEN = ("/assets", "/favicon.ico", "/openapi.json", "/{path", "/2014-11-13", "/{rest")


def test_every_route(client: Client) -> None:
    paths = {route.path for route in client.app.routes}
    shown = {path for path in paths if not path.startswith(UNSPOKEN) and "{rest" not in path}
    missing = {path for path in shown if re.split(r"[{]", path)[0] not in TEXT}
    assert missing == set()


def test_every_metric() -> None:
    metrics = Metrics()
    metrics.started("a")
    metrics.ended("a", "ok", 0.1, report(cold=True, init_ms=1.0))
    pool = {"starting": 1, "idle": 1, "busy": 1, "queued": 1, "concurrency": 1}
    names = set(re.findall(r"# TYPE (\w+)", metrics.text({"a": pool})))
    written = TEXT.replace(
        "workers_starting|idle|busy", "workers_starting firstlight_workers_idle firstlight_workers_busy"
    )
    assert {name for name in names if name not in written} == set()


async def test_every_field_of_the_openai_routes(project: Project, invoker: TableInvoker) -> None:
    text = (DOCS / "openai.md").read_text()
    client = Client(with_stories(create_app(project, invoker)))
    document = (await client("GET", "/openapi.json")).json()
    for path in ("/v1/chat/completions", "/v1/completions", "/v1/embeddings"):
        content = document["paths"][path]["post"]["requestBody"]["content"]["application/json"]
        missing = {name for name in content["schema"]["properties"] if not re.search(rf"`{name}\b", text)}
        assert missing == set()
