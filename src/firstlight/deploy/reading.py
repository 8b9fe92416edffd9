"""What is deployed now, read from the stacks themselves: there is no other state."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from firstlight.build.types import Progress, Silent
from firstlight.deploy.aws import stacks, watching
from firstlight.deploy.aws.session import Session
from firstlight.deploy.aws.stacks import State
from firstlight.deploy.types import Deployed
from firstlight.project.names import LIVE, Names
from firstlight.runtime.errors import Conflict

PROJECT_TAG = "firstlight:project"
"""The tag that tells a stack of ours from one that only has the name."""
_VERSION, _ALIAS = "AWS::Lambda::Version", "AWS::Lambda::Alias"


@dataclass(frozen=True, slots=True)
class Found:
    """The two stacks of a project and stage, looked at once.

    Attributes:
        state: of the main stack; None where there is none.
        deployed: what is in it; None where nothing is that could be updated.
        artifacts: the stack of the bucket and the repository.
        store: what is in that one.
    """

    state: State | None
    deployed: Deployed | None
    artifacts: State | None = None
    store: Deployed | None = None


def deployed(session: Session, names: Names) -> Deployed | None:
    """What is deployed of a project and stage, None where nothing is.

    Raises:
        Conflict: the stack of that name is none of firstlight's.
        AwsError: AWS refused, or was not reached.
    """
    return _deployed(session, _ours(stacks.state(session, names.stack), names))


def find(
    session: Session, names: Names, shown: Progress | None = None, sleep: Callable[[float], None] = time.sleep
) -> Found:
    """Both stacks, once nothing is under way in them any more.

    Raises:
        Conflict: a stack of that name is none of firstlight's.
        AwsError: AWS refused, or was not reached.
    """
    shown = shown or Silent()
    store = _ours(watching.settled(session, names.artifacts, shown, sleep), names)
    state = _ours(watching.settled(session, names.stack, shown, sleep), names)
    return Found(state, _deployed(session, state), store, _deployed(session, store))


def _ours(state: State | None, names: Names) -> State | None:
    """The state, where the stack is one of this project.

    Raises:
        Conflict: it is not; the name is taken.
    """
    if state is None or state.tags.get(PROJECT_TAG) == names.project:
        return state
    if state.empty and not state.tags:
        return state  # a creation that was cut off before its tags were there
    owner = state.tags.get(PROJECT_TAG)
    whose = f"belongs to the project {owner!r}" if owner else "was not made by firstlight"
    hint = "take another `name` in firstlight.toml, or a --stage"
    raise Conflict(f"the name is taken: the stack {state.name} {whose}", hint)


def _deployed(session: Session, state: State | None) -> Deployed | None:
    if state is None or state.empty or state.broken or state.moving:
        return None
    template = stacks.template(session, state.id)
    versions, live = versions_of(template, _numbers(session, state.id))
    return Deployed(versions, live, state.status, state.outputs, template)


def versions_of(
    template: Mapping[str, Any], numbers: Mapping[str, int]
) -> tuple[dict[str, tuple[str, ...]], dict[str, str]]:
    """The versions in a template, and the ones that callers reach.

    Args:
        numbers: logical id of a version -> its number; one without is the newest.

    Returns:
        Part (endpoint's name, ``router``, ...) -> logical ids of its versions, oldest first; part -> the live one.
    """
    resources: Mapping[str, Any] = template.get("Resources", {})
    found: dict[str, list[str]] = {}
    live: dict[str, str] = {}
    for logical_id, resource in resources.items():
        if resource.get("Type") not in (_VERSION, _ALIAS):
            continue
        properties = resource.get("Properties", {})
        part = part_of(resources, referred(properties.get("FunctionName")))
        if resource["Type"] == _VERSION:
            found.setdefault(part, []).append(logical_id)
        elif properties.get("Name") == LIVE:
            live[part] = referred(properties.get("FunctionVersion"))
    newest = len(resources) + max(numbers.values(), default=0)
    versions = {
        part: tuple(sorted(ids, key=lambda one: numbers.get(one, newest))) for part, ids in found.items()
    }
    return versions, live


def part_of(resources: Mapping[str, Any], function: str) -> str:
    """The part that a function belongs to: an endpoint's name, ``router``, ``jobs``.

    Args:
        resources: of the template.
        function: its logical id.
    """
    properties = resources.get(function, {}).get("Properties", {})
    variables = properties.get("Environment", {}).get("Variables", {})
    return str(variables.get("FIRSTLIGHT_ENDPOINT") or function.removesuffix("Function").lower())


def turned_off(template: Mapping[str, Any]) -> set[str]:
    """Parts whose functions may have no worker (``concurrency = 0``), and so cannot be invoked."""
    resources: Mapping[str, Any] = template.get("Resources", {})
    return {
        part_of(resources, logical_id)
        for logical_id, resource in resources.items()
        if resource.get("Type") == "AWS::Lambda::Function"
        and resource.get("Properties", {}).get("ReservedConcurrentExecutions") == 0
    }


def referred(value: Any) -> str:
    """The logical id that a reference leads to."""
    if isinstance(value, Mapping):
        inner = value.get("Ref") or value.get("Fn::GetAtt") or ""
        return str(inner[0] if isinstance(inner, list) else str(inner).split(".", maxsplit=1)[0])
    return ""


def _numbers(session: Session, stack: str) -> dict[str, int]:
    """Logical id of a version -> its number, from its ARN."""
    found = {}
    for resource in stacks.resources(session, stack).values():
        number = resource.physical.rpartition(":")[2]
        if resource.type == _VERSION and number.isdigit():
            found[resource.id] = int(number)
    return found
