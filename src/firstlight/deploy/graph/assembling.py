"""From a project to its stack: every part in its place."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping

from firstlight.deploy.graph import (
    alarms,
    budget,
    cache,
    dashboard,
    endpoints,
    fronts,
    jobs,
    records,
    router,
    schedules,
    share,
)
from firstlight.deploy.graph.concurrency import granted
from firstlight.deploy.graph.site import Site, check, endpoint_id
from firstlight.deploy.graph.tagging import tags
from firstlight.deploy.types import Account, Artifact, Deployed, Output, Ref, Resource, Stack
from firstlight.project.names import Names
from firstlight.project.types import Project
from firstlight.runtime.errors import ProjectError

MOST = 500
"""Resources that a stack may have."""


def stack(
    project: Project,
    artifacts: Mapping[str, Artifact],
    account: Account,
    deployed: Deployed | None = None,
    *,
    switch: bool = True,
) -> Stack:
    """The stack of a project and stage.

    Args:
        artifacts: code of each endpoint and of ``router``.
        account: what its quota allows is a part of the graph.
        deployed: what is there now: versions of it stay.
        switch: aliases lead to the present code; else to what they lead to now, so that it may be tried first.

    Raises:
        ProjectError: the project asks for what Lambda does not have.
    """
    check(project, artifacts)
    site = _site(project, artifacts, account, deployed, switch=switch)
    budget.check(site)
    resources = tuple(_resources(site))
    _check_resources(resources)
    where = f", stage {site.names.stage}" if site.names.stage else ""
    return Stack(
        site.names.stack,
        f"firstlight: project {project.name}{where}",
        resources,
        tuple(_outputs(site)),
        tags(site.names),
    )


def _site(
    project: Project,
    artifacts: Mapping[str, Artifact],
    account: Account,
    deployed: Deployed | None,
    *,
    switch: bool,
) -> Site:
    given, _ = granted(project.endpoints.values(), account, deployed)
    return Site(
        project,
        Names(project.name, project.stage),
        tuple(project.endpoints.values()),
        artifacts,
        account,
        deployed,
        switch,
        given,
    )


def _resources(site: Site) -> Iterator[Resource]:
    yield from endpoints.resources(site)
    yield from router.resources(site)
    yield records.table()
    if site.project.deployment.jobs:
        yield from jobs.resources(site)
    yield from fronts.resources(site)
    if site.project.deployment.share:
        yield from share.resources(site)
    if site.cached:
        yield from cache.resources(site)
    yield from schedules.resources(site)
    if site.project.deployment.alarms:
        yield from alarms.resources(site)
        yield from dashboard.resources(site)
    yield from budget.resources(site)


def _outputs(site: Site) -> Iterator[Output]:
    yield from router.outputs()
    for endpoint in site.endpoints:
        yield Output(
            endpoint_id(endpoint.name, "Alias"),
            Ref(endpoint_id(endpoint.name, "Alias")),
            f"endpoint {endpoint.name}: its alias, for boto3's invoke",
        )
    yield from fronts.outputs(site)
    yield Output("RecordsTable", Ref(records.TABLE), "table of records")
    if site.project.deployment.jobs:
        yield from jobs.outputs()
    if site.project.deployment.alarms:
        yield from alarms.outputs()
        yield from dashboard.outputs(site)
    yield from budget.outputs(site)
    if site.project.deployment.share:
        yield from share.outputs(site)


def _check_resources(resources: Iterable[Resource]) -> None:
    times = Counter(resource.id for resource in resources)
    twice = [logical_id for logical_id, count in times.items() if count > 1]
    if twice:
        raise ProjectError(
            f"two endpoints would both be {twice[0]!r} in the stack",
            "give one of them a name that differs in more than case and hyphens",
        )
    if len(times) > MOST:
        raise ProjectError(
            f"the stack would have {len(times)} resources, and CloudFormation takes {MOST}",
            "split the project, or set [deploy] alarms = false",
        )
