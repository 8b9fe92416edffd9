"""Garbage on /v1/jobs and in preferences: an answer that is not a 500, and nothing kept that cannot be shown."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as some

from firstlight.gateway.app import create_app
from firstlight.jobs.desk import Desk
from firstlight.jobs.sqlite import SqliteJobs
from firstlight.project import Asynchronous
from gateways import Client, TableInvoker, make_project, with_stories

NAMES = some.sampled_from(
    [
        *(
            "endpoint",
            "model",
            "input",
            "inputs",
            "parameters",
            "request",
            "path",
            "body",
            "headers",
            "stream",
        ),
        *("webhook", "webhook_events_filter", "content-type", "accept", "messages", "prompt", "text", "x"),
    ]
)
WORDS = some.sampled_from(
    [
        "sentiment",
        "hello",
        "stories",
        "/models/hello",
        "/v1/completions",
        "/go",
        "/hello/x?a=b",
        "https://x/",
        "start",
    ]
)
VALUES = some.recursive(
    some.none() | some.booleans() | some.integers() | some.floats() | some.text(max_size=8) | WORDS,
    lambda inner: some.lists(inner, max_size=3) | some.dictionaries(NAMES, inner, max_size=4),
    max_leaves=8,
)
BODIES = VALUES.map(lambda value: json.dumps(value).encode()) | some.binary(max_size=60)
PATHS = some.sampled_from(
    [
        *(
            "/v1/jobs",
            "/v1/jobs/a",
            "/v1/jobs/a/result",
            "/v1/jobs/a/stream",
            "/v1/jobs/a/cancel",
            "/v1/jobs/",
        ),
        *("/models/hello", "/v1/completions", "/hello/x", "/go", "/"),
    ]
) | some.text(max_size=20).map(
    lambda text: "/v1/jobs/" + text.encode("utf-8", "replace").decode().replace("?", "")
)
QUERIES = some.sampled_from(["", "?limit=3", "?status=starting", "?after=0", "?inputs=true"]) | some.text(
    some.characters(max_codepoint=255), max_size=20
).map(lambda text: "?" + text)
HEADERS = some.lists(
    some.tuples(
        some.sampled_from(
            [
                *(
                    b"prefer",
                    b"idempotency-key",
                    b"accept",
                    b"last-event-id",
                    b"if-none-match",
                    b"content-type",
                ),
                *(b"x-firstlight-webhook", b"x-firstlight-webhook-events", b"x-amzn-trace-id"),
            ]
        ),
        some.sampled_from([b"respond-async", b"text/event-stream", b"respond-async, wait=0", b"https://x/"])
        | some.binary(max_size=20),
    ),
    max_size=4,
)
METHODS = some.sampled_from(["GET", "PUT", "POST", "DELETE"])


async def answers(path: Path, asked: list[Any]) -> list[int]:
    desk = Desk(SqliteJobs(path), {}, lambda *_: Asynchronous(), dict, owner="x")
    desk.stop()  # nothing is begun, and nobody waits for what does not run
    invoker = TableInvoker()
    for name in ("sentiment", "hello", "stories", "qa"):
        invoker.table[name] = {"statusCode": 200, "body": ""}
    client = Client(with_stories(create_app(make_project(path.parent), invoker, jobs=desk)))
    try:
        return [
            (await client(method, path + query, body, raw_headers=headers)).status
            for method, path, query, body, headers in asked
        ]
    finally:
        await desk.close()


@settings(max_examples=10, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(asked=some.lists(some.tuples(METHODS, PATHS, QUERIES, BODIES, HEADERS), max_size=25))
def test_no_request_makes_the_server_fail(tmp_path_factory: pytest.TempPathFactory, asked: list[Any]) -> None:
    path = tmp_path_factory.mktemp("garbage") / "jobs.sqlite"
    statuses = asyncio.run(answers(path, asked))
    assert 500 not in statuses
    listed = asyncio.run(answers(path, [("GET", "/v1/jobs", "?inputs=true&limit=200", b"", [])]))
    assert listed == [200]
