"""Every endpoint's model resolved, as the lock file says, and how its workers start."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from firstlight import starters
from firstlight.build.types import Made, Wish
from firstlight.cli import digests, output, resolving
from firstlight.project import Endpoint, Project
from firstlight.runtime.errors import BundleError, FirstlightError, ProjectError
from firstlight.trace.types import TraceError

if TYPE_CHECKING:
    from firstlight.build.lock import Lock
    from firstlight.invoke.types import WorkerSpec

Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Prepared:
    """A project ready to be served.

    Attributes:
        bundles: folder of the bundle of each model endpoint.
        specs: how to start each endpoint's workers.
        problems: endpoints whose bundle is not whole; their invocations answer with the same error.
    """

    project: Project
    bundles: dict[str, Path]
    specs: dict[str, WorkerSpec]
    problems: dict[str, FirstlightError]


def prepare(project: Project, say: Say = lambda _: None) -> Prepared:
    """Resolve every endpoint's model and say how its workers start.

    Args:
        say: is told about work that may take a while.

    Raises:
        ProjectError: the project has no endpoints, or its lock file cannot be read.
        FirstlightError: a model cannot be resolved.
    """
    if not project.endpoints:
        hint = "add [endpoints.NAME] with a model, or a script with a handler to inference/"
        raise ProjectError(f"{output.shown(project.file)} has no endpoints", hint)
    prepared, lock = Prepared(project, {}, {}, {}), _lock(project)
    for endpoint in project.endpoints.values():
        _add(prepared, endpoint, lock, say)
    return prepared


def wish_of(endpoint: Endpoint) -> Wish:
    """What a project asks of an endpoint's model."""
    return Wish(
        endpoint.model or "",
        endpoint.task,
        endpoint.quantize,
        endpoint.allow_pickle,
        endpoint.trust_remote_code,
    )


def made_of(project: Project, endpoint: Endpoint, lock: Lock | None, say: Say = lambda _: None) -> Made:
    """The bundle of an endpoint's model, as the lock file says; converted first where the model is not one.

    Raises:
        FirstlightError: it cannot be resolved.
    """
    locked = None
    if lock is not None:
        from firstlight.build.lock import for_endpoint

        locked = for_endpoint(lock, endpoint)
        if locked is None:
            say(f"{endpoint.name}: firstlight.lock says nothing of {endpoint.model}: run `firstlight build`")
    root = project.root or Path.cwd()
    if _place(endpoint.model or "", project) is not None:
        from firstlight.build import resolve

        made = resolve.make(wish_of(endpoint), root, locked)
    elif locked is not None and (there := _kept(locked)) is not None:
        return there
    else:
        say(f"{endpoint.name}: resolving {endpoint.model}")
        made = resolving.make_apart(wish_of(endpoint), root, locked)
    if locked is not None and made.digest != locked.digest:
        say(f"{endpoint.name}: its bundle is not the one in firstlight.lock: run `firstlight verify`")
    return made


def _kept(locked: Made) -> Made | None:
    """A bundle of the hub's that was made before: there is nothing to convert, so nothing to do it in."""
    from firstlight.build import kept

    return kept.locked(locked) if locked.revision else None


def task_of(project: Project, endpoint: Endpoint) -> str | None:
    """The task an endpoint is served for; None for scripts and for models nothing is known of yet."""
    place = _place(endpoint.model or "", project)
    if endpoint.task:
        return endpoint.task
    if place is None:
        return _locked_task(project, endpoint)
    from firstlight.runtime.bundle import Bundle

    try:
        return Bundle.open(str(place)).task
    except FirstlightError:
        return None


def _locked_task(project: Project, endpoint: Endpoint) -> str | None:
    """The task the lock file says; one that cannot be read is explained by those who need more of it."""
    from firstlight.build.lock import for_endpoint

    try:
        lock = _lock(project)
    except FirstlightError:
        return None
    locked = for_endpoint(lock, endpoint) if lock is not None and endpoint.model else None
    return locked.task if locked is not None else None


def handler_of(project: Project, endpoint: Endpoint, say: Say = lambda _: None) -> Callable[[Any, Any], Any]:
    """The handler of an endpoint in this process, whose environment becomes that of a worker.

    Args:
        say: is told where the lock file says something else.

    Raises:
        FirstlightError: its model cannot be resolved or loaded, or its script has no handler.
    """
    from firstlight.runtime import entry

    lock = _lock(project)
    named = {
        "AWS_LAMBDA_FUNCTION_NAME": endpoint.name,
        "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": str(endpoint.memory),
    }
    os.environ.update({**named, **_variables(project, endpoint, lock)})
    if endpoint.script is not None:
        return entry.load({"FIRSTLIGHT_SCRIPT": str(endpoint.script)})
    folder = made_of(project, endpoint, lock, say).place
    return entry.load({"FIRSTLIGHT_BUNDLE": str(folder), "FIRSTLIGHT_TASK": endpoint.task or ""})


def _lock(project: Project) -> Lock | None:
    """The lock file of a project; None where there is none."""
    if project.root is None or not (project.root / "firstlight.lock").is_file():
        return None
    from firstlight.build import lock

    return lock.read(project.root)


def _place(model: str, project: Project) -> Path | None:
    """The folder of a model that is a bundle already, broken or not."""
    if model.startswith("starter:"):
        return starters.path(model.removeprefix("starter:"))
    folder = (project.root or Path.cwd()) / model
    return folder if model and (folder / "bundle.json").is_file() else None


def _add(prepared: Prepared, endpoint: Endpoint, lock: Lock | None, say: Say) -> None:
    """Resolve one endpoint. A bundle that is not whole is served all the same: its worker explains what is wrong."""
    project, name, digest = prepared.project, endpoint.name, ""
    if endpoint.script is not None:
        digest = digests.of_script(endpoint.script, project)
    elif endpoint.model is not None:
        try:
            made = made_of(project, endpoint, lock, say)
            prepared.bundles[name], digest = made.place, made.digest
        except BundleError as error:
            place = _place(endpoint.model, project)
            if place is None:
                raise
            prepared.bundles[name] = place
            prepared.problems[name] = error
    try:
        variables = _variables(project, endpoint, lock)
    except TraceError as error:  # the others can be served, and this one may find its data elsewhere
        say(f"{name}: {error.message}. {error.hint}".rstrip())
        variables = {**project.variables, **endpoint.env}
    prepared.specs[name] = _spec(endpoint, project, prepared.bundles.get(name), digest, variables)


def _variables(project: Project, endpoint: Endpoint, lock: Lock | None) -> dict[str, str]:
    """The environment of an endpoint's workers: where its traced caches lie, then what .env and the project say."""
    caches = lock.caches.get(endpoint.name) if lock is not None else None
    if caches is None or project.root is None:
        return {**project.variables, **endpoint.env}
    from firstlight.trace import layers

    return {**layers.variables(caches, project.root), **project.variables, **endpoint.env}


def _spec(
    endpoint: Endpoint, project: Project, bundle: Path | None, digest: str, variables: dict[str, str]
) -> WorkerSpec:
    from firstlight.invoke.types import WorkerSpec

    return WorkerSpec(
        endpoint=endpoint.name,
        bundle=bundle,
        task=endpoint.task if bundle else None,
        script=endpoint.script,
        memory_mb=endpoint.memory,
        timeout_s=endpoint.timeout,
        concurrency=endpoint.concurrency,
        provisioned=endpoint.provisioned,
        snap_start=endpoint.snap_start,
        env=variables,
        cwd=project.root if endpoint.script is not None else None,
        digest=digest,
    )
