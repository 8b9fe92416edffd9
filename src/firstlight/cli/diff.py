"""``firstlight diff``: what deploying the project as it is now would change."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING

import click

from firstlight.cli import account, output, wiring
from firstlight.cli.deploy import prepared

if TYPE_CHECKING:
    from firstlight.deploy.details import Detail
    from firstlight.deploy.planning import Planned
    from firstlight.deploy.types import Change

_SIGNS = {"Add": ("+", "green"), "Remove": ("-", "red"), "Replace": ("!", "red"), "Modify": ("~", "yellow")}


@click.command()
@click.option("--stage", help="Lay the tables of [stage.NAME] over the project.")
@account.options
@click.option("--check", is_flag=True, help="End with 1 where something would change.")
@output.json_option
def diff(stage: str | None, region: str | None, profile: str | None, check: bool, as_json: bool) -> None:
    """Show what deploying the project as it is now would change on AWS. Nothing is changed."""
    project = wiring.project_here(stage)
    planned, _ = prepared(account.session(project, region, profile), project, as_json)
    found = _changes(planned)
    if as_json:
        changes = [
            {**asdict(change), "values": [asdict(one) for one in details]} for change, details in found
        ]
        output.json_line({"stack": planned.plan.stack.name, "changes": changes})
    elif found:
        for change, details in found:
            _print(change, details)
    else:
        output.note(f"{planned.plan.stack.name} is as the project says")
    if check and found:
        raise click.exceptions.Exit(1)


def _changes(planned: Planned) -> list[tuple[Change, tuple[Detail, ...]]]:
    from firstlight.deploy import details

    found, stacks = planned.found, (planned.plan.stack, planned.store)
    there = {
        key: resource
        for known in (found.store, found.deployed)
        if known is not None
        for key, resource in dict(known.template.get("Resources", {})).items()  # type: ignore[call-overload]
    }
    before = {"Resources": there}
    return [(change, details.of_change(change, before, *stacks)) for change in planned.plan.changes]


def _print(change: Change, details: tuple[Detail, ...]) -> None:
    sign, colour = _SIGNS[change.action]
    part = f", {change.part}" if change.part else ""
    click.echo(click.style(output.printable(f"{sign} {change.id} ({change.type}{part})"), fg=colour))
    for one in details:
        click.echo(output.encodable(output.printable(f"    {one.path}: {one.before} -> {one.after}")))
