"""Every statement of every policy of a stack, one line each: who may do what with what."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from firstlight.deploy.cloudformation import plain
from firstlight.deploy.types import Resource, Stack, Statement

_DOCUMENTS = {
    "AWS::SQS::QueuePolicy": ("PolicyDocument", "Queues"),
    "AWS::SNS::TopicPolicy": ("PolicyDocument", "Topics"),
    "AWS::S3::BucketPolicy": ("PolicyDocument", "Bucket"),
    "AWS::ECR::Repository": ("RepositoryPolicyText", "RepositoryName"),
}
"""Type of a resource with a policy of its own -> where it is, and what it is the policy of."""


def of(stack: Stack) -> tuple[Statement, ...]:
    """The statements of all roles, then those of resources, in the order of the stack.

    Those of resources (a queue's policy, the permission to invoke a function) name who may do it in ``condition``,
    as ``Principal``; so does the statement of who may take a role.
    """
    roles = [resource for resource in stack.resources if resource.type == "AWS::IAM::Role"]
    others = [resource for resource in stack.resources if resource.type != "AWS::IAM::Role"]
    found = [statement for resource in roles for statement in _of_role(resource)]
    return (*found, *(statement for resource in others for statement in _of_resource(resource)))


def written(value: Any) -> str:
    """A value as text, references written ``${...}`` as ``Fn::Sub`` has them."""
    made = plain(value)
    if isinstance(made, dict) and len(made) == 1:
        (kind, inner), *_ = made.items()
        if kind == "Ref":
            return f"${{{inner}}}"
        if kind == "Fn::GetAtt":
            return f"${{{'.'.join(inner)}}}"
        if kind == "Fn::Sub":
            return str(inner)
    return made if isinstance(made, str) else json.dumps(made, sort_keys=True)


def _condition(value: Any) -> Any:
    """A condition with its references written as text."""
    made = plain(value)
    if isinstance(made, dict):
        if set(made) & {"Ref", "Fn::GetAtt", "Fn::Sub"}:
            return written(value)
        return {key: _condition(inner) for key, inner in value.items()}
    return [_condition(inner) for inner in value] if isinstance(made, list) else made


def _of_role(role: Resource) -> Iterator[Statement]:
    properties: Mapping[str, Any] = role.properties
    for trust in properties["AssumeRolePolicyDocument"]["Statement"]:
        yield _statement(role.id, trust, ("${" + role.id + "}",))
    for policy in properties.get("Policies", ()):
        for statement in policy["PolicyDocument"]["Statement"]:
            yield _statement(role.id, statement)


def _of_resource(resource: Resource) -> Iterator[Statement]:
    properties: Mapping[str, Any] = resource.properties
    if resource.type == "AWS::Lambda::Permission":
        yield _permission(resource)
    elif resource.type in _DOCUMENTS:
        where, what = _DOCUMENTS[resource.type]
        on = properties[what]
        targets = tuple(written(one) for one in (on if isinstance(on, list | tuple) else (on,)))
        for statement in properties.get(where, {}).get("Statement", ()):
            yield _statement(resource.id, statement, targets)


def _permission(resource: Resource) -> Statement:
    asked = {
        key: value for key, value in resource.properties.items() if key not in ("Action", "FunctionName")
    }
    condition = {key: _condition(value) for key, value in asked.items()}
    return Statement(
        resource.id,
        "Allow",
        (str(resource.properties["Action"]),),
        (written(resource.properties["FunctionName"]),),
        json.dumps(condition, sort_keys=True),
    )


def _statement(owner: str, statement: Mapping[str, Any], targets: Sequence[str] = ()) -> Statement:
    resources = tuple(written(resource) for resource in _listed(statement.get("Resource", ()))) or tuple(
        targets
    )
    condition = _condition(statement.get("Condition", {}))
    if "Principal" in statement:
        condition = {"Principal": _condition(statement["Principal"]), **condition}
    return Statement(
        owner,
        statement["Effect"],
        tuple(_listed(statement["Action"])),
        resources,
        json.dumps(condition, sort_keys=True) if condition else "",
    )


def _listed(value: Any) -> list[Any]:
    return [value] if isinstance(value, str) or not isinstance(value, Sequence) else list(value)
