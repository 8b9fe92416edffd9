"""The policy of whoever deploys: what it takes to make, change and delete one project's stacks, and no more."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

from firstlight.deploy import graph
from firstlight.deploy.graph.environment import secrets
from firstlight.deploy.needs import ARTIFACTS, NEEDS, OPTIONS, Need
from firstlight.deploy.types import Account, Artifact
from firstlight.project.names import ROUTER, Names
from firstlight.project.types import Project

LIMIT = 6144
"""Characters without spaces that a managed policy may have."""
_STACK_KEPT, _FUNCTION_KEPT = 32, 54
"""Characters that even a shortened name begins with."""


def deploying(names: Names, account: Account, project: Project) -> dict[str, Any]:
    """The policy that deploying, looking at and destroying a project needs.

    Args:
        account: an id of ``*`` makes a policy for any account.
        project: what it asks for decides what is in it.

    Raises:
        ProjectError: the project asks for what Lambda does not have.
    """
    artifacts = {name: _somewhere(name) for name in (*project.endpoints, ROUTER)}
    stacks = (graph.stack(project, artifacts, account), graph.artifacts_stack(names, account))
    types = {resource.type for stack in stacks for resource in stack.resources}
    words = _words(names, account)
    statements = [
        _statement(need, words)
        for need in (*NEEDS, *ARTIFACTS, *OPTIONS)
        if not need.types or types & set(need.types.split())
    ]
    return {"Version": "2012-10-17", "Statement": [*statements, *_secrets(project, account)]}


def size(document: dict[str, Any]) -> int:
    """Characters of a policy as IAM counts them."""
    return len(re.sub(r"\s", "", json.dumps(document)))


def _somewhere(name: str) -> Artifact:
    return Artifact(name, "zip", "", "s3://bucket/key", 0, 0, "arm64", "python3.13", "handler")


def _words(names: Names, account: Account) -> dict[str, str]:
    made = f"{names.stack}-*" if len(names.stack) <= _STACK_KEPT else f"{names.stack[:_STACK_KEPT]}*"
    functions = (
        f"{names.prefix}-*" if len(names.prefix) < _FUNCTION_KEPT else f"{names.prefix[:_FUNCTION_KEPT]}*"
    )
    return {
        "partition": account.partition,
        "region": account.region,
        "account": account.id,
        "stack": names.stack,
        "artifacts": names.artifacts,
        "functions": functions,
        "made": made,
        "made_small": made.lower(),
        "repository": names.repository,
        "bucket": names.bucket(account.id, account.region),
    }


def _statement(need: Need, words: dict[str, str]) -> dict[str, Any]:
    made: dict[str, Any] = {
        "Effect": "Allow",
        "Action": [f"{need.service}:{action}" for action in need.actions.split()],
        "Resource": _one_or_many([arn.format(**words) for arn in need.arns.split()]),
    }
    if need.condition:
        made["Condition"] = json.loads(need.condition.format(**words))
    return made


def _secrets(project: Project, account: Account) -> Iterator[dict[str, Any]]:
    """CloudFormation reads what dynamic references lead to in the name of whoever deploys."""
    found = dict.fromkeys(
        secret for endpoint in project.endpoints.values() for secret in secrets(endpoint.env)
    )
    if found:
        here = f"arn:{account.partition}:secretsmanager:{account.region}:{account.id}:secret"
        arns = [name if name.startswith("arn:") else f"{here}:{name}-??????" for name in found]
        yield {"Effect": "Allow", "Action": ["secretsmanager:GetSecretValue"], "Resource": _one_or_many(arns)}


def _one_or_many(values: list[str]) -> str | list[str]:
    return values[0] if len(values) == 1 else values
