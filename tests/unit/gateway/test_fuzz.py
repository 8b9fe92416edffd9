"""Garbage on every route: an answer that is not a 500, and a server that goes on."""

from __future__ import annotations

import asyncio
from pathlib import Path

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from firstlight.gateway.app import create_app
from gateways import Client, TableInvoker, generated, make_project, speaking, with_stories
from trying import examples

PATHS = st.sampled_from(
    [
        "/",
        "/2015-03-31/functions/sentiment/invocations",
        "/2015-03-31/functions/sentiment",
        "/2015-03-31/functions",
        "/2021-11-15/functions/sentiment/response-streaming-invocations",
        "/models/sentiment",
        "/models/embeddings/pipeline/sentence-similarity",
        "/models/hello",
        "/models/stories",
        "/models/stories/v1/chat/completions",
        "/v1/chat/completions",
        "/v1/completions",
        "/v1/embeddings",
        "/v1/models",
        "/v1/models/stories",
        "/pipeline/ner",
        "/predict",
        "/invocations",
        "/qa",
        "/hello/x",
        "/rest-api/qa/x",
        "/http-api/qa/x",
        "/lambda-url/qa/x",
        "/go",
        "/endpoints/qa",
        "/assets/app.css",
        "/health",
    ]
) | st.text(max_size=60).map(lambda text: "/" + text.encode("utf-8", "replace").decode().replace("?", ""))
QUERY = st.just("") | st.binary(max_size=60).map(lambda raw: "?" + raw.decode("latin-1"))
BODIES = st.one_of(
    st.binary(max_size=200),
    st.sampled_from([b'{"inputs": ', b"[" * 5000, b"null", b'{"inputs": 1e999}', b'{"\\ud800": "\\udfff"}']),
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(
                st.sampled_from(
                    [
                        *("inputs", "parameters", "text", "task", "x", "stream", "model", "messages", "role"),
                        *("content", "prompt", "input", "n", "stop", "logprobs", "response_format", "type"),
                    ]
                ),
                inner,
                max_size=4,
            )
        ),
        max_leaves=8,
    ).map(lambda value: __import__("json").dumps(value).encode()),
)
HEADER_NAMES = st.sampled_from(
    [
        b"content-type",
        b"x-amz-client-context",
        b"x-amz-invocation-type",
        b"x-amz-log-type",
        b"user-agent",
        b"accept",
        b"x-fragment",
        b"cookie",
        b"authorization",
        b"content-length",
        b"x-amzn-trace-id",
        b"if-none-match",
        b"origin",
        b"prefer",
    ]
)
HEADERS = st.lists(st.tuples(HEADER_NAMES, st.binary(max_size=30)), max_size=4)


@settings(max_examples=examples(400), deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.sampled_from(["GET", "POST", "HEAD", "PUT", "DELETE", "OPTIONS"]), PATHS, QUERY, BODIES, HEADERS)
def test_garbage_is_never_our_failure(
    method: str, path: str, query: str, body: bytes, headers: list[tuple[bytes, bytes]]
) -> None:
    invoker = TableInvoker()
    for name in ("sentiment", "qa", "embeddings", "zero", "ner", "hello"):
        invoker.table[name] = {"statusCode": 200, "body": "x"}
    invoker.table["stories"] = speaking(generated("x"))
    client = Client(with_stories(create_app(make_project(Path("/nowhere")), invoker)))

    async def ask() -> None:
        response = await client(method, path + query, body, raw_headers=headers)
        assert response.status not in (0, 500), response.text
        assert (await client("GET", "/livez")).status == 200

    asyncio.run(ask())
