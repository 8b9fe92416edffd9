"""``firstlight update``: takes newer files on purpose, and shows what is other than before."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import click

from firstlight.cli import locking, output, targeting

if TYPE_CHECKING:
    from firstlight.build.lock.building import Moved


@click.command()
@click.argument("endpoints", nargs=-1)
@click.option("--to", "revision", help="A branch, tag or commit instead of the newest; of one ENDPOINT.")
@click.option("--stage", help="Only what is served in [stage.NAME].")
@output.json_option
def update(endpoints: tuple[str, ...], revision: str | None, stage: str | None, as_json: bool) -> int:
    """Move the entries of ENDPOINTS, or of all, in firstlight.lock to the newest files, and show what changed."""
    if revision is not None and len(endpoints) != 1:
        raise click.UsageError("--to is of one endpoint: name it")
    from firstlight.build import lock
    from firstlight.build.lock import building
    from firstlight.build.lock.wanted import named
    from firstlight.cli import progress

    root = locking.root_here()
    some = named(locking.wanted_here(root, stage), endpoints)
    before = lock.read(root)
    with progress.shown(as_json) as shown, contextlib.redirect_stdout(sys.stderr):
        moved = [building.move(one, root, before, revision, shown) for one in some]
        whole = not endpoints and stage is None
        renewed, wheels = targeting.renewed(root, before, shown) if whole else (before, [])

    def change(now: lock.Lock) -> lock.Lock:
        for one in moved:
            now = now.with_endpoint(one.wanted.name, one.made, one.wanted.stage)
        return replace(now, targets=renewed.targets) if whole else now

    written = locking.laid_over(root, change)
    if as_json:
        described = [_described(one) for one in moved]
        output.json_line({"endpoints": described, "functions": wheels, "written": written})
    else:
        _show(moved)
        for line in wheels:
            click.echo(output.encodable(output.printable(line)))
        click.echo(f"{lock.FILE} is {'written' if written else 'as it was'}")
    return 0


def _show(moved: Sequence[Moved]) -> None:
    for one in moved:
        if one.before is None:
            click.echo(f"{one.wanted.shown}: new in the lock, bundle {one.made.digest[:12]}")
            continue
        click.echo(f"{one.wanted.shown}: {_moved(one)}")
        lines = [line for line in one.changes if not line.startswith("revision:")]
        lines += [
            f"parity {key}: {before} -> {now}" for key, (before, now) in one.parity.items() if before != now
        ]
        for line in lines:
            click.echo(output.encodable(output.printable(f"  {line}")))


def _moved(one: Moved) -> str:
    old, new = one.before.revision if one.before else None, one.made.revision
    if old != new:
        return f"{(old or 'none')[:12]} -> {(new or 'none')[:12]}"
    if not one.changes:
        return f"nothing new{f' at {new[:12]}' if new else ''}"
    return f"changed{f' at {new[:12]}' if new else ''}"


def _described(one: Moved) -> dict[str, Any]:
    return {
        "endpoint": one.wanted.name,
        "stage": one.wanted.stage,
        "from": one.before.revision if one.before else None,
        "to": one.made.revision,
        "changes": list(one.changes),
        "bundle": {"before": one.before.digest if one.before else None, "now": one.made.digest},
        "parity": {key: {"before": before, "now": now} for key, (before, now) in one.parity.items()},
    }
