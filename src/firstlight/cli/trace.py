"""``firstlight trace``: finds what a script's libraries drop, packs it, and proves that nothing else is needed."""

from __future__ import annotations

import contextlib
import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from firstlight import project as projects
from firstlight.cli import given, output, progress, tracing, wiring
from firstlight.project import Endpoint, Project
from firstlight.runtime.errors import ProjectError

if TYPE_CHECKING:
    from firstlight.trace.runs import Script
    from firstlight.trace.types import Caches, Traced

_SAMPLE = {"inputs": "what a lovely day"}


@click.command()
@click.argument("script")
@click.option("-d", "--data", help="The event as JSON, @file, or - for stdin (default: {}).")
@click.option("-f", "--event-file", "file", help="A file with the event as JSON, or - for stdin.")
@click.option(
    "--timeout", type=click.FloatRange(1, 86_400), default=900.0, help="Seconds that each run may take."
)
@click.option("--keep-network", is_flag=True, help="The script may call out when it answers.")
@click.option("--dry-run", is_flag=True, help="Only find out: pack nothing, prove nothing, write nothing.")
@output.json_option
def trace(
    script: str,
    data: str | None,
    file: str | None,
    timeout: float,
    keep_network: bool,
    dry_run: bool,
    as_json: bool,
) -> None:
    """Find what the libraries of SCRIPT (a Python file, or an endpoint) drop into HOME and elsewhere, and pack it.

    The script is run in clean folders and watched. What it downloaded is packed into a layer, and the script is run
    again with the layer and without HOME, network or anything but /tmp to write to: the answers must be the same.
    """
    from firstlight.trace import layers
    from firstlight.trace.tracing import trace as traced_run
    from firstlight.trace.types import ScriptFailed

    project, endpoint, path = _found(script)
    event = given.event(data, file, ()).decode() if data is not None or file is not None else _event(path)
    asked = _script(project, endpoint, path, event, timeout)
    try:
        with progress.shown(as_json) as stages:
            place = layers.folder(project.root)
            traced = traced_run(asked, place, stages, network=keep_network, dry_run=dry_run)
    except ScriptFailed as error:
        frames = [str(frame) for frame in error.payload.get("stackTrace") or []]
        if as_json:
            output.note(json.dumps({"stackTrace": frames}))
        for frame in () if as_json else frames:
            output.note(output.printable(frame).rstrip())
        raise
    locked = _lock(project, endpoint, traced.caches) if traced.caches and endpoint else None
    if as_json:
        output.json_line(_described(path, endpoint, traced, locked))
    else:
        tracing.show(traced, path, project, locked, dry_run=dry_run)


def _found(word: str) -> tuple[Project, Endpoint | None, Path]:
    """The project of a script, its endpoint where it is one, and its path.

    Raises:
        ProjectError: it is neither a file nor an endpoint with a script.
    """
    path = Path(word)
    if not path.is_file():
        project = wiring.project_here()
        endpoint = project.endpoints.get(word)
        if endpoint is None:
            hint = output.near(word, [name for name, its in project.endpoints.items() if its.script])
            raise ProjectError(f"there is no script {word!r}, nor an endpoint of that name", hint)
        if endpoint.script is None:
            hint = "its files are in its bundle already; `firstlight build` locks it"
            raise ProjectError(f"{word} is a model, which drops nothing", hint)
        return project, endpoint, endpoint.script
    path = path.resolve()
    here = Path.cwd().resolve()
    root = projects.find(path.parent) or (here if path.is_relative_to(here) else path.parent)
    project = projects.load(root)
    endpoints = (its for its in project.endpoints.values() if its.script and its.script.resolve() == path)
    return project, next(endpoints, None), path


def _event(path: Path) -> str:
    """An event that the script is likely to take: scripts of other servers are given ``inputs``."""
    from firstlight.trace.handlers import names

    with contextlib.suppress(SyntaxError, ValueError):
        if names(path) - {"handler", "lambda_handler"}:
            return json.dumps(_SAMPLE)
    return "{}"


def _script(project: Project, endpoint: Endpoint | None, path: Path, event: str, timeout: float) -> Script:
    from firstlight.trace.runs import Script

    root = project.root or path.parent
    if endpoint is None:
        return Script(path, event, root, path.stem, limit_s=timeout)
    return Script(path, event, root, endpoint.name, endpoint.env, endpoint.memory, endpoint.timeout, timeout)


def _lock(project: Project, endpoint: Endpoint, caches: Caches) -> Path | None:
    """Write the layer into the project's lock file."""
    from firstlight.build import lock

    if project.root is None:
        return None
    read = lock.read(project.root)
    lock.write(project.root, read.with_caches(endpoint.name, lock.Caches(**asdict(caches))))
    return project.root / lock.FILE


def _described(path: Path, endpoint: Endpoint | None, traced: Traced, locked: Path | None) -> dict[str, Any]:
    return {
        "script": str(path),
        "endpoint": endpoint.name if endpoint else None,
        "lock": str(locked) if locked else None,
        **asdict(traced),
    }
