"""Roles as the CDK's own ``iam.Role``, which says the same as its class for CloudFormation's type in fewer words."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from firstlight.deploy.exports.cdk import policies
from firstlight.deploy.exports.cdk.layout import Call, Code, Text
from firstlight.deploy.types import Resource

TYPE = "AWS::IAM::Role"
REFERENCE = "role_name"
ATTRIBUTES = {"Arn": "role_arn", "RoleId": "role_id"}
_KNOWN = {"Path": "path", "Description": "description", "RoleName": "role_name"}
_TRUST = {"Effect", "Principal", "Action", "Condition"}


def fits(resource: Resource) -> bool:
    """Whether a role is trusted by one of AWS's services and has inline policies alone."""
    given: Mapping[str, Any] = resource.properties
    return (
        resource.type == TYPE
        and set(given) <= {*_KNOWN, "AssumeRolePolicyDocument", "Policies"}
        and _trusted(given["AssumeRolePolicyDocument"]) is not None
    )


def arguments(given: Mapping[str, Any], value: Callable[[Any], Code]) -> tuple[tuple[str, Code], ...]:
    """The named arguments of ``iam.Role``.

    Args:
        given: properties of the role.
        value: writes a value inside.
    """
    found: list[tuple[str, Code]] = [
        (name, value(given[key])) for key, name in _KNOWN.items() if given.get(key)
    ]
    trusted = _trusted(given["AssumeRolePolicyDocument"]) or {}
    who: list[tuple[str, Code]] = [("", Text(((trusted["Principal"]["Service"], False),)))]
    if "Condition" in trusted:
        who.append(("conditions", value(trusted["Condition"])))
    found.append(("assumed_by", Call("iam.ServicePrincipal", tuple(who))))
    inline = {
        policy["PolicyName"]: policies.document(policy["PolicyDocument"], value)
        for policy in given.get("Policies", ())
    }
    if inline:
        found.append(("inline_policies", inline))
    return tuple(found)


def _trusted(document: Any) -> Mapping[str, Any] | None:
    """The one statement of a document that lets one of AWS's services take a role; None for others."""
    statements: Sequence[Any] = document.get("Statement", ()) if isinstance(document, Mapping) else ()
    if len(statements) != 1 or not set(statements[0]) <= _TRUST:
        return None
    statement: Mapping[str, Any] = statements[0]
    principal, action = statement.get("Principal"), statement.get("Action")
    if not isinstance(principal, Mapping) or set(principal) != {"Service"}:
        return None
    one = isinstance(principal["Service"], str) and statement.get("Effect") == "Allow"
    return statement if one and action in ("sts:AssumeRole", ["sts:AssumeRole"]) else None
