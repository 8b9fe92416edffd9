"""``firstlight logs``: the records of a project, and those that come."""

from __future__ import annotations

import functools
import re
import time
from datetime import datetime
from typing import TYPE_CHECKING, Any

import click

from firstlight.cli import account, output, wiring

if TYPE_CHECKING:
    from firstlight.runtime.records.reading import SqliteReader

_STATUSES = ("ok", "error", "timeout", "crash", "cancelled", "throttled")
_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}
_LOOK_EVERY = 0.2
_AT_ONCE = 10_000
_COLOURS = {"ok": "green", "cancelled": "yellow", "throttled": "yellow"}


@click.command()
@click.option("-f", "--follow", is_flag=True, help="Go on and show new records as they come.")
@click.option("--endpoint", help="Only this endpoint.")
@click.option("--since", help="Only from then on: 10m, 2h, 3d, or a time such as 2026-11-20T12:00.")
@click.option("--status", type=click.Choice(_STATUSES), help="Only what ended like this.")
@click.option(
    "--limit", type=click.IntRange(0, 1_000_000), default=100, show_default=True, help="At most this many."
)
@click.option("--stage", help="Lay the tables of [stage.NAME] over the project.")
@click.option("--remote", is_flag=True, help="What functions on AWS wrote, from CloudWatch.")
@account.options
@output.json_option
def logs(
    follow: bool,
    endpoint: str | None,
    since: str | None,
    status: str | None,
    limit: int,
    stage: str | None,
    remote: bool,
    region: str | None,
    profile: str | None,
    as_json: bool,
) -> None:
    """Show what was invoked, newest last: time, endpoint, status, duration, and why it failed."""
    start = moment(since, time.time()) if since else None
    account.check(remote, region=region, profile=profile)
    if remote:
        from firstlight.cli import remote_logs

        if status:
            raise click.UsageError("--status is of records; the lines of --remote have none")
        project = wiring.project_here(stage)
        wanted = remote_logs.Wanted(endpoint, start, limit, follow, as_json)
        remote_logs.show(project, account.session(project, region, profile), wanted)
        return
    reader = _reader(stage, follow)
    chosen = functools.partial(reader.list, endpoint=endpoint, since=start, status=status)
    try:
        seen = _show(chosen(limit=limit), as_json)
        while follow:
            time.sleep(_LOOK_EVERY)
            seen = _show(chosen(limit=_AT_ONCE, after=seen), as_json) or seen
    finally:
        reader.close()


def moment(text: str, now: float) -> float:
    """A time in seconds since the epoch from ``10m`` (ago), an ISO time (local where it names no zone) or a number.

    Raises:
        click.UsageError: it is none of them.
    """
    if ago := re.fullmatch(r"(\d{1,9}(?:\.\d+)?)([smhdw])", text):
        return now - float(ago[1]) * _UNITS[ago[2]]
    if re.fullmatch(r"\d{9,11}(\.\d+)?", text):
        return float(text)
    try:
        return datetime.fromisoformat(text).timestamp()
    except (ValueError, OverflowError, OSError) as error:
        raise click.UsageError(f"--since {text!r} is neither 10m, 2h, 3d nor a time") from error


def _reader(stage: str | None, follow: bool) -> SqliteReader:
    """A reader of the project's records; a follower waits for the first record to come."""
    from firstlight.runtime.records.reading import SqliteReader

    path = wiring.project_here(stage).data_dir / wiring.RECORDS
    if follow and not path.exists():
        output.note(f"waiting for the first record ({output.shown(path)})")
        while not path.exists():
            time.sleep(_LOOK_EVERY)
    return SqliteReader(path)


def _show(records: list[dict[str, Any]], as_json: bool) -> int:
    """Print records; the place of the last one, 0 when there is none."""
    for record in records:
        if as_json:
            output.json_line(record)
        else:
            click.echo(_line(record))
    return int(records[-1]["seq"]) if records else 0


def _line(record: dict[str, Any]) -> str:
    when = datetime.fromtimestamp(record["time"]).astimezone().strftime("%Y-%m-%d %H:%M:%S")
    status = click.style(f"{record['status']:<9}", fg=_COLOURS.get(record["status"], "red"))
    init = f" (init {record['init_ms']:.0f} ms)" if record["init_ms"] else ""
    parts = [when, f"{record['endpoint']:<16}", status, f"{record['duration_ms'] or 0.0:9.1f} ms{init}"]
    parts += [
        f"{record['request_bytes'] or 0} B in",
        f"{record['response_bytes'] or 0} B out",
        record["request_id"],
    ]
    parts += [text for text in (record["error_type"], *record["warnings"]) if text]
    parts += [f"{key}: {record[key]}" for key in ("inputs", "outputs") if record[key]]
    shown = [part if part is status else output.printable(part).replace("\n", " ") for part in parts]
    return output.encodable("  ".join(shown))
