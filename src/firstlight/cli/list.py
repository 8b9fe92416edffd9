"""``firstlight list``: what the project serves."""

from __future__ import annotations

from typing import Any

import click

from firstlight.cli import output, preparing, wiring
from firstlight.project import Endpoint, Project


@click.command("list")
@click.option("--stage", help="Lay the tables of [stage.NAME] over the project.")
@output.json_option
def list_endpoints(stage: str | None, as_json: bool) -> None:
    """List the endpoints of the project, or the starters where there is no project."""
    project = wiring.project_here(stage)
    rows = [_described(project, endpoint) for endpoint in project.endpoints.values()]
    if as_json:
        output.json_line(rows)
        return
    heads = ("NAME", "TASK", "MEMORY", "TIMEOUT", "WORKERS", "ROUTE", "FROM")
    output.table(heads, [_cells(row) for row in rows])


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
