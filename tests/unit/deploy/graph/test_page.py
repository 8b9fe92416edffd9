"""docs/stack.md names every type of resource there is."""

from __future__ import annotations

from pathlib import Path

import stacks
from firstlight.deploy import graph
from firstlight.project.names import Names
from firstlight.project.types import Asynchronous, Endpoint, Front


def test_every_type_of_resource_is_on_the_page(tmp_path: Path) -> None:
    (tmp_path / "key.pem").write_text("-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n")
    fronts = {"url": Front("url"), "http": Front("http"), "key": Front("rest", "key")}
    endpoints = [
        Endpoint(
            name, model="m", route=f"/{name}", front=front, reserved=2, asynchronous=Asynchronous(retries=0)
        )
        for name, front in fronts.items()
    ]
    made = [graph.artifacts_stack(Names("lyrics"), stacks.ACCOUNT)]
    for cache in ("efs", "s3files"):
        project = stacks.project(
            *endpoints,
            root=tmp_path,
            public=True,
            budget=5.0,
            kill_switch=True,
            email="a@example.org",
            cache=cache,
            share=True,
            share_key="key.pem",
        )
        made.append(stacks.stack(project))
    page = Path("docs/stack.md").read_text(encoding="utf-8")
    kinds = {resource.type.removeprefix("AWS::") for stack in made for resource in stack.resources}
    assert {kind for kind in kinds if f"`{kind}`" not in page} == set()
