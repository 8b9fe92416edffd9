"""IAM's policies as objects of the CDK."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from firstlight.deploy.exports.cdk.layout import Call, Code

_NAMES = {
    "Sid": "sid",
    "Effect": "effect",
    "Action": "actions",
    "Resource": "resources",
    "Condition": "conditions",
}
_LISTS = {"Action", "Resource"}


def document(given: Mapping[str, Any], value: Callable[[Any], Code]) -> Code:
    """A policy document; as plain values where it has what the CDK's class lacks.

    Args:
        value: writes a value inside.
    """
    if set(given) - {"Version", "Statement"} or not isinstance(given.get("Statement"), (list, tuple)):
        return value(given)
    statements = [_statement(one, value) for one in given["Statement"]]
    return Call("iam.PolicyDocument", (("statements", statements),))


def _statement(given: Mapping[str, Any], value: Callable[[Any], Code]) -> Code:
    principals = _principals(given.get("Principal"), value)
    if set(given) - set(_NAMES) - {"Principal"} or principals is None:
        return Call("iam.PolicyStatement.from_json", (("", value(given)),))
    arguments: list[tuple[str, Code]] = []
    for key, name in _NAMES.items():
        if key not in given:
            continue
        if key == "Effect":
            if given[key] != "Allow":
                arguments.append((name, f"iam.Effect.{given[key].upper()}"))
        elif key in _LISTS and not isinstance(given[key], (list, tuple)):
            arguments.append((name, [value(given[key])]))
        else:
            arguments.append((name, value(given[key])))
    if principals:
        arguments.append(("principals", principals))
    return Call("iam.PolicyStatement", tuple(arguments))


def _principals(given: Any, value: Callable[[Any], Code]) -> list[Code] | None:
    """Who a statement is about; None where it takes more than these classes."""
    if given is None:
        return []
    if given == "*":
        return ["iam.StarPrincipal()"]
    if set(given) == {"Service"}:
        names = given["Service"] if isinstance(given["Service"], (list, tuple)) else [given["Service"]]
        return [Call("iam.ServicePrincipal", (("", value(name)),)) for name in names]
    if set(given) == {"AWS"} and isinstance(given["AWS"], str) and given["AWS"] == "*":
        return ["iam.AnyPrincipal()"]
    return None
