"""``firstlight alias``: names that lead to versions."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

import click

from firstlight.cli import output, wiring

if TYPE_CHECKING:
    from firstlight.cli.functions import Functions
    from firstlight.versions.types import Alias

_Command = TypeVar("_Command", bound=Callable[..., Any])


def _weight(_ctx: click.Context, _param: click.Parameter, value: str | None) -> dict[str, float]:
    """The share of another version, as in ``3=0.1``."""
    if value is None:
        return {}
    version, equals, share = value.partition("=")
    try:
        if not equals:
            raise ValueError
        return {version: float(share)}
    except ValueError:
        raise click.BadParameter(f"{value!r} is not like 3=0.1: a version, then its share") from None


def _of_server(command: _Command) -> _Command:
    """The options that say where the server is."""
    for option in (
        click.option("--token", help="Its token (default: FIRSTLIGHT_TOKEN, or what the server noted)."),
        click.option("--url", help="The server (default: the one that serves this project, if any)."),
    ):
        command = option(command)
    return command


@click.group()
def alias() -> None:
    """Make, list or delete names that lead to versions of endpoints."""


@alias.command("set")
@click.argument("endpoint", metavar="NAME")
@click.argument("name", metavar="ALIAS")
@click.option("--version", required=True, help="The version it leads to, or $LATEST.")
@click.option(
    "--weight",
    "weights",
    callback=_weight,
    metavar="VERSION=SHARE",
    help="Another version and the share of invocations it gets, 0 to 1.",
)
@click.option("--description", default="", help="What is said of the alias.")
@_of_server
@output.json_option
def set_alias(
    endpoint: str,
    name: str,
    version: str,
    weights: dict[str, float],
    description: str,
    url: str | None,
    token: str | None,
    as_json: bool,
) -> None:
    """Have ALIAS of endpoint NAME lead to a version; it is made where there is none."""
    from firstlight.versions.types import Alias

    wanted = Alias(endpoint, name, version, weights, description)
    _show(_functions(url, token).set_alias(wanted), as_json)


@alias.command("list")
@click.argument("names", nargs=-1, metavar="[NAME...]")
@_of_server
@output.json_option
def list_aliases(names: tuple[str, ...], url: str | None, token: str | None, as_json: bool) -> None:
    """Show the aliases of endpoints NAME, or of all of the project."""
    found = _functions(url, token)
    for name in names or tuple(wiring.project_here().endpoints):
        for there in found.aliases(name):
            _show(there, as_json)


@alias.command("delete")
@click.argument("endpoint", metavar="NAME")
@click.argument("name", metavar="ALIAS")
@_of_server
@output.json_option
def delete(endpoint: str, name: str, url: str | None, token: str | None, as_json: bool) -> None:
    """Forget ALIAS of endpoint NAME; the version stays."""
    _functions(url, token).delete_alias(endpoint, name)
    if as_json:
        output.json_line({"endpoint": endpoint, "alias": name, "deleted": True})
    else:
        click.echo(f"{endpoint} has no alias {output.printable(name)} any more")


def _functions(url: str | None, token: str | None) -> Functions:
    from firstlight.cli import functions

    return functions.of(wiring.project_here(), url, token)


def _show(there: Alias, as_json: bool) -> None:
    if as_json:
        facts = {"version": there.version, "weights": dict(there.weights), "description": there.description}
        output.json_line({"endpoint": there.endpoint, "alias": there.name, **facts})
        return
    leads = there.version + "".join(f", {other} for {share:g}" for other, share in there.weights.items())
    about = f"  {output.printable(there.description)}" if there.description else ""
    click.echo(f"{there.endpoint:<20}  {there.name:<12}  {leads}{about}")
