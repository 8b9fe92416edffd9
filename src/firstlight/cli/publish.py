"""``firstlight publish``: an endpoint as it is now, kept as a version that stays so."""

from __future__ import annotations

import click

from firstlight.cli import output, wiring


@click.command()
@click.argument("names", nargs=-1, metavar="[NAME...]")
@click.option("--description", default="", help="What is said of the version.")
@click.option("--list", "listed", is_flag=True, help="Show the versions there are; publish nothing.")
@click.option("--url", help="The server (default: the one that serves this project, if any).")
@click.option("--token", help="Its token (default: FIRSTLIGHT_TOKEN, or what the server noted).")
@click.option("--stage", help="Lay the tables of [stage.NAME] over the project, where no server runs.")
@output.json_option
def publish(
    names: tuple[str, ...],
    description: str,
    listed: bool,
    url: str | None,
    token: str | None,
    stage: str | None,
    as_json: bool,
) -> None:
    """Keep endpoints NAME, or all of the project, as they are now: each gets a version that does not change.

    One that has not changed since its last version keeps that one.
    """
    from firstlight.cli import functions

    project = wiring.project_here(stage)
    found = functions.of(project, url, token, prepared=not listed)
    for name in names or tuple(project.endpoints):
        versions = found.versions(name) if listed else [found.publish(name, description)]
        for version in versions:
            if as_json:
                output.json_line(
                    {
                        "endpoint": version.endpoint,
                        "version": version.number,
                        "codeSha256": version.code_sha256,
                        "description": version.description,
                    }
                )
            else:
                about = f"  {output.printable(version.description)}" if version.description else ""
                click.echo(f"{version.endpoint:<20}  {version.number:>4}  {version.code_sha256[:12]}{about}")
