"""One function of the stack: its log group, its role, its code, its versions and its alias."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from firstlight.deploy.graph.rights import role, writing_logs
from firstlight.deploy.graph.site import Site, counted
from firstlight.deploy.graph.versions import published
from firstlight.deploy.types import Artifact, Att, Ref, Resource, Value

LONGEST = 900
"""Seconds a function may take at most."""
_ENVIRONMENT_LIMIT = 4096
"""Bytes that all environment variables of a function may have together."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """A function that the stack is to have.

    Attributes:
        part: what it belongs to; ``head`` begins its logical ids, ``name`` is its own.
        timeout: seconds; ``memory`` is in MB.
        rights: name of an inline policy -> its statements, beside the right to write its log.
        handler: in place of the artifact's.
        reserved: workers it may have at most; None for as many as the account allows.
        snap_start: published versions start from a snapshot.
        extra: further properties: the network and the file system.
        after: what must be there before it.
    """

    part: str
    head: str
    name: str
    description: str
    artifact: Artifact
    memory: int
    timeout: float
    environment: Mapping[str, Value]
    rights: Mapping[str, Sequence[Mapping[str, Value]]] = field(default_factory=dict)
    handler: str = ""
    reserved: int | None = None
    provisioned: int = 0
    snap_start: bool = False
    extra: Mapping[str, Value] = field(default_factory=dict)
    after: tuple[str, ...] = ()


def function(site: Site, wanted: Wanted) -> tuple[Resource, ...]:
    """Everything one function is made of, in the order people read it."""
    *around, made = unpublished(site, wanted)
    versions = published(site, made, wanted.head, provisioned=wanted.provisioned)
    return (*around, made, *versions)


def unpublished(site: Site, wanted: Wanted) -> tuple[Resource, ...]:
    """A function without versions: its log group, its role and itself."""
    head = wanted.head
    return (
        log_group(f"{head}Logs", f"/aws/lambda/{wanted.name}", site, wanted.part),
        role(
            f"{head}Role",
            wanted.part,
            f"what {wanted.name} may do",
            site.names.stack,
            {"logs": [writing_logs(f"{head}Logs")], **wanted.rights},
        ),
        Resource(
            f"{head}Function",
            "AWS::Lambda::Function",
            {**_basic(wanted), **_code(wanted), **_limits(wanted), **wanted.extra},
            wanted.part,
            _facts(wanted),
            after=wanted.after,
        ),
    )


def _facts(wanted: Wanted) -> str:
    """What somebody who reads the plan wants to know of a function."""
    seconds = min(LONGEST, max(1, math.ceil(wanted.timeout)))
    facts = [f"{wanted.artifact.kind}, {wanted.artifact.architecture}, {wanted.memory:,} MB, {seconds} s"]
    if wanted.reserved is not None:
        facts.append(f"{counted(wanted.reserved, 'worker')} at most")
    if wanted.snap_start:
        facts.append("SnapStart")
    return f"{wanted.description}: {', '.join(facts)}"


def log_group(logical_id: str, name: str, site: Site, part: str) -> Resource:
    """A log group that forgets; one that Lambda makes itself never does."""
    return Resource(
        logical_id,
        "AWS::Logs::LogGroup",
        {"LogGroupName": name, "RetentionInDays": site.project.deployment.log_days},
        part,
        f"{name}, for {site.project.deployment.log_days} days",
    )


def variables_size(variables: Mapping[str, Value]) -> int:
    """Bytes of environment variables, references counted as AWS will fill them in at the longest."""
    return sum(
        len(name.encode()) + (len(value.encode()) if isinstance(value, str) else 128)
        for name, value in variables.items()
    )


def fits_environment(variables: Mapping[str, Value]) -> bool:
    """Whether Lambda takes them."""
    return variables_size(variables) <= _ENVIRONMENT_LIMIT


def _basic(wanted: Wanted) -> dict[str, Value]:
    return {
        "FunctionName": wanted.name,
        "Description": wanted.description[:256],
        "Role": Att(f"{wanted.head}Role", "Arn"),
        "MemorySize": wanted.memory,
        "Timeout": min(LONGEST, max(1, math.ceil(wanted.timeout))),
        "LoggingConfig": {
            "LogGroup": Ref(f"{wanted.head}Logs"),
            "LogFormat": "JSON",
            "ApplicationLogLevel": "INFO",
            "SystemLogLevel": "INFO",
        },
        **({"Environment": {"Variables": dict(wanted.environment)}} if wanted.environment else {}),
    }


def _code(wanted: Wanted) -> dict[str, Value]:
    artifact = wanted.artifact
    common: dict[str, Value] = {"Architectures": [artifact.architecture]}
    if artifact.kind == "image":
        return {"PackageType": "Image", "Code": {"ImageUri": artifact.uri}, **common}
    managed: dict[str, Value] = {"Runtime": artifact.runtime, "Handler": wanted.handler or artifact.handler}
    if artifact.kind == "inline":
        return {"PackageType": "Zip", "Code": {"ZipFile": artifact.uri}, **managed, **common}
    bucket, _, key = artifact.uri.removeprefix("s3://").partition("/")
    return {
        "PackageType": "Zip",
        "Code": {"S3Bucket": bucket, "S3Key": key},
        **managed,
        **common,
    }


def _limits(wanted: Wanted) -> dict[str, Value]:
    made: dict[str, Value] = {}
    if wanted.snap_start:
        made["SnapStart"] = {"ApplyOn": "PublishedVersions"}
    if wanted.reserved is not None:
        made["ReservedConcurrentExecutions"] = wanted.reserved
    return made
