"""``firstlight build``: the bundle of every endpoint, and the lock file that says what they are made of."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from firstlight.cli import locking, output
from firstlight.runtime.errors import ProjectError

if TYPE_CHECKING:
    from firstlight.build.lock.building import Built, Problem
    from firstlight.build.lock.wanted import Wanted


@click.command()
@click.argument("endpoints", nargs=-1)
@click.option("--locked", is_flag=True, help="Write nothing, and fail where anything is not as locked.")
@click.option("--stage", help="Only what is served in [stage.NAME].")
@output.json_option
def build(endpoints: tuple[str, ...], locked: bool, stage: str | None, as_json: bool) -> int:
    """Make the bundles of the project's ENDPOINTS, or of all, and write firstlight.lock where it lacks one."""
    root = locking.root_here()
    everything = locking.wanted_here(root, stage)
    from firstlight.build.lock.wanted import named

    some = named(everything, endpoints)
    whole = None if endpoints or stage else everything
    return (_strict if locked else _build)(root, some, whole, as_json)


def _build(root: Path, some: Sequence[Wanted], whole: Sequence[Wanted] | None, as_json: bool) -> int:
    from firstlight.build import lock
    from firstlight.build.lock import building
    from firstlight.cli import progress

    before = lock.read(root)
    with progress.shown(as_json) as shown, contextlib.redirect_stdout(sys.stderr):
        built = building.build(some, root, before, shown)
    dropped = building.gone(before, whole) if whole is not None else []
    strangers = locking.strangers(before, root) if whole is not None else []

    def change(now: lock.Lock) -> lock.Lock:
        for name in strangers:
            now = now.with_caches(name, None)
        return building.settled(now, built, dropped)

    written = locking.laid_over(root, change)
    removed = [*dropped, *((name, None) for name in strangers)]
    if as_json:
        gone = [{"endpoint": name, "stage": stage} for name, stage in removed]
        output.json_line(
            {"endpoints": [_described(one) for one in built], "removed": gone, "written": written}
        )
        return 0
    for one in built:
        _show(one)
    for name, stage in removed:
        click.echo(f"{name}{f' (stage {stage})' if stage else ''}: no longer in firstlight.toml, taken out")
    click.echo(f"{lock.FILE} is {'written' if written else 'as it was'}")
    return 0


def _strict(root: Path, some: Sequence[Wanted], whole: Sequence[Wanted] | None, as_json: bool) -> int:
    from firstlight.build import lock
    from firstlight.build.lock import building
    from firstlight.cli import progress

    before = lock.read(root)
    with progress.shown(as_json) as shown, contextlib.redirect_stdout(sys.stderr):
        built, problems = building.strict(some, root, before, shown)
    if whole is not None:
        sentence = "in firstlight.lock and not in firstlight.toml"
        problems += [building.Problem(*entry, sentence) for entry in building.gone(before, whole)]
        for name, caches in sorted(before.caches.items()):
            checked = locking.layer(name, caches, root)
            problems += [building.Problem(name, None, found) for found in checked.problems]
    if as_json:
        found = [{"endpoint": one.endpoint, "stage": one.stage, "found": one.found} for one in problems]
        output.json_line(
            {"ok": not problems, "endpoints": [_described(one) for one in built], "problems": found}
        )
    else:
        _show_problems(built, problems)
    return 1 if problems else 0


def _show_problems(built: Sequence[Built], problems: Sequence[Problem]) -> None:
    wrong = {(one.endpoint, one.stage) for one in problems}
    for one in built:
        if (one.wanted.name, one.wanted.stage) not in wrong:
            _show(one)
    for problem in problems:
        stage = f" (stage {problem.stage})" if problem.stage else ""
        click.echo(output.encodable(output.printable(f"{problem.endpoint}{stage}: {problem.found}")))
    if problems:
        hint = "run `firstlight build` where firstlight.toml was changed, `firstlight update` to take other files"
        output.explain(ProjectError("not everything is as firstlight.lock says", hint))


def _show(one: Built) -> None:
    made = one.made
    facts = ", ".join((made.task, made.engine, made.precision))
    click.echo(output.encodable(f"{one.wanted.shown}: {facts}, bundle {made.digest[:12]} ({one.state})"))
    for change in one.changes:
        click.echo(output.encodable(output.printable(f"  {change}")))
    if one.state == "not as locked":
        output.warn(
            f"{one.wanted.name} keeps its entry in the lock; `firstlight update {one.wanted.name}` replaces it"
        )


def _described(one: Built) -> dict[str, Any]:
    made = one.made
    return {
        "endpoint": one.wanted.name,
        "stage": one.wanted.stage,
        "state": one.state,
        "changes": list(one.changes),
        "path": str(made.place),
        "bundle": made.digest,
        "revision": made.revision,
        "licence": made.licence,
        "task": made.task,
        "engine": made.engine,
        "precision": made.precision,
    }
