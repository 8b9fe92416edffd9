"""Whatever is sent to the control plane: a refusal in AWS's shape, never a failure of this server."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from firstlight.gateway.app import create_app
from firstlight.gateway.lambda_api.errors import EXCEPTIONS
from firstlight.invoke.types import WorkerSpec
from firstlight.versions.registry import Registry
from gateways import Client, TableInvoker, make_project
from trying import examples

PATHS = st.sampled_from(
    [
        "/2015-03-31/functions/hello/versions",
        "/2015-03-31/functions/hello/aliases",
        "/2015-03-31/functions/hello/aliases/live",
        "/2015-03-31/functions/hello/aliases/%20",
        "/2015-03-31/functions/hello/invocations",
        "/2015-03-31/functions/hello",
        "/2015-03-31/functions/qa/configuration",
        "/2015-03-31/functions",
        "/2017-10-31/functions/hello/concurrency",
        "/2019-09-30/functions/hello/concurrency",
        "/2019-09-30/functions/hello/provisioned-concurrency",
        "/2019-09-25/functions/hello/event-invoke-config",
        "/2019-09-25/functions/hello/event-invoke-config/list",
        "/2021-10-31/functions/hello/urls",
        "/2021-10-31/functions/a%2Fb/url",
        "/2017-03-31/tags/arn:aws:lambda",
        "/2016-08-19/account-settings/",
        "/2024-08-31/functions/::/recursion-config",
    ]
)
QUERIES = st.sampled_from(
    [
        "",
        "?Qualifier=live",
        "?Qualifier=1",
        "?Qualifier=",
        "?Qualifier=%00",
        "?List=ALL",
        "?List=ALL&MaxItems=51",
        "?MaxItems=-1",
        "?MaxItems=%D9%A3",
        "?Marker=x&MaxItems=1",
        "?FunctionVersion=ALL",
        "?FunctionVersion=9",
    ]
)
NAMES = st.sampled_from(
    [
        "Name",
        "FunctionVersion",
        "Description",
        "RoutingConfig",
        "AdditionalVersionWeights",
        "RevisionId",
        "CodeSha256",
        "ReservedConcurrentExecutions",
        "ProvisionedConcurrentExecutions",
        "MaximumRetryAttempts",
        "MaximumEventAgeInSeconds",
        "DestinationConfig",
        "OnSuccess",
        "Destination",
        "1",
    ]
)
VALUES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-2, 30_000),
    st.floats(allow_nan=False),
    st.sampled_from(
        ["live", "1", "$LATEST", "", "\ud800", "arn:aws:lambda:us-east-1:000000000000:function:qa"]
    ),
    st.text(max_size=8),
)
BODIES = st.one_of(
    st.recursive(
        VALUES,
        lambda inner: st.lists(inner, max_size=2) | st.dictionaries(NAMES, inner, max_size=4),
        max_leaves=6,
    ).map(lambda value: json.dumps(value).encode()),
    st.dictionaries(NAMES, VALUES, max_size=5).map(lambda value: json.dumps(value).encode()),
    st.binary(max_size=20),
)


@settings(max_examples=examples(50), deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    st.lists(st.tuples(st.sampled_from(["GET", "POST", "PUT", "DELETE"]), PATHS, QUERIES, BODIES), max_size=6)
)
def test_garbage(tmp_path_factory: Any, asked: list[tuple[str, str, str, bytes]]) -> None:
    folder: Path = tmp_path_factory.mktemp("garbage")
    script = folder / "inference" / "hello.py"
    script.parent.mkdir()
    script.write_text("def handler(event, context):\n    return 1\n")
    spec = WorkerSpec("hello", script=script)
    invoker = TableInvoker()
    invoker.table["hello"] = 1
    registry = Registry(folder / "data", lambda: {"hello": spec, "qa": spec})
    client = Client(create_app(make_project(folder), invoker, functions=registry))

    async def ask() -> None:
        for method, path, query, body in asked:
            response = await client(method, path + query, body)
            assert response.status < 500 or response.status == 501, response.text
            if response.status >= 400:
                assert response.headers["x-amzn-errortype"] in EXCEPTIONS
                assert {"message", "Message"} & response.json().keys()

    asyncio.run(ask())
