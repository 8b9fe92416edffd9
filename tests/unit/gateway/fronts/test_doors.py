"""Doors without keys, and with keys that cannot be read."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from firstlight.gateway.app import create_app
from firstlight.gateway.fronts.keys import Keys
from firstlight.project import Front, Project
from gateways import Client, TableInvoker

KEYED = {"x-api-key": "anything"}
SIGNED = {
    "x-amz-date": "20261121T200000Z",
    "authorization": "AWS4-HMAC-SHA256 Credential=AKIA/20261121/x/execute-api/aws4_request, SignedHeaders=host, "
    "Signature=00",
}


def served(project: Project, invoker: TableInvoker, keys: Keys | None, **front: Any) -> Client:
    changed = replace(project.endpoints["qa"], front=Front(**front))
    project = replace(project, endpoints={**project.endpoints, "qa": changed})
    return Client(create_app(project, invoker, keys=keys, token="s3cret"))


@pytest.mark.parametrize(("auth", "headers"), [("key", KEYED), ("iam", SIGNED), ("key", {}), ("iam", {})])
@pytest.mark.parametrize("path", ["/qa", "/rest-api/qa/x", "/http-api/qa/x", "/lambda-url/qa/x"])
async def test_without_keys_nobody_comes_in(
    project: Project, invoker: TableInvoker, auth: str, headers: dict[str, str], path: str
) -> None:
    response = await served(project, invoker, None, auth=auth)("GET", path, headers=headers)
    assert response.status == 403
    assert invoker.seen == []


async def test_keys_that_cannot_be_read_are_an_error_of_the_server(
    project: Project, invoker: TableInvoker, tmp_path: Path
) -> None:
    (tmp_path / "keys.sqlite").write_bytes(b"this is no database at all, however long it is" * 50)
    client = served(project, invoker, Keys(tmp_path / "keys.sqlite"), auth="key")
    response = await client("GET", "/rest-api/qa/x", headers=KEYED)
    assert (response.status, response.json()) == (500, {"message": "Internal server error"})


@pytest.mark.parametrize(
    "path", ["/rest-api/qa/x", "/rest-api/nope/x", "/rest-api/", "/qa", "/models/qa", "/nope"]
)
async def test_a_front_that_asks_nobody_is_behind_the_token(
    project: Project, invoker: TableInvoker, path: str
) -> None:
    invoker.table["qa"] = {}
    client = served(project, invoker, None)
    assert (await client("GET", path)).status == 401
    response = await client("GET", path, headers={"authorization": "Bearer s3cret"})
    assert response.status != 401
