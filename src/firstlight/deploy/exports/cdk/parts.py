"""The graph cut into constructs: which part is a class of which name, which comes first, what each is called inside."""

from __future__ import annotations

import keyword
import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass

from firstlight.deploy.exports.cdk.shapes import alias
from firstlight.deploy.exports.references import needs
from firstlight.deploy.types import Resource, Stack
from firstlight.project.names import logical

_HASH = re.compile(r"(?=[0-9a-f]*[0-9])(?=[0-9a-f]*[a-f])[0-9a-f]{8,10}$")
"""What ids end with that are others for other code or another key."""
_TAKEN = {"self", "cdk", "scope", "construct_id", "node", "to_string", "env", "app"}


@dataclass(frozen=True, slots=True)
class Part:
    """A class of the app: one part of the stack.

    Attributes:
        name: as the resources say it: ``mood``.
        resources: in the order they are made.
        needs: names of the parts it is handed, made before it.
        attributes: logical id -> attribute of its construct.
    """

    name: str
    module: str
    construct: str
    variable: str
    resources: tuple[Resource, ...]
    needs: tuple[str, ...]
    attributes: dict[str, str]


def parts(stack: Stack) -> list[Part]:
    """The parts of a stack, each after those it refers to wherever that is possible."""
    grouped: dict[str, list[Resource]] = {}
    for resource in stack.resources:
        grouped.setdefault(resource.part, []).append(resource)
    wanted = _wanted(grouped)
    for circle in _circles(wanted):
        name = min(circle, key=len)
        together = {id(resource) for other in circle for resource in grouped.pop(other)}
        grouped[name] = [resource for resource in stack.resources if id(resource) in together]
    wanted = _wanted(grouped)
    taken = _TAKEN | {alias(resource.type.split("::")[1]) for resource in stack.resources}
    modules: set[str] = set()
    classes = {"Construct"}
    made: list[Part] = []
    for name in _ordered(wanted):
        module = _free(_snake(name), modules | {"__init__"})
        modules.add(module)
        construct = _free(class_of(name), classes)
        classes.add(construct)
        before = tuple(one.name for one in made if one.name in wanted[name])
        made.append(
            Part(
                name,
                module,
                construct,
                _free(module, taken),
                tuple(grouped[name]),
                before,
                _attributes(name, grouped[name]),
            )
        )
    return made


def _wanted(grouped: dict[str, list[Resource]]) -> dict[str, set[str]]:
    """Part -> parts that its resources refer to or come after."""
    owners = {resource.id: name for name, resources in grouped.items() for resource in resources}
    return {
        name: {owners[found] for one in resources for found in needs(one) if found in owners} - {name}
        for name, resources in grouped.items()
    }


def _circles(wanted: dict[str, set[str]]) -> list[set[str]]:
    """Parts that refer to each other, directly or by way of others: those are one construct."""
    reached = {name: set(others) for name, others in wanted.items()}
    for between in wanted:
        for others in reached.values():
            if between in others:
                others.update(reached[between])
    circles: list[set[str]] = []
    for name, others in reached.items():
        circle = {other for other in others if name in reached[other]}
        if name in others and circle not in circles:
            circles.append(circle)
    return circles


def _ordered(wanted: dict[str, set[str]]) -> list[str]:
    """Names, each after those it wants."""
    order: list[str] = []
    while len(order) < len(wanted):
        order.append(next(name for name in wanted if name not in order and wanted[name] <= set(order)))
    return order


def _attributes(part: str, resources: Sequence[Resource]) -> dict[str, str]:
    found: dict[str, str] = {}
    for resource in resources:
        own = _HASH.sub("", resource.id)
        plain = own.removeprefix(logical(part)) or own
        if resource.type == "AWS::Lambda::Version":
            plain = "Version"
        found[resource.id] = _free(_snake(plain), _TAKEN | set(found.values()))
    return found


def class_of(name: str) -> str:
    """A class's name made of another name."""
    made = "".join(part[:1].upper() + part[1:] for part in re.split(r"[^A-Za-z0-9]+", name))
    return made if made[:1].isalpha() else f"Part{made}"


def _snake(name: str) -> str:
    plain = re.sub(r"([A-Z]+)([A-Z][a-z])", r"\1_\2", re.sub(r"[^A-Za-z0-9]+", "_", name))
    made = re.sub(r"(?<=[a-z0-9])([A-Z])", r"_\1", plain).lower().strip("_")
    return made if made[:1].isalpha() else f"part_{made}"


def _free(name: str, taken: Collection[str]) -> str:
    """A name that is neither taken nor a word of Python."""
    free = f"{name}_" if keyword.iskeyword(name) or name in taken else name
    number = 2
    while free in taken:
        free = f"{name}_{number}"
        number += 1
    return free
