"""``firstlight destroy``: everything of the project out of the AWS account."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import TYPE_CHECKING

import click

from firstlight.cli import account, output, wiring

if TYPE_CHECKING:
    from firstlight.deploy.aws.stacks import There
    from firstlight.deploy.destroying import Doomed


@click.command()
@click.option("--stage", help="The stage whose stack is meant; the others stay.")
@account.options
@click.option("--keep-data", is_flag=True, help="Leave tables, and what else holds data, as they are.")
@click.option("--yes", is_flag=True, help="Agree beforehand.")
@output.json_option
def destroy(
    stage: str | None,
    region: str | None,
    profile: str | None,
    keep_data: bool,
    yes: bool,
    as_json: bool,
) -> None:
    """Remove everything that `firstlight deploy` made: functions, tables, queues, logs, images and zips.

    It asks first. Interrupted anywhere, the same again removes the rest.
    """
    from firstlight.cli import agreeing, progress
    from firstlight.deploy import destroying

    project = wiring.project_here(stage)
    session = account.session(project, region, profile)
    names = account.names(project)
    with progress.shown(as_json) as shown:
        doomed = destroying.find(session, names, shown)
    if doomed.nothing or (keep_data and doomed.main is None and doomed.store is None):
        _finish((), as_json, f"there is nothing of {names.stack} in {session.region}")
        return
    if as_json:
        output.json_line({"plan": _described(doomed, keep_data)})
    else:
        _show(doomed, keep_data, f"{names.stack} in {session.region}")
    agreeing.agreed("Remove all of this for good?", yes)
    with progress.shown(as_json) as shown:
        stay = destroying.destroy(session, doomed, shown, keep_data=keep_data)
    _finish(stay, as_json, f"{names.stack} is removed")


def _show(doomed: Doomed, keep_data: bool, what: str) -> None:
    click.echo(what)
    gone = [one for one in doomed.resources if one not in doomed.data]
    for kind, count in sorted(Counter(one.type for one in (*gone, *doomed.stored)).items()):
        click.echo(f"  - {count} {kind.removeprefix('AWS::')}")
    for one in doomed.stored:
        click.echo(f"    {one.physical}, with all that is in it")
    for one in (*doomed.data, *doomed.left):
        sign = " " if keep_data else "-"
        about = "kept" if keep_data else "with all that is in it"
        click.echo(f"  {sign} {one.type.removeprefix('AWS::')} {one.physical}, {about}")


def _described(doomed: Doomed, keep_data: bool) -> dict[str, object]:
    data = [one.physical for one in (*doomed.data, *doomed.left)]
    gone = [one for one in (*doomed.resources, *doomed.stored) if one not in doomed.data]
    return {
        "remove": [{"id": one.id, "type": one.type, "name": one.physical} for one in gone],
        "data": data,
        "keepData": keep_data,
    }


def _finish(stay: Iterable[There], as_json: bool, text: str) -> None:
    left = [f"{one.type} {one.physical}" for one in stay]
    if as_json:
        output.json_line({"destroyed": True, "left": left})
        return
    click.echo(text)
    for line in left:
        click.echo(f"still there: {line}")
