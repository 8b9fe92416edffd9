"""Roles and the statements in them: every one names its actions and its resources."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from firstlight.deploy.types import Att, Resource, Value

LAMBDA = "lambda.amazonaws.com"


def allow(
    actions: Sequence[str], resources: Sequence[Value], condition: Mapping[str, Value] | None = None
) -> dict[str, Value]:
    """A statement that allows."""
    return _statement("Allow", actions, resources, condition)


def deny(
    actions: Sequence[str], resources: Sequence[Value], condition: Mapping[str, Value] | None = None
) -> dict[str, Value]:
    """A statement that denies, whatever others allow."""
    return _statement("Deny", actions, resources, condition)


def document(*statements: Mapping[str, Value]) -> dict[str, Value]:
    """A policy document."""
    return {"Version": "2012-10-17", "Statement": list(statements)}


def trusting(principal: str, condition: Mapping[str, Value] | None = None) -> dict[str, Value]:
    """The document that lets one of AWS's services take a role."""
    statement: dict[str, Value] = {
        "Effect": "Allow",
        "Principal": {"Service": principal},
        "Action": ["sts:AssumeRole"],
    }
    return document({**statement, "Condition": condition} if condition else statement)


def role(
    logical_id: str,
    part: str,
    why: str,
    stack: str,
    policies: Mapping[str, Sequence[Mapping[str, Value]]],
    *,
    trust: Mapping[str, Value] | None = None,
) -> Resource:
    """A role.

    Args:
        stack: name of the stack, which is the role's path: what deploys may have rights on it and on no other.
        policies: name of an inline policy -> its statements; those without statements are left out.
        trust: who may take it; Lambda unless it is given.
    """
    return Resource(
        id=logical_id,
        type="AWS::IAM::Role",
        properties={
            "Path": path(stack),
            "Description": why[:1000],
            "AssumeRolePolicyDocument": trust or trusting(LAMBDA),
            "Policies": [
                {"PolicyName": name, "PolicyDocument": document(*statements)}
                for name, statements in policies.items()
                if statements
            ],
        },
        part=part,
        why=why,
    )


def path(stack: str) -> str:
    """The path of all roles of a stack."""
    return f"/firstlight/{stack}/"


def writing_logs(log_group: str) -> dict[str, Value]:
    """The right of a function to write its own log; its log group is there already."""
    return allow(("logs:CreateLogStream", "logs:PutLogEvents"), (Att(log_group, "Arn"),))


def _statement(
    effect: str, actions: Sequence[str], resources: Sequence[Value], condition: Mapping[str, Value] | None
) -> dict[str, Value]:
    made: dict[str, Value] = {"Effect": effect, "Action": list(actions), "Resource": list(resources)}
    return {**made, "Condition": condition} if condition else made
