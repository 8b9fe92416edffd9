"""A project as the router has it: all that it serves, and no secrets."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from firstlight.project import Endpoint, Front, Project, RecordPolicy, description
from firstlight.project.types import Asynchronous
from firstlight.runtime.errors import ProjectError


def project(root):
    endpoints = (
        Endpoint(
            "mood", model="starter:lyrics", route="/mood", env={"KEY": "s3cret"}, reserved=3, concurrency=3
        ),
        Endpoint("near", model=str(root / "models/near"), concurrency=4, task="translation"),
        Endpoint(
            "own",
            script=root / "inference/own.py",
            asynchronous=Asynchronous(retries=0, on_success="endpoint:mood"),
            front=Front("url", "iam", stream=True),
        ),
    )
    found = {endpoint.name: endpoint for endpoint in endpoints}
    return Project(
        "lyrics", root, "prod", found, RecordPolicy("hash"), root / "data", variables={"TOKEN": "s3cret"}
    )


def test_what_is_read_is_what_was_written_less_what_is_secret(tmp_path):
    given = project(tmp_path)
    raw = description.written(given)
    assert b"s3cret" not in raw
    assert str(tmp_path).encode() not in raw
    found = description.read(raw)
    assert (found.name, found.stage, found.root, found.records) == (
        "lyrics",
        "prod",
        None,
        RecordPolicy("hash"),
    )
    mood, near, own = found.endpoints.values()
    assert mood == replace(given.endpoints["mood"], env={})
    assert (near.model, near.task, near.concurrency) == ("near", "translation", 1)
    assert own.script == Path("inference/own.py")
    assert own.asynchronous == given.endpoints["own"].asynchronous
    assert own.front == Front("url", "none", stream=True)


def test_it_is_the_same_for_the_same_project_elsewhere(tmp_path):
    assert description.written(project(tmp_path / "a")) == description.written(project(tmp_path / "b"))


@pytest.mark.parametrize("raw", [b"", b"[]", b"{}", json.dumps({"schema": 9}).encode(), b'{"schema": 1}'])
def test_what_is_no_description_is_said(raw):
    with pytest.raises(ProjectError, match="cannot be read"):
        description.read(raw)
