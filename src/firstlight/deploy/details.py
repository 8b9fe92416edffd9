"""What exactly changes in a resource: each value that differs, before and after, for people to read."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from firstlight.deploy.cloudformation import template
from firstlight.deploy.types import Change, Stack

_VARIABLES = "Environment.Variables."
_OURS = re.compile(r"FIRSTLIGHT_[A-Z_]+|HF_HUB_OFFLINE|HOME|AWS_LAMBDA_EXEC_WRAPPER|PYTHONPATH")
"""Variables of functions whose values are no secrets: those that firstlight sets itself."""
_LONGEST = 160
NOTHING = "(nothing)"
HIDDEN = "(not shown)"


@dataclass(frozen=True, slots=True)
class Detail:
    """One value that differs.

    Attributes:
        path: where it is in the resource: ``Environment.Variables.TOKEN``, ``Policies.0.PolicyName``.
        before: as text; ``NOTHING`` where there was none.
        after: as text; ``NOTHING`` where there is none.
    """

    path: str
    before: str
    after: str


def of_change(change: Change, before: Mapping[str, Any], *stacks: Stack) -> tuple[Detail, ...]:
    """The details of a change; none of one that adds or removes.

    Args:
        before: the template that is deployed.
        stacks: what is to be; the resource is in one of them.
    """
    old = before.get("Resources", {}).get(change.id)
    for stack in stacks:
        new = template(stack)["Resources"].get(change.id)
        if old is not None and new is not None:
            return tuple(differing(_flat(old), _flat(new)))
    return ()


def differing(old: Any, new: Any, path: str = "") -> Iterator[Detail]:
    """Each value that two forms of a resource differ in, as deep as both have the same shape."""
    if (
        isinstance(old, Mapping)
        and isinstance(new, Mapping)
        and not (_is_reference(old) or _is_reference(new))
    ):
        for key in dict.fromkeys((*old, *new)):
            yield from differing(old.get(key), new.get(key), f"{path}.{key}" if path else str(key))
    elif isinstance(old, list) and isinstance(new, list) and len(old) == len(new):
        for place, (one, other) in enumerate(zip(old, new, strict=True)):
            yield from differing(one, other, f"{path}.{place}")
    elif old != new:
        yield Detail(path, _said(path, old), _said(path, new))


def _flat(resource: Mapping[str, Any]) -> dict[str, Any]:
    return {
        **resource.get("Properties", {}),
        **{key: resource[key] for key in resource if key not in ("Properties", "Type")},
    }


def _is_reference(value: Mapping[str, Any]) -> bool:
    return len(value) == 1 and next(iter(value)) in ("Ref", "Fn::GetAtt", "Fn::Sub")


def is_open(variable: str, value: Any) -> bool:
    """Whether a variable's value may be shown: it is ours, a reference, or the name of a secret instead of one."""
    return bool(_OURS.fullmatch(variable)) or not isinstance(value, str) or value.startswith("{{resolve:")


def _said(path: str, value: Any) -> str:
    """A value in a line; a variable of the user's may be a secret."""
    if value is None:
        return NOTHING
    if path.startswith(_VARIABLES) and not is_open(path.removeprefix(_VARIABLES), value):
        return HIDDEN
    if isinstance(value, Mapping) and _is_reference(value):
        (inner,) = value.values()
        return "${" + (".".join(inner) if isinstance(inner, list) else str(inner)) + "}"
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}..."
