"""Endpoints and versions described as Lambda functions: FunctionConfiguration, AliasConfiguration and their like.

The order and choice of members follow answers recorded from AWS for functions that are container images. Environment
variables stay out, they may hold secrets.
"""

from __future__ import annotations

import base64
import platform
import time
import uuid
from collections.abc import Mapping
from typing import Any

from firstlight.gateway.catalogue import Entry
from firstlight.invoke.types import ACCOUNT, LATEST, WorkerSpec, function_arn
from firstlight.project.types import Asynchronous
from firstlight.versions.types import Alias, Version

ROLE = f"arn:aws:iam::{ACCOUNT}:role/firstlight-local"
"""What stands for the role of a local function, which has none."""

DESTINATION = f"arn:aws:lambda:us-east-1:{ACCOUNT}:function:"
_REVISIONS = uuid.UUID("b2f8e3b1-6c53-4a0c-8a4d-2d1f6f8f7b61")
_STATES = ("State", "StateReason", "StateReasonCode", "LastUpdateStatus")
_STARTED = time.time()
"""When this server was: endpoints without a bundle were not changed since, as far as anybody asks."""


def latest(entry: Entry, published: Version | None = None, qualifier: str | None = None) -> dict[str, Any]:
    """The FunctionConfiguration of an endpoint as it is now.

    Args:
        published: what publishing it would keep, for its hash and revision; None where nobody knows.
        qualifier: as it was asked for, part of the ARN; None leaves it out.
    """
    endpoint = entry.endpoint
    if published is not None:
        sha, revision, snap_start = published.code_sha256, published.revision_id, published.snap_start
    else:
        digest = entry.digest or "0" * 64
        sha = base64.b64encode(bytes.fromhex(digest)).decode() if len(digest) == 64 else digest
        revision, snap_start = str(uuid.uuid5(_REVISIONS, f"{entry.name} {digest}")), endpoint.snap_start
    problem = {"StateReason": entry.problem, "StateReasonCode": "InternalError"} if entry.problem else {}
    return {
        **_common(entry, endpoint.memory, endpoint.timeout),
        "FunctionArn": _arn(entry.name, qualifier),
        "Description": entry.task or (endpoint.script.name if endpoint.script else ""),
        "LastModified": modified(entry.created or _STARTED),
        "CodeSha256": sha,
        "Version": LATEST,
        "RevisionId": revision,
        "SnapStart": _snap_start(snap_start, on=False),
        "State": "Failed" if entry.problem else "Active",
        **problem,
        "LastUpdateStatus": "Successful",
    }


def version(entry: Entry, made: Version, qualifier: str | None = None) -> dict[str, Any]:
    """The FunctionConfiguration of a published version.

    Args:
        qualifier: an alias by which it was asked for; None puts its number into the ARN.
    """
    spec: WorkerSpec = made.spec
    return {
        **_common(entry, spec.memory_mb, spec.timeout_s),
        "FunctionArn": _arn(entry.name, qualifier or str(made.number)),
        "Description": made.description,
        "LastModified": modified(made.created),
        "CodeSha256": made.code_sha256,
        "Version": str(made.number),
        "RevisionId": made.revision_id,
        "SnapStart": _snap_start(made.snap_start, on=made.snap_start),
        "State": "Active",
        "LastUpdateStatus": "Successful",
    }


def in_a_list(configuration: Mapping[str, Any]) -> dict[str, Any]:
    """A FunctionConfiguration as lists have it: without what may change from one moment to the next."""
    return {name: value for name, value in configuration.items() if name not in _STATES}


def alias(made: Alias) -> dict[str, Any]:
    """The AliasConfiguration."""
    weights = {"RoutingConfig": {"AdditionalVersionWeights": dict(made.weights)}} if made.weights else {}
    return {
        "AliasArn": _arn(made.endpoint, made.name),
        "Name": made.name,
        "FunctionVersion": made.version,
        "Description": made.description,
        **weights,
        "RevisionId": made.revision_id,
    }


def event_config(endpoint: str, qualifier: str, value: Asynchronous) -> dict[str, Any]:
    """The FunctionEventInvokeConfig."""
    return {
        "LastModified": round(_STARTED, 3),
        "FunctionArn": _arn(endpoint, qualifier),
        "MaximumRetryAttempts": value.retries,
        "MaximumEventAgeInSeconds": int(value.max_age),
        "DestinationConfig": {
            "OnSuccess": _destination(value.on_success),
            "OnFailure": _destination(value.on_failure),
        },
    }


def modified(when: float) -> str:
    """A time as Lambda writes it: ISO 8601 with milliseconds, in UTC."""
    moment = time.gmtime(when)
    return time.strftime("%Y-%m-%dT%H:%M:%S", moment) + f".{int(when % 1 * 1000):03d}+0000"


def _common(entry: Entry, memory_mb: int, timeout_s: float) -> dict[str, Any]:
    return {
        "FunctionName": entry.name,
        "Role": ROLE,
        "CodeSize": 0,
        "Timeout": max(1, round(timeout_s)),
        "MemorySize": memory_mb,
        "TracingConfig": {"Mode": "PassThrough"},
        "PackageType": "Image",
        "Architectures": ["arm64" if platform.machine() in ("aarch64", "arm64") else "x86_64"],
        "EphemeralStorage": {"Size": 512},
        "LoggingConfig": {"LogFormat": "Text", "LogGroup": f"/aws/lambda/{entry.name}"},
    }


def _snap_start(wanted: bool, on: bool) -> dict[str, str]:
    return {
        "ApplyOn": "PublishedVersions" if wanted else "None",
        "OptimizationStatus": "On" if on else "Off",
    }


def _arn(name: str, qualifier: str | None) -> str:
    """The ARN with the qualifier that was asked for, ``$LATEST`` too."""
    return function_arn(name) if qualifier is None else f"{function_arn(name)}:{qualifier}"


def _destination(where: str | None) -> dict[str, str]:
    """A destination as it was given here; endpoints have an ARN."""
    if where is None:
        return {}
    name = where.removeprefix("endpoint:")
    return {"Destination": where if name == where else DESTINATION + name}
