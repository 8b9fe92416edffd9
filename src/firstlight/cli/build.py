"""``firstlight build``: bundles, the lock file that says what they are made of, and functions as images and zips."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import click

from firstlight.cli import locking, output, packaging, targeting
from firstlight.cli.packaging import Wishes
from firstlight.runtime.errors import ProjectError

if TYPE_CHECKING:
    from firstlight.build.lock import Lock
    from firstlight.build.lock.building import Built, Problem
    from firstlight.build.lock.wanted import Wanted
    from firstlight.build.types import Progress
    from firstlight.cli.packaging import Package

    Settle: TypeAlias = Callable[[Lock], None] | None


@click.command()
@click.argument("endpoints", nargs=-1)
@click.option("--locked", is_flag=True, help="Write nothing, and fail where anything is not as locked.")
@click.option("--stage", help="Only what is served in [stage.NAME].")
@click.option(
    "--package", type=click.Choice(["image", "zip", "auto"]), help="Make the functions too, as this."
)
@click.option("--architecture", type=click.Choice(["arm64", "x86_64"]), help="What they run on.")
@click.option("--base", help="What images are built on: an image, a folder or a tar file.")
@click.option("--layout", type=click.Path(path_type=Path), help="Write images there as OCI image layouts.")
@click.option("--tarball", type=click.Path(path_type=Path), help="Write images there for `docker load`.")
@click.option("--push", metavar="HOST/NAME", help="Push images to this repository of a registry.")
@output.json_option
def build(endpoints: tuple[str, ...], locked: bool, stage: str | None, as_json: bool, **asked: Any) -> int:
    """Make the bundles of the project's ENDPOINTS, or of all, and write firstlight.lock where it lacks one.

    With --package, or another option about images, their functions are made too.
    """
    root = locking.root_here()
    wishes = Wishes(**asked)
    some, whole = _named(root, endpoints, stage, scripts=wishes.any)
    work = _Work(root, some, whole, endpoints, stage, wishes)
    return _strict(work, as_json) if locked else _build(work, as_json)


@dataclass(frozen=True, slots=True)
class _Work:
    """What is to be built.

    Attributes:
        some: model endpoints whose bundles are made.
        whole: all of them, where all are meant; then what is gone is taken out of the lock.
        names: endpoints that are meant, scripts too; none for all.
    """

    root: Path
    some: Sequence[Wanted]
    whole: Sequence[Wanted] | None
    names: tuple[str, ...]
    stage: str | None
    wishes: Wishes

    def packages(self, built: Sequence[Built], lock: Lock, shown: Progress, settle: Settle) -> list[Package]:
        """Their functions, where they are asked for."""
        if not self.wishes.any:
            return []
        from firstlight import project as projects

        made = {one.wanted.name: one.made for one in built if one.wanted.stage is None}
        if self.stage is not None:
            made |= {one.wanted.name: one.made for one in built if one.wanted.stage == self.stage}
        project = packaging.asked(projects.load(self.root, self.stage), self.wishes)
        packing = packaging.Packing(project, made, lock, shown, locked=settle is None)
        return packaging.build_packages(packing, self.names, self.wishes, shown, settle or (lambda _: None))


def _named(
    root: Path, names: tuple[str, ...], stage: str | None, *, scripts: bool
) -> tuple[Sequence[Wanted], Sequence[Wanted] | None]:
    """The model endpoints that are meant; all of them where that is so."""
    from firstlight.build.lock.wanted import named

    everything = locking.wanted_here(root, stage)
    models: tuple[str, ...] = names
    if scripts and names:
        from firstlight import project as projects

        found = projects.load(root, stage).endpoints
        models = tuple(name for name in names if name not in found or found[name].script is None)
        if not models:
            return (), None
    return named(everything, models), None if names or stage else everything


def _build(work: _Work, as_json: bool) -> int:
    from firstlight.build import lock
    from firstlight.build.lock import building
    from firstlight.cli import progress

    root, whole, before = work.root, work.whole, lock.read(work.root)
    dropped = building.gone(before, whole) if whole is not None else []
    strangers = locking.strangers(before, root) if whole is not None else []
    written = False

    def settle(packed: lock.Lock) -> None:
        nonlocal written

        def change(now: lock.Lock) -> lock.Lock:
            for name in strangers:
                now = now.with_caches(name, None)
            changed = {key: its for key, its in packed.targets.items() if its != before.targets.get(key)}
            now = packaging.with_targets(now, changed)
            return building.settled(now, built, dropped)

        written = locking.laid_over(root, change) or written

    with progress.shown(as_json) as shown, contextlib.redirect_stdout(sys.stderr):
        built = building.build(work.some, root, before, shown)
        packages = work.packages(built, building.settled(before, built), shown, settle)
        if not packages:
            settle(targeting.settled(root, before, built, shown) if whole is not None else before)
    removed = [*dropped, *((name, None) for name in strangers)]
    if as_json:
        gone = [{"endpoint": name, "stage": stage} for name, stage in removed]
        said = {"endpoints": [_described(one) for one in built], "removed": gone, "written": written}
        output.json_line(said | _packages(packages))
        return 0
    for one in built:
        _show(one)
    _show_packages(packages)
    for name, stage in removed:
        click.echo(f"{name}{f' (stage {stage})' if stage else ''}: no longer in firstlight.toml, taken out")
    click.echo(f"{lock.FILE} is {'written' if written else 'as it was'}")
    return 0


def _strict(work: _Work, as_json: bool) -> int:
    from firstlight.build import lock
    from firstlight.build.lock import building
    from firstlight.cli import progress

    root, whole = work.root, work.whole
    before = lock.read(root)
    packages: list[Package] = []
    with progress.shown(as_json) as shown, contextlib.redirect_stdout(sys.stderr):
        built, problems = building.strict(work.some, root, before, shown)
        if not problems:
            packages = work.packages(built, before, shown, None)
    if whole is not None:
        sentence = "in firstlight.lock and not in firstlight.toml"
        problems += [building.Problem(*entry, sentence) for entry in building.gone(before, whole)]
        for name, caches in sorted(before.caches.items()):
            checked = locking.layer(name, caches, root)
            problems += [building.Problem(name, None, found) for found in checked.problems]
        problems += [
            building.Problem("functions", None, found) for found in targeting.problems(root, before, built)
        ]
    if as_json:
        found = [{"endpoint": one.endpoint, "stage": one.stage, "found": one.found} for one in problems]
        said = {"ok": not problems, "endpoints": [_described(one) for one in built], "problems": found}
        output.json_line(said | _packages(packages))
    else:
        _show_problems(built, problems)
        _show_packages(packages)
    return 1 if problems else 0


def _packages(packages: Sequence[Package]) -> dict[str, Any]:
    return {"packages": [packaging.described(one) for one in packages]} if packages else {}


def _show_packages(packages: Sequence[Package]) -> None:
    for one in packages:
        packaging.show(one)


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
