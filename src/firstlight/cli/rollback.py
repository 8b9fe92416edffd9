"""``firstlight rollback``: callers get the version before."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from firstlight.cli import account, output, wiring

if TYPE_CHECKING:
    from firstlight.deploy.rolling_back import Way


@click.command()
@click.argument("endpoints", nargs=-1)
@click.option("--stage", help="The stage whose stack is meant.")
@account.options
@click.option("--yes", is_flag=True, help="Agree beforehand.")
@output.json_option
def rollback(
    endpoints: tuple[str, ...],
    stage: str | None,
    region: str | None,
    profile: str | None,
    yes: bool,
    as_json: bool,
) -> None:
    """Lead callers of ENDPOINTS, or of all that the last deployment changed, to the version before.

    Nothing is built or sent: the version is still there, and is invoked once before callers meet it.
    """
    from firstlight.cli import agreeing, progress
    from firstlight.deploy import rolling_back

    project = wiring.project_here(stage)
    session = account.session(project, region, profile)
    names = account.names(project)
    with progress.shown(as_json) as shown:
        way = rolling_back.find(session, names, endpoints, shown)
    if as_json:
        output.json_line({"plan": _described(way)})
    else:
        click.echo(f"{names.stack} in {session.region}")
        for back in way.backs:
            click.echo(f"  ~ {back.alias}  {back.part}: version {back.numbers[0]} -> {back.numbers[1]}")
    agreeing.agreed("Lead callers back?", yes)
    with progress.shown(as_json) as shown:
        rolling_back.take(session, names, way, shown)
    if as_json:
        output.json_line({"rolledBack": [back.part for back in way.backs]})
    else:
        click.echo("done; `firstlight deploy` brings the project's own code again")


def _described(way: Way) -> list[dict[str, str]]:
    return [{"part": back.part, "from": back.numbers[0], "to": back.numbers[1]} for back in way.backs]
