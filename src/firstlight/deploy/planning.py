"""What a deployment is about to do, found out by reading alone: nothing is changed to make a plan."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from firstlight.deploy import comparing, cost, graph, statements
from firstlight.deploy.graph.concurrency import granted
from firstlight.deploy.reading import Found
from firstlight.deploy.types import Account, Artifact, Change, Plan, Stack
from firstlight.project.names import Names
from firstlight.project.types import Project
from firstlight.runtime.errors import ProjectError

_ECR = re.compile(r"(?P<account>\d{12})\.dkr\.ecr(?:-fips)?\.(?P<region>[a-z0-9-]+)\.amazonaws\.com(?:\.cn)?")


@dataclass(frozen=True, slots=True)
class Planned:
    """A plan, and what it was made from.

    Attributes:
        store: the stack of the bucket and the repository, which comes first.
        found: what is there now; applying the plan refuses where that has changed since.
    """

    plan: Plan
    store: Stack
    found: Found

    @property
    def nothing(self) -> bool:
        """Whether all is deployed as it is asked for."""
        return not self.plan.changes


def plan(project: Project, account: Account, artifacts: Iterable[Artifact], found: Found) -> Planned:
    """The plan of a deployment.

    Args:
        artifacts: code of each endpoint and of the router, where it will be.
        found: what is deployed now.

    Raises:
        ProjectError: the project asks for what cannot be, or for a change that AWS does not make.
    """
    names = Names(project.name, project.stage)
    codes = {artifact.endpoint: artifact for artifact in artifacts}
    check_registry(project, account)
    stack = graph.stack(project, codes, account, found.deployed)
    store = graph.artifacts_stack(names, account)
    before = found.deployed.template if found.deployed else {}
    stored = found.store.template if found.store else {}
    _check_stuck(comparing.stuck(before, stack))
    made = Plan(
        stack=stack,
        account=account,
        artifacts=tuple(codes.values()),
        changes=(*comparing.changes(stored, store), *comparing.changes(before, stack)),
        statements=statements.of(stack),
        idle=cost.idle(stack, codes.values()),
        per_million=cost.per_million(stack),
        notes=tuple(_notes(project, account, stack, found)),
    )
    return Planned(made, store, found)


def check_registry(project: Project, account: Account) -> None:
    """Lambda takes images only from ECR of its own region.

    Raises:
        ProjectError: `[deploy] registry` is ECR of another region.
    """
    ecr = _ECR.match(project.deployment.registry)
    if ecr and ecr["region"] != account.region:
        raise ProjectError(
            f"the registry is in {ecr['region']} and the functions would be in {account.region}: Lambda takes images "
            "from its own region only",
            f"give --region {ecr['region']}, or leave `registry` out of [deploy]",
        )


def _check_stuck(stuck: Iterable[Change]) -> None:
    for change in stuck:
        if "PackageType" in change.details:
            raise ProjectError(
                f"{change.part!r} is deployed as another kind of package (zip or image), which Lambda does not change",
                f"set its `package` back, or give {change.part!r} another name, or deploy once without it",
            )
        raise ProjectError(
            f"{change.id} ({change.type}) would have to be made anew, and keeps its name, which AWS does not do",
            f"changed: {', '.join(change.details)}; take it out, deploy, and put it in again",
        )


def _notes(project: Project, account: Account, stack: Stack, found: Found) -> Iterator[str]:
    for broken in (found.artifacts, found.state):
        if broken is not None and broken.broken:
            yield (
                f"an earlier deployment was not finished ({broken.status}): what is left of {broken.name} is "
                "deleted first"
            )
    state = found.state
    if state is not None and state.status == "UPDATE_ROLLBACK_FAILED":
        yield f"{state.name} could not be taken back to what it was ({state.status}): that is tried again first"
    yield from granted(project.endpoints.values(), account, found.deployed)[1]
    yield from graph.notes(project)
    yield from _about_fronts(project)
    registry = project.deployment.registry
    if registry and not _ECR.match(registry):
        yield f"AWS itself takes images from its own registry (ECR) only; {registry} suits emulators and other clouds"
    if project.variables:
        names = ", ".join(sorted(project.variables))
        yield f"what .env says stays on this machine ({names}); functions get the `env` of their endpoint"
    if found.deployed is not None:
        there = {resource.id for resource in stack.resources}
        for key, resource in dict(found.deployed.template.get("Resources", {})).items():  # type: ignore[call-overload]
            if key not in there and str(resource.get("DeletionPolicy", "")).startswith("Retain"):
                yield f"{key} ({resource['Type']}) is taken out of the stack and kept, with what is in it"


def _about_fronts(project: Project) -> Iterator[str]:
    for endpoint in project.endpoints.values():
        if endpoint.route is None or endpoint.front.auth != "none":
            continue
        if not project.deployment.public:
            yield f"{endpoint.route} asks for IAM, as `public` is not set in [deploy]"
        elif endpoint.reserved is None:
            yield f"{endpoint.route} is open to everybody, and nothing but the account's quota limits what it may cost"
        else:
            yield f"{endpoint.route} is open to everybody, at most {endpoint.reserved} at once"
