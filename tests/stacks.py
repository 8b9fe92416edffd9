"""Projects as they are deployed, and their stacks, for tests."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from firstlight.deploy import graph
from firstlight.deploy.cloudformation import template
from firstlight.deploy.types import Account, Artifact, Deployed, Resource, Stack
from firstlight.project.types import Deployment, Endpoint, Project, RecordPolicy

ACCOUNT = Account("123456789012", "eu-central-1")
REPOSITORY = "123456789012.dkr.ecr.eu-central-1.amazonaws.com/firstlight/lyrics"


def artifact(name: str, kind: str = "image", code: str = "a") -> Artifact:
    """Code of a function; ``code`` is one hex digit that tells one build from another."""
    digest = code * 64
    if kind == "image":
        return Artifact(
            name, kind, f"sha256:{digest}", f"{REPOSITORY}@sha256:{digest}", 60_000_000, 90_000_000, "arm64"
        )
    uri, variables = f"s3://bucket/{name}-{digest[:12]}.zip", {"HOME": "/tmp"}
    handler = "firstlight.runtime.lambda_function.handler"
    return Artifact(
        name, kind, digest, uri, 20_000_000, 50_000_000, "arm64", "python3.13", handler, variables
    )


def project(
    *endpoints: Endpoint, stage: str | None = None, root: Path | None = None, **wishes: Any
) -> Project:
    """A project with these endpoints; ``mood`` where none are given."""
    some = endpoints or (Endpoint("mood", model="starter:lyrics"),)
    return Project(
        name="lyrics",
        root=root,
        file=None,
        stage=stage,
        endpoints={endpoint.name: endpoint for endpoint in some},
        records=RecordPolicy(),
        data_dir=Path("/nowhere"),
        deployment=Deployment(**wishes),
    )


def artifacts(of: Project, code: str = "a") -> dict[str, Artifact]:
    """Code of everything: zips where an endpoint asks for one, images else."""
    made = {
        name: artifact(name, endpoint.package or "image", code) for name, endpoint in of.endpoints.items()
    }
    return {**made, "router": artifact("router", "zip", code)}


def stack(of: Project, deployed: Deployed | None = None, code: str = "a", **more: Any) -> Stack:
    """The stack of a project."""
    return graph.stack(of, artifacts(of, code), more.pop("account", ACCOUNT), deployed, **more)


def deployed(of: Stack) -> Deployed:
    """A stack as it is read back once it is deployed."""
    made = template(of)
    versions: dict[str, tuple[str, ...]] = {}
    live = {}
    for resource in of.resources:
        if resource.type == "AWS::Lambda::Version":
            versions[resource.part] = (*versions.get(resource.part, ()), resource.id)
        if resource.type == "AWS::Lambda::Alias":
            live[resource.part] = made["Resources"][resource.id]["Properties"]["FunctionVersion"][
                "Fn::GetAtt"
            ][0]
    return Deployed(versions, live, "CREATE_COMPLETE", {}, made)


def ids(of: Stack, kind: str) -> list[str]:
    """Logical ids of the resources of a type: ``Lambda::Version``."""
    return [resource.id for resource in of.resources if resource.type == f"AWS::{kind}"]


def properties(of: Stack, logical_id: str) -> Mapping[str, Any]:
    """Properties of a resource as the template has them."""
    found: Mapping[str, Any] = template(of)["Resources"][logical_id]["Properties"]
    return found


def policies(of: Resource) -> dict[str, list[dict[str, Any]]]:
    """Inline policies of a role: name -> statements."""
    held: Any = of.properties["Policies"]
    return {policy["PolicyName"]: policy["PolicyDocument"]["Statement"] for policy in held}
