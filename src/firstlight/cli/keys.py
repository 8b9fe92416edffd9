"""``firstlight keys``: who may use the HTTP fronts that ask for a signature or an API key."""

from __future__ import annotations

import re
from datetime import datetime
from typing import TYPE_CHECKING, Any

import click

from firstlight.cli import output, wiring

if TYPE_CHECKING:
    from firstlight.gateway.fronts.keys import Key, Limits

_NAME = re.compile(r"[A-Za-z0-9_.@+=-]{1,64}")
_QUOTA = re.compile(r"(\d{1,12})/(day|week|month)")


def _name(_ctx: click.Context, _param: click.Parameter, value: str) -> str:
    """A name as IAM takes for a user."""
    if not _NAME.fullmatch(value):
        raise click.BadParameter(f"{value!r} cannot be a name: use 1 to 64 letters, digits and _.@+=-")
    return value


def _quota(_ctx: click.Context, _param: click.Parameter, value: str | None) -> tuple[int, str] | None:
    """A number of requests and the period they are counted in."""
    if value is None:
        return None
    found = _QUOTA.fullmatch(value)
    if found is None:
        raise click.BadParameter(f"{value!r} is not like 1000/day: a number, then /day, /week or /month")
    return int(found[1]), found[2]


@click.group()
def keys() -> None:
    """Make, list or delete keys for the HTTP fronts that ask for one."""


@keys.command()
@click.argument("name", callback=_name)
@click.option(
    "--iam", "kind", flag_value="iam", default="iam", help="An access key that signs requests (the default)."
)
@click.option("--api", "kind", flag_value="api", help="An API key, sent as x-api-key; REST APIs only.")
@click.option(
    "--rate", type=click.FloatRange(0, 1e6, min_open=True), help="Of an API key: requests a second."
)
@click.option("--burst", type=click.IntRange(1, 1_000_000), help="Of an API key: requests at once.")
@click.option(
    "--quota",
    callback=_quota,
    metavar="NUMBER/PERIOD",
    help="Of an API key: requests a period, as in 1000/day, /week or /month.",
)
@click.option("--stage", help="Lay the tables of [stage.NAME] over the project.")
@output.json_option
def create(
    name: str,
    kind: str,
    rate: float | None,
    burst: int | None,
    quota: tuple[int, str] | None,
    stage: str | None,
    as_json: bool,
) -> None:
    """Make a key called NAME and show its secret, this once."""
    from firstlight.gateway.fronts.keys import Limits

    if kind == "iam" and (rate is not None or burst is not None or quota is not None):
        raise click.UsageError("--rate, --burst and --quota are for API keys: add --api")
    number, period = quota or (None, None)
    kept = wiring.new_keys_of(wiring.project_here(stage))
    try:
        key, secret = kept.create(name, kind, Limits(rate, burst, number, period))
    finally:
        kept.close()
    if as_json:
        output.json_line({**_facts(key, 0), "secret": secret})
        return
    if kind == "iam":
        click.echo(f"AWS_ACCESS_KEY_ID={key.id}\nAWS_SECRET_ACCESS_KEY={secret}")
        output.note("sign with these; the secret is not shown again")
    else:
        click.echo(f"x-api-key: {secret}")
        output.note("send it as a header; it is not shown again")


@keys.command("list")
@click.option("--stage", help="Lay the tables of [stage.NAME] over the project.")
@output.json_option
def list_keys(stage: str | None, as_json: bool) -> None:
    """List the keys, without their secrets."""
    kept = wiring.keys_of(wiring.project_here(stage))
    try:
        found = kept.all()
    finally:
        kept.close()
    for key, used in found:
        if as_json:
            output.json_line(_facts(key, used))
        else:
            click.echo(_line(key, used))
    if not found and not as_json:
        output.note("there are no keys yet; firstlight keys create NAME makes one")


@keys.command()
@click.argument("name")
@click.option("--stage", help="Lay the tables of [stage.NAME] over the project.")
@output.json_option
def delete(name: str, stage: str | None, as_json: bool) -> None:
    """Delete the key called NAME; a running server does not take it from then on."""
    kept = wiring.keys_of(wiring.project_here(stage))
    try:
        kept.delete(name)
    finally:
        kept.close()
    if as_json:
        output.json_line({"deleted": name})
    else:
        click.echo(f"deleted {name}")


def _facts(key: Key, used: int) -> dict[str, Any]:
    limits = key.limits
    quota = f"{limits.quota}/{limits.period}" if limits.quota is not None else None
    facts: dict[str, Any] = {"name": key.name, "kind": key.kind, "id": key.id, "created": key.created}
    if key.kind == "api":
        facts |= {"rate": limits.rate, "burst": limits.burst, "quota": quota, "used": used}
    return facts


def _line(key: Key, used: int) -> str:
    made = datetime.fromtimestamp(key.created).astimezone().strftime("%Y-%m-%d %H:%M")
    return f"{key.name:<20}  {key.kind:<3}  {key.id:<20}  {made}  {_written(key.limits, used)}".rstrip()


def _written(limits: Limits, used: int) -> str:
    parts = []
    if limits.rate is not None:
        parts.append(f"{limits.rate:g} a second")
    if limits.burst is not None:
        parts.append(f"{limits.burst} at once")
    if limits.quota is not None:
        parts.append(f"{used} of {limits.quota} a {limits.period}")
    return ", ".join(parts)
