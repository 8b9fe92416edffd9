"""``firstlight list``: what the project serves."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from firstlight.cli import account, output, preparing, wiring
from firstlight.project import Endpoint, Project

if TYPE_CHECKING:
    from firstlight.deploy.aws.session import Session


@click.command("list")
@click.option("--stage", help="Lay the tables of [stage.NAME] over the project.")
@click.option("--remote", is_flag=True, help="The stacks on AWS, of every project, instead.")
@account.options
@output.json_option
def list_endpoints(
    stage: str | None, remote: bool, region: str | None, profile: str | None, as_json: bool
) -> None:
    """List the endpoints of the project, or the starters where there is no project."""
    account.check(remote, region=region, profile=profile)
    project = wiring.project_here(stage)
    if remote:
        _list_stacks(account.session(project, region, profile), as_json)
        return
    rows = [_described(project, endpoint) for endpoint in project.endpoints.values()]
    if as_json:
        output.json_line(rows)
        return
    heads = ("NAME", "TASK", "MEMORY", "TIMEOUT", "WORKERS", "ROUTE", "FROM")
    output.table(heads, [_cells(row) for row in rows])


def _list_stacks(session: Session, as_json: bool) -> None:
    from dataclasses import asdict

    from firstlight.deploy import looking

    found = list(looking.deployed(session))
    if as_json:
        output.json_line([asdict(one) for one in found])
        return
    rows = [(one.project, one.stage, one.stack, one.status, one.changed, one.url or "-") for one in found]
    output.table(("PROJECT", "STAGE", "STACK", "STATUS", "SINCE", "URL"), rows)


def _described(project: Project, endpoint: Endpoint) -> dict[str, Any]:
    """An endpoint without the values of its environment, which may be secrets."""
    return {
        "name": endpoint.name,
        "task": preparing.task_of(project, endpoint),
        "model": endpoint.model,
        "script": str(endpoint.script) if endpoint.script else None,
        "quantize": endpoint.quantize,
        "memory": endpoint.memory,
        "timeout": endpoint.timeout,
        "concurrency": endpoint.concurrency,
        "route": endpoint.route,
        "env": sorted(endpoint.env),
    }


def _cells(row: dict[str, Any]) -> tuple[str, ...]:
    source = row["model"] or output.shown(row["script"])
    limits = (f"{row['memory']} MB", f"{row['timeout']:g} s", str(row["concurrency"]))
    return (row["name"], row["task"] or "-", *limits, row["route"] or "-", source)
