"""``firstlight verify``: whether what firstlight.lock says is so, at the hub and on this machine."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from firstlight.cli import locking, output
from firstlight.runtime.errors import ProjectError

if TYPE_CHECKING:
    from firstlight.build.lock import Lock
    from firstlight.build.lock.checking import Checked
    from firstlight.build.lock.wanted import Wanted

    Found = tuple[str, str | None, list[Checked]]
    """An endpoint or a target, its stage, and what was compared."""


@click.command()
@click.argument("endpoints", nargs=-1)
@click.option("--offline", is_flag=True, help="Do not ask the hub.")
@output.json_option
def verify(endpoints: tuple[str, ...], offline: bool, as_json: bool) -> int:
    """Compare the lock's entries of ENDPOINTS, or of all, with the hub, the cache and the bundles."""
    from firstlight.build import lock

    root = locking.root_here()
    if not (root / lock.FILE).is_file():
        raise ProjectError(f"there is no {lock.FILE} in {root}", "run `firstlight build`")
    said = lock.read(root)
    found = _found(said, endpoints, root, offline)
    problems = sum(len(checked.problems) for _, _, places in found for checked in places)
    if as_json:
        told = [
            {"endpoint": name, "stage": stage, "checked": [_described(checked) for checked in places]}
            for name, stage, places in found
        ]
        output.json_line({"ok": not problems, "endpoints": told})
        return 1 if problems else 0
    for name, stage, places in found:
        for checked in places:
            _show(f"{name}{f' (stage {stage})' if stage else ''}: {checked.place}", checked)
    if problems:
        hint = "remove what is damaged and run `firstlight build`, or `firstlight update` to take other files"
        counted = f"{problems} things are" if problems > 1 else "1 thing is"
        output.explain(ProjectError(f"{counted} not as locked", hint))
    return 1 if problems else 0


def _found(said: Lock, endpoints: Sequence[str], root: Path, offline: bool) -> list[Found]:
    """Everything that was compared: of the models, of the scripts that were traced, of the targets."""
    from firstlight.build.lock.wanted import named

    scripts = [name for name in sorted(said.caches) if not endpoints or name in endpoints]
    models = [name for name in endpoints if name not in scripts]
    some = named(locking.wanted_here(root), models) if models or not endpoints else []
    found: list[Found] = [(one.name, one.stage, _checked(one, said, root, offline)) for one in some]
    found += [(name, None, [locking.layer(name, said.caches[name], root)]) for name in scripts]
    return (
        found
        if endpoints
        else found + [(key, None, _target(said, key, root)) for key in sorted(said.targets)]
    )


def _target(said: Lock, key: str, root: Path) -> list[Checked]:
    """The wheels of a target, and whether they are what the project asks for."""
    from firstlight import project as projects
    from firstlight.build.lock import targeting
    from firstlight.build.lock.checking import Checked

    project = projects.load(root)
    only = replace(said, targets={key: said.target(key)})
    behind = targeting.problems(only, project, targeting.made_of(said, project, root))
    return [Checked("lock", 0, tuple(behind)), targeting.check(said, key)]


def _checked(one: Wanted, said: Lock, root: Path, offline: bool) -> list[Checked]:
    from firstlight.build.lock import unasked
    from firstlight.build.lock.checking import Checked, check

    entry = said.entry(one.name, one.stage)
    if entry is None:
        return [Checked("lock", 0, ("not in firstlight.lock",))]
    if other := unasked(entry, one.wish):
        return [Checked("lock", 0, tuple(other))]
    return check(one, entry, root, offline)


def _show(what: str, checked: Checked) -> None:
    for problem in checked.problems:
        click.echo(output.encodable(output.printable(f"{what}: {problem}")))
    if checked.problems:
        return
    facts = [f"{checked.compared} files match"] if checked.compared else []
    facts += [checked.skipped] if checked.skipped else []
    click.echo(output.encodable(f"{what}: {', '.join(facts) or 'nothing to compare'}"))


def _described(checked: Checked) -> dict[str, Any]:
    return {
        "place": checked.place,
        "compared": checked.compared,
        "problems": list(checked.problems),
        "skipped": checked.skipped,
    }
