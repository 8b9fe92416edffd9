"""``firstlight add``: from the name of a model to an endpoint of the project, pinned in its lock file."""

from __future__ import annotations

import contextlib
import errno
import sys
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from firstlight.cli import added, output
from firstlight.runtime.errors import ProjectError

if TYPE_CHECKING:
    from firstlight.build.types import Made, Wish
    from firstlight.cli.planning import Plan
    from firstlight.project import Endpoint

_OURS = ("model", "script", "task", "quantize", "allow_pickle", "trust_remote_code")
"""Keys of an endpoint's table that say what its model is; the others are kept when it is replaced."""


@dataclass(frozen=True, slots=True)
class _Asked:
    """What the command line says."""

    model: str
    endpoint: str | None
    task: str | None
    quantize: str | None
    route: str | None
    allow_pickle: bool
    trust_remote_code: bool
    replaced: bool


@click.command()
@click.argument("model")
@click.option("--as", "endpoint", metavar="ENDPOINT", help="Name of the endpoint (default: the model's).")
@click.option("--task", help="The task it is for, where the model does not say or does several.")
@click.option("--quantize", help="What the weights are made into, such as int8 or q4_k_m.")
@click.option("--route", help="An extra HTTP path for it, such as /qa.")
@click.option("--allow-pickle", is_flag=True, help="Read weights in pickle format; nothing in them is run.")
@click.option("--trust-remote-code", is_flag=True, help="Run the repository's code while it is converted.")
@click.option("--replace", "replaced", is_flag=True, help="Put it in the place of an endpoint that is there.")
@click.option("--dry-run", is_flag=True, help="Say what would be taken; download and write nothing.")
@output.json_option
def add(model: str, dry_run: bool, as_json: bool, **asked: Any) -> None:
    """Make an endpoint of MODEL: owner/name[@revision] of the hub, its address, a folder, a file, or starter:NAME.

    What is taken is downloaded, checked and converted; firstlight.toml gets the endpoint and firstlight.lock what it is
    made of.
    """
    wanted = _Asked(model, **asked)
    root = _root()
    meant = _meant(wanted, root)
    plan = _planned(meant, root)
    if not as_json:
        added.show(plan, meant.name, meant.wish.model)
    if dry_run:
        if as_json:
            output.json_line(added.described(plan, meant.name, meant.wish.model) | {"written": []})
        return
    made = _made(meant, plan, root, as_json)
    written = _entered(wanted, plan, made, root)
    if as_json:
        output.json_line(
            added.described(plan, meant.name, meant.wish.model)
            | added.result(made, meant.name, meant.wish.task, written)
        )
    else:
        added.say(made, meant.name, meant.wish.task, written)


@dataclass(frozen=True, slots=True)
class _Meant:
    """The endpoint that is meant.

    Attributes:
        there: the endpoint of that name, if the project has it already and it is the same model.
        memory: MB it has now, or would have.
        dropped: keys the table loses, of an endpoint that is replaced.
    """

    name: str
    wish: Wish
    there: Endpoint | None
    memory: int
    dropped: tuple[str, ...] = ()


def _root() -> Path:
    """The folder of the project here or above; this folder where there is none."""
    from firstlight import project as projects

    return projects.find(Path.cwd()) or Path.cwd()


def _meant(asked: _Asked, root: Path) -> _Meant:
    """The endpoint and its model, checked against what the project has.

    Raises:
        ProjectError: a name, route or other value that cannot be; another model has the name, or the route.
    """
    from firstlight import project as projects
    from firstlight.build.types import Wish
    from firstlight.cli import planning
    from firstlight.project.types import DEFAULT_MEMORY

    _check(asked)
    project = projects.load(root, env={})
    model = planning.model_of(asked.model, root)
    name = asked.endpoint or planning.endpoint_name(model)
    wish = Wish(model, asked.task, asked.quantize, asked.allow_pickle, asked.trust_remote_code)
    found = project.endpoints.get(name)
    owner = next((one.name for one in project.endpoints.values() if one.route == asked.route), name)
    if asked.route is not None and owner != name:
        raise ProjectError(f"{asked.route} is already the route of {owner!r}", "choose another path")
    if found is None:
        return _Meant(name, wish, None, DEFAULT_MEMORY)
    if found.model is not None and _same(asked, model, found):
        wish = Wish(
            found.model,
            found.task,
            found.quantize,
            asked.allow_pickle or found.allow_pickle,
            asked.trust_remote_code or found.trust_remote_code,
        )
        return _Meant(name, wish, found, found.memory)
    if not asked.replaced:
        what = found.model or (found.script.name if found.script else "nothing")
        hint = (
            "--as OTHER gives this one another name; --replace puts it in the place of the one that is there"
        )
        raise ProjectError(f"the project has an endpoint {name!r} already, of {what}", hint)
    return _Meant(name, wish, None, found.memory, _OURS)


def _check(asked: _Asked) -> None:
    from firstlight.project import checks

    named = {"--route": ("route", asked.route), "--task": ("task", asked.task)}
    named["--quantize"] = ("quantize", asked.quantize)
    for option, (key, value) in named.items():
        if value is not None:
            checks.ENDPOINT[key](checks.Place(option), "", value)
    if asked.endpoint is not None:
        checks.name(checks.Place("--as"), "", asked.endpoint)


def _same(asked: _Asked, model: str, found: Endpoint) -> bool:
    """Whether an endpoint that is there is what is asked for; what is not said may be anything."""
    from firstlight.build.lock import named

    if found.model is None or named(found.model) != named(model):
        return False
    said = {"task": asked.task, "quantize": asked.quantize, "route": asked.route}
    return all(value in (None, getattr(found, key)) for key, value in said.items())


def _planned(meant: _Meant, root: Path) -> Plan:
    from firstlight.cli import planning

    return planning.plan(meant.wish, root, _locked(meant, root))


def _locked(meant: _Meant, root: Path) -> Made | None:
    """What the lock says of an endpoint that is there already: adding it again changes no commit."""
    if meant.there is None:
        return None
    from firstlight import starters
    from firstlight.build import lock

    return lock.for_endpoint(lock.read(root), starters.with_task(meant.there))


def _made(meant: _Meant, plan: Plan, root: Path, as_json: bool) -> Made:
    """Download and convert; a folder that cannot be written is found out before."""
    from firstlight import starters
    from firstlight.build import resolve
    from firstlight.build.lock import asked
    from firstlight.cli import progress
    from firstlight.cli.entering import alone
    from firstlight.runtime.bundle import Bundle

    with alone(root):
        pass
    try:
        with progress.shown(as_json) as shown, contextlib.redirect_stdout(sys.stderr):
            made = resolve.make(plan.wish, root, _locked(meant, root), shown)
        Bundle.open(made.place, verify="first")
    except OSError as error:
        hint = "make room, or move the caches with HF_HOME and XDG_CACHE_HOME"
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            hint = "try again; nothing was changed"
        raise ProjectError(f"{meant.wish.model} was not added: {error.strerror or error}", hint) from error
    task = meant.wish.task or starters.task_of(meant.wish.model)
    return replace(made, model=meant.wish.model, asked=asked(replace(meant.wish, task=task)))


def _entered(asked: _Asked, plan: Plan, made: Made, root: Path) -> list[str]:
    """Write both files; the project is looked at again, for another ``add`` may have come first."""
    from firstlight.cli import entering

    with entering.alone(root):
        meant = _meant(asked, root)
        settings = _allowed(plan) if meant.there else _settings(asked, meant, plan)
        return entering.enter(root, entering.Entry(meant.name, settings, meant.dropped, made))


def _settings(asked: _Asked, meant: _Meant, plan: Plan) -> dict[str, str | int | float | bool]:
    """The keys of a new endpoint's table: what the user said, permissions that are needed, and room for its weights."""
    found: dict[str, str | int | float | bool] = {"model": meant.wish.model}
    for key, value in (("task", asked.task), ("quantize", asked.quantize), ("route", asked.route)):
        if value is not None:
            found[key] = value
    if added.needed_mb(plan) > meant.memory:
        found["memory"] = min(added.needed_mb(plan), added.MOST_MB)
    return found | _allowed(plan)


def _allowed(plan: Plan) -> dict[str, bool]:
    """The permissions that were given and are needed."""
    needed = {"allow_pickle": plan.pickled, "trust_remote_code": plan.runs_code}
    return {key: True for key, is_needed in needed.items() if is_needed}
