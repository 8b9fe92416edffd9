"""What every part of the graph is made from, and the names that its resources have."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from firstlight.deploy.types import Account, Artifact, Deployed
from firstlight.project.names import ROUTER, Names, logical
from firstlight.project.types import Endpoint, Project
from firstlight.runtime.errors import ProjectError

JOBS = "router-jobs"
"""The function that works off the queue."""
SWITCH = "router-switch"
"""The function that turns the others off when the budget is used up."""
OURS = (ROUTER, JOBS, SWITCH, "jobs", "switch")
"""Functions that are no endpoints, and the parts of two of them; no endpoint may be called that."""
_PARTS = (
    *(
        "Router",
        "Records",
        "Jobs",
        "Http",
        "Rest",
        "Alarms",
        "Dashboard",
        "Ping",
        "Budget",
        "Switch",
        "Share",
    ),
    *("Cache", "Network", "Schedule", "Deployment"),
)
"""What the logical ids of all else begin with; an endpoint whose id would begin so too gets a suffix."""


@dataclass(frozen=True, slots=True)
class Site:
    """A project, what was built of it, and where it goes.

    Attributes:
        endpoints: those that are deployed, in the order of the project file.
        artifacts: code of each endpoint, and of the router.
        deployed: what is there now; None for a first deployment.
        switch: the aliases lead to the new versions; else they stay where they are.
        granted: endpoint -> workers that the account's quota has left for it, where it asks for any.
    """

    project: Project
    names: Names
    endpoints: tuple[Endpoint, ...]
    artifacts: Mapping[str, Artifact]
    account: Account
    deployed: Deployed | None
    switch: bool
    granted: Mapping[str, int] = field(default_factory=dict)

    @property
    def cached(self) -> bool:
        """Whether the endpoints have a file system, and so a network."""
        return self.project.deployment.cache != "none"


def counted(number: int, one: str, more: str = "") -> str:
    """A number and its noun: ``1 worker``, ``2 workers``."""
    return f"{number} {one if number == 1 else more or f'{one}s'}"


def endpoint_id(name: str, *words: str) -> str:
    """The logical id of a resource of an endpoint; never one of the router's, the jobs' or the like."""
    head = logical(name)
    if head.startswith(_PARTS):
        head += hashlib.sha256(name.encode()).hexdigest()[:4]
    return head + "".join(words)


def check(project: Project, artifacts: Iterable[str]) -> None:
    """Refuse what cannot be on AWS.

    Raises:
        ProjectError: naming the endpoint and what is in the way.
    """
    there = set(artifacts)
    for name, endpoint in project.endpoints.items():
        if name in OURS:
            raise ProjectError(
                f"an endpoint cannot be called {name!r} on AWS: the stack has a part of that name",
                "give the endpoint another name",
            )
        if name not in there:
            raise ProjectError(f"endpoint {name!r} was not built", "run firstlight build")
        _check_destinations(endpoint, project.endpoints)
        _check_snapshots(endpoint, cached=project.deployment.cache != "none")
    if ROUTER not in there:
        raise ProjectError("the router was not built", "run firstlight build")


def _check_destinations(endpoint: Endpoint, there: Iterable[str]) -> None:
    wishes = endpoint.asynchronous
    for key, where in (("on_success", wishes.on_success), ("on_failure", wishes.on_failure)):
        name = (where or "").removeprefix("endpoint:")
        if name != (where or "") and name not in there:
            raise ProjectError(
                f"{key} of endpoint {endpoint.name!r} is {where!r}, and there is no such endpoint",
                f"one of {', '.join(there)}",
            )


def _check_snapshots(endpoint: Endpoint, *, cached: bool) -> None:
    if not endpoint.snap_start:
        return
    if endpoint.provisioned:
        raise ProjectError(
            f"endpoint {endpoint.name!r} has snap_start and provisioned: Lambda takes one of the two",
            "leave provisioned out, or set snap_start = false",
        )
    if cached:
        raise ProjectError(
            f"endpoint {endpoint.name!r} has snap_start, and the project has a cache:"
            " Lambda makes no snapshots of functions with a file system",
            'set snap_start = false, or [deploy] cache = "none"',
        )
