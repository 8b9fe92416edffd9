"""Back to the version before: the aliases move, and nothing is built or sent."""

from __future__ import annotations

import copy
import json
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from firstlight.build.types import Progress
from firstlight.deploy import moving, reading
from firstlight.deploy.aws import stacks
from firstlight.deploy.aws.errors import AwsError
from firstlight.deploy.aws.session import Session
from firstlight.deploy.aws.stacks import State
from firstlight.deploy.aws.warming import Warmed
from firstlight.deploy.trying import tried
from firstlight.deploy.types import Change, Deployed
from firstlight.project.names import LIVE, Names
from firstlight.runtime.errors import EndpointNotFound, ProjectError

_ALIAS = "AWS::Lambda::Alias"


@dataclass(frozen=True, slots=True)
class Back:
    """One alias that goes back.

    Attributes:
        part: whose it is: an endpoint's name, ``router``, ``jobs``.
        alias: its logical id.
        leaves: logical id of the version that callers reach now; ``to`` of the one before.
        numbers: of the two, as Lambda counts them.
    """

    part: str
    alias: str
    leaves: str
    to: str
    numbers: tuple[str, str]


@dataclass(frozen=True, slots=True)
class Way:
    """A way back that can be taken.

    Attributes:
        state: the stack as it was looked at; ``deployed`` what was in it.
    """

    state: State
    deployed: Deployed
    backs: tuple[Back, ...]


def find(session: Session, names: Names, wanted: Iterable[str], shown: Progress) -> Way:
    """What a rollback would do. Nothing is changed.

    Args:
        wanted: endpoints; none for those that the last deployment changed.

    Raises:
        ProjectError: nothing is deployed, or there is nothing before it.
        EndpointNotFound: no endpoint of that name is deployed.
        AwsError: AWS refused, or was not reached.
    """
    found = reading.find(session, names, shown)
    deployed, state = found.deployed, found.state
    if deployed is None or state is None:
        raise ProjectError(
            f"{names.stack} is not deployed in {session.region}", "`firstlight deploy` deploys it"
        )
    asked = tuple(wanted)
    for name in asked:
        if name not in deployed.live:
            raise EndpointNotFound(
                f"{name!r} is not deployed", f"deployed are: {', '.join(sorted(deployed.live))}"
            )
    there = stacks.resources(session, state.id)
    aliases = _aliases(deployed.template)
    last = {event.resource for event in stacks.events(session, state.id) if event.type == _ALIAS}
    parts = asked or tuple(part for part in deployed.live if aliases.get(part) in last)
    backs = tuple(back for part in parts if (back := _back(deployed, there, aliases, part)))
    missing = [part for part in asked if part not in {back.part for back in backs}]
    if missing or not backs:
        able = [part for part in deployed.live if _back(deployed, there, aliases, part)]
        raise _nothing_before(missing, able)
    return Way(state, deployed, backs)


def _nothing_before(missing: Iterable[str], able: Iterable[str]) -> ProjectError:
    about = " and ".join(missing) or "what the last deployment changed"
    others = ", ".join(able)
    hint = f"there is one of: {others}; name it" if others else "`firstlight deploy` brings other code"
    return ProjectError(f"there is no earlier version of {about} to go back to", hint)


def take(
    session: Session,
    names: Names,
    way: Way,
    shown: Progress,
    sleep: Callable[[float], None] = time.sleep,
) -> tuple[Warmed, ...]:
    """Invoke the earlier versions once, which may have been put away, and lead the aliases to them.

    Raises:
        Conflict: somebody else deployed meanwhile.
        NotDeployed: CloudFormation failed.
        VersionFailed: an earlier version does not answer either; nothing has moved.
    """
    silent = {"jobs", "switch", *reading.turned_off(way.deployed.template)}
    wanted = {back.part: back.to for back in way.backs if back.part not in silent}
    warmed = tried(session, way.state.id, wanted, shown, live=False)
    template = moved(way.deployed.template, way.backs)
    step = moving.Step(
        name=names.stack,
        text=json.dumps(template, separators=(",", ":"), ensure_ascii=False),
        base=way.deployed.template,
        tags=way.state.tags,
        agreed=tuple(Change("Modify", back.alias, _ALIAS, back.part) for back in way.backs),
        bucket=_bucket(session, names),
        parts={back.alias: back.part for back in way.backs},
    )
    if not moving.take(session, step, way.state, shown, sleep):
        raise AwsError(f"CloudFormation finds nothing to change in {names.stack}", "run the same again")
    return warmed


def moved(template: Mapping[str, Any], backs: Iterable[Back]) -> dict[str, Any]:
    """A template with aliases that lead elsewhere."""
    changed = copy.deepcopy(dict(template))
    for back in backs:
        properties = changed["Resources"][back.alias]["Properties"]
        properties["FunctionVersion"] = {"Fn::GetAtt": [back.to, "Version"]}
        if "Description" in properties:
            properties["Description"] = back.to
    return changed


def _back(
    deployed: Deployed, there: Mapping[str, stacks.There], aliases: Mapping[str, str], part: str
) -> Back | None:
    live, versions = deployed.live[part], deployed.versions.get(part, ())
    if live not in versions or versions.index(live) == 0:
        return None
    to = versions[versions.index(live) - 1]
    numbers = tuple(there[one].physical.rpartition(":")[2] if one in there else "" for one in (live, to))
    return Back(part, aliases[part], live, to, (numbers[0], numbers[1]))


def _aliases(template: Mapping[str, Any]) -> dict[str, str]:
    """Part -> logical id of its alias ``live``."""
    resources: Mapping[str, Any] = template.get("Resources", {})
    return {
        reading.part_of(resources, reading.referred(resource["Properties"].get("FunctionName"))): logical_id
        for logical_id, resource in resources.items()
        if resource.get("Type") == _ALIAS and resource.get("Properties", {}).get("Name") == LIVE
    }


def _bucket(session: Session, names: Names) -> str:
    store = stacks.state(session, names.artifacts)
    return store.outputs.get("BucketName", "") if store else ""
