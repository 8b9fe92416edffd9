"""``firstlight status``: how what is deployed is doing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import TYPE_CHECKING

import click

from firstlight.cli import account, output, wiring

if TYPE_CHECKING:
    from firstlight.deploy.looking import Look, Standing

_WELL = ("Active", "Pending", "Inactive")


@click.command()
@click.option("--stage", help="Lay the tables of [stage.NAME] over the project.")
@account.options
@output.json_option
def status(stage: str | None, region: str | None, profile: str | None, as_json: bool) -> None:
    """Show what is deployed on AWS: the stack, its functions, its queues, and alarms that ring."""
    from firstlight.deploy import looking

    project = wiring.project_here(stage)
    session = account.session(project, region, profile)
    look = looking.stack(session, account.names(project))
    functions = looking.functions(session, look)
    queues, alarms = looking.queues(session, look), looking.alarms(session, look)
    well = _is_well(look, functions)
    if as_json:
        output.json_line(
            {
                "stack": look.state.name,
                "status": look.state.status,
                "region": session.region,
                "well": well,
                "functions": [asdict(one) for one in functions],
                "queues": [asdict(one) for one in queues],
                "alarms": alarms,
                "outputs": dict(look.state.outputs),
            }
        )
    else:
        _print(session.region, look, functions)
        for queue in queues:
            click.echo(f"queue {queue.name}: {queue.waiting} waiting, {queue.working} being worked on")
        for alarm in alarms:
            output.warn(f"alarm {alarm}")
    if not well:
        raise click.exceptions.Exit(1)


def _is_well(look: Look, functions: list[Standing]) -> bool:
    """Whether the last deployment went through and every function can be called."""
    settled = look.state.status in (
        "CREATE_COMPLETE",
        "UPDATE_COMPLETE",
        "UPDATE_COMPLETE_CLEANUP_IN_PROGRESS",
    )
    return settled and all(one.state in _WELL for one in functions)


def _print(region: str, look: Look, functions: list[Standing]) -> None:
    state = look.state
    said = f": {state.reason}" if state.reason else ""
    click.echo(f"{state.name} in {region}: {state.status}{said}")
    for name, value in shown_outputs(state.outputs).items():
        click.echo(f"{name}: {value}")
    click.echo()
    heads = ("FUNCTION", "STATE", "VERSION", "CODE", "MEMORY", "LAST DAY", "ERRORS", "SINCE")
    output.table(heads, [_cells(one) for one in functions])
    for one in functions:
        if one.reason and one.state != "Active":
            output.warn(f"{one.source}: {one.state}: {one.reason}")


def shown_outputs(outputs: Mapping[str, str]) -> dict[str, str]:
    """The outputs of a stack that people use: its URLs."""
    return {
        name: value for name, value in outputs.items() if value.startswith("https://") and "sqs." not in value
    }


def _cells(one: Standing) -> tuple[str, ...]:
    digest = one.code.rpartition("@sha256:")[2][:12]
    short = f"{one.kind} {digest}" if one.kind else "-"
    counts = tuple("-" if count is None else str(count) for count in (one.invocations, one.errors))
    memory = f"{one.memory} MB" if one.memory else "-"
    return (one.source, one.state, one.version or "-", short, memory, *counts, one.changed or "-")
