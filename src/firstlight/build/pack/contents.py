"""From an endpoint to all the files of its function, in pieces that change together.

Nothing here depends on the machine it runs on: which wheels is the lock file's matter, what is in them is their hash's,
and files are named, sorted and given one of two modes by their content alone.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from firstlight import starters
from firstlight.build.pack import (
    belongings,
    components,
    engines,
    layers,
    pinning,
    pipelines,
    slices,
    telling,
    wheels,
)
from firstlight.build.pack.requirements import Requirements
from firstlight.build.pack.slices import absolute
from firstlight.build.pack.types import OURS, Component, Contents, File, Piece, Target, Wheel
from firstlight.build.types import Made, Progress
from firstlight.project import Endpoint, Project
from firstlight.runtime.bundle import MANIFEST, Bundle
from firstlight.runtime.errors import BundleError, ProjectError

if TYPE_CHECKING:
    from firstlight.build.lock.types import Lock

HANDLER = "firstlight.runtime.lambda_function.handler"
START = f"{OURS}/start"
"""A program that starts our loop in the place of AWS's (AWS_LAMBDA_EXEC_WRAPPER): it is given AWS's interpreter."""
_COMMAND = f"{slices.SOURCE}/firstlight/runtime/start.py"
_LAMBDA_PATHS = ("/opt/python", "/var/runtime")
"""Where AWS has layers and boto3; nothing where it is not AWS."""
_LARGEST = 10 << 30


def of_endpoint(
    project: Project, endpoint: Endpoint, made: Made | None, lock: Lock, target: Target, shown: Progress
) -> Contents:
    """All files of an endpoint's function.

    Args:
        made: its bundle; None for a script.
        lock: which wheels; those it lacks are resolved, see ``pinning.pinned`` for a lock that has them all.
        shown: is told what takes long and what is worth knowing.

    Raises:
        ProjectError: wheels cannot be had, files cannot be read, or all together are more than an image may have.
        BundleError: the bundle's files are not those that its bundle.json lists.
    """
    if (made is None) == (endpoint.script is None):
        raise ProjectError(f"{endpoint.name} has no bundle yet", "run `firstlight build`")
    own = belongings.files(project, endpoint, shown) if endpoint.script is not None else ()
    asked = pipelines.asked(own)
    telling.of_files(endpoint, own, asked, shown)
    libraries, named = _libraries(project, endpoint, made, lock, target, shown)
    server, served = _server(lock, target, shown)
    caches = lock.caches.get(endpoint.name) if endpoint.script is not None else None
    pieces = (
        Piece("wheels", libraries),
        Piece("server", server),
        Piece("runtime", _runtime(asked, scripted=endpoint.script is not None)),
        Piece("caches", layers.files(caches, project) if caches is not None else ()),
        Piece("bundle", _bundle(made) if made is not None else _starters(asked)),
        Piece("project", own),
    )
    environment = _environment(project, endpoint, made, target)
    _check_there(own, environment.get("FIRSTLIGHT_SCRIPT"))
    if caches is not None:
        telling.of_traced(endpoint, caches.script, shown)
        environment |= layers.variables(caches) | {"HF_HUB_OFFLINE": "1"}
    parts = _components(made, named, served, asked)
    found = Contents(
        endpoint.name,
        target,
        tuple(piece for piece in pieces if piece.files),
        dict(sorted(environment.items())),
        HANDLER,
        (f"{slices.SOURCE}/firstlight/runtime/start.py",),
        parts,
    )
    if found.size > _LARGEST:
        hint = "use a smaller or quantised model; an image on Lambda has 10 GB at most"
        raise ProjectError(f"{endpoint.name} has {found.size / 1e9:.1f} GB of files", hint)
    return found


def unpacked(
    some: Iterable[Wheel], target: Target, below: str, shown: Progress, its: Requirements | None = None
) -> tuple[tuple[File, ...], Mapping[str, Path]]:
    """The files of wheels in one folder of packages, and the wheels themselves by their file names.

    Args:
        below: the folder, below ``TASK_ROOT``.
        its: the requirements file they come from, whose wheels are taken whole; None for firstlight's own.

    Raises:
        ProjectError: a wheel cannot be had, or holds what no wheel should.
    """
    some = tuple(some)
    if absent := wheels.absent(some):
        shown.stage(f"fetching {', '.join(wheel.name for wheel in absent)}")
    places = wheels.fetch(some, target, its)
    found: dict[str, File] = {}
    for wheel in some:
        only = engines.taken(wheel.name) if its is None else None
        for file in wheels.files(places[wheel.file], only):
            path = f"{below}/{file.path}"
            if path in found and _differ(found[path], file):
                shown.say(f"{wheel.name} and another wheel both bring {file.path}; the first one's is taken")
            found.setdefault(path, replace(file, path=path))
    return tuple(found[path] for path in sorted(found)), places


def _libraries(
    project: Project, endpoint: Endpoint, made: Made | None, lock: Lock, target: Target, shown: Progress
) -> tuple[tuple[File, ...], dict[Path, Wheel]]:
    """Wheels of the engine, and of the requirements file, whose versions win."""
    names = pinning.engine_names(project, endpoint, made)
    its = pinning.required(project, endpoint)
    theirs: tuple[Wheel, ...] = ()
    if its is not None:
        lock = pinning.with_requirements(lock, target, its, shown)
        theirs = pinning.set_of(lock, target, its.shown)
        telling.of_graphics(its, theirs, shown)
    names -= {wheel.name for wheel in theirs}
    lock = pinning.with_engines(lock, target, names, shown)
    ours = [wheel for wheel in pinning.set_of(lock, target, pinning.ENGINES) if wheel.name in names]
    files, places = unpacked(ours, target, slices.LIBRARIES, shown)
    more, others = unpacked(theirs, target, slices.LIBRARIES, shown, its) if its is not None else ((), {})
    if its is not None:
        telling.of_torch(its, theirs, others, more, shown)
    every = {file.path: file for file in (*files, *more)}
    named = {**places, **others}
    return tuple(every[path] for path in sorted(every)), {
        named[wheel.file]: wheel for wheel in (*ours, *theirs)
    }


def _server(lock: Lock, target: Target, shown: Progress) -> tuple[tuple[File, ...], dict[Path, Wheel]]:
    """What serves HTTP where there is no Lambda."""
    lock = pinning.with_own(lock, target, pinning.SERVER, shown)
    some = pinning.set_of(lock, target, pinning.SERVER)
    files, places = unpacked(some, target, slices.SERVER_LIBRARIES, shown)
    every = sorted((*files, *slices.server()), key=lambda file: file.path)
    return tuple(every), {places[wheel.file]: wheel for wheel in some}


def _runtime(asked: pipelines.Asked, *, scripted: bool) -> tuple[File, ...]:
    start = start_program(scripted=scripted)
    files = (*slices.runtime(pipelines=asked.used), File(START, start, len(start), executable=True))
    return tuple(sorted(files, key=lambda file: file.path))


def start_program(*, scripted: bool) -> bytes:
    """What AWS's runtime of a zip is told to start in its own place: it is given the interpreter's command line.

    Args:
        scripted: it runs a user's script, which also gets the packages that come with AWS's interpreter.
    """
    flags = "-I -u" if scripted else "-I -S -u"
    return f'#!/bin/sh\nexec "$1" {flags} {absolute(_COMMAND)}\n'.encode()


def _bundle(made: Made) -> tuple[File, ...]:
    """The files that bundle.json lists, whose hashes are compared; README and NOTICE beside them."""
    bundle = Bundle.open(made.place, verify="first")
    if bundle.digest != made.digest:
        raise BundleError(
            f"the bundle {made.place} was changed after it was made", "run `firstlight build` again"
        )
    names = {*bundle.files, *(name for name in ("README.md", "NOTICE") if (made.place / name).is_file())}
    found = [_placed(made.place / name, f"{slices.BUNDLE}/{name}") for name in names]
    text = manifest(made.place)
    found.append(File(f"{slices.BUNDLE}/{MANIFEST}", text, len(text)))
    return tuple(sorted(found, key=lambda file: file.path))


def manifest(bundle: Path) -> bytes:
    """bundle.json without ``parity``: figures that every machine measures a little differently, and no answer needs."""
    told = json.loads((bundle / MANIFEST).read_text(encoding="utf-8"))
    told.pop("parity", None)
    return (json.dumps(told, indent=1, sort_keys=True, ensure_ascii=False) + "\n").encode(
        "utf-8", "surrogatepass"
    )


def _placed(file: Path, path: str) -> File:
    return File(path, file.resolve(), file.stat().st_size)


def _starters(asked: pipelines.Asked) -> tuple[File, ...]:
    found = {file.path: file for name in asked.starters for file in slices.starter(name)}
    return tuple(found[path] for path in sorted(found))


def _environment(project: Project, endpoint: Endpoint, made: Made | None, target: Target) -> dict[str, str]:
    ours = (slices.SOURCE, slices.LIBRARIES)
    packages = f"/var/lang/lib/python{target.python}/site-packages"
    found = {
        "FIRSTLIGHT_PATH": ":".join((*map(absolute, ours), *_LAMBDA_PATHS, packages)),
        "FIRSTLIGHT_SERVER": slices.SERVER,
        "FIRSTLIGHT_SERVER_PATH": absolute(slices.SERVER_LIBRARIES),
        "HOME": "/tmp",  # noqa: S108 - the only folder that can be written on Lambda
        "ORT_DISABLE_TELEMETRY": "1",
    }
    if made is not None:
        found |= {"FIRSTLIGHT_BUNDLE": absolute(slices.BUNDLE), "HF_HUB_OFFLINE": "1"}
        task = endpoint.task or starters.task_of(endpoint.model)
        found |= {"FIRSTLIGHT_TASK": task} if task else {}
    elif endpoint.script is not None:
        root = (project.root or Path.cwd()).resolve()
        script = endpoint.script.parent.resolve() / endpoint.script.name
        if not script.is_relative_to(root):
            hint = "move it into the project"
            raise ProjectError(f"{endpoint.script} lies outside the project {root}", hint)
        found["FIRSTLIGHT_SCRIPT"] = absolute(script.relative_to(root).as_posix())
    return found


def _components(
    made: Made | None, ours: Mapping[Path, Wheel], served: Mapping[Path, Wheel], asked: pipelines.Asked
) -> tuple[Component, ...]:
    found = [components.firstlight(), *components.libraries({**served, **ours})]
    if made is not None:
        found.append(components.model(made))
    found += [components.starter(name) for name in asked.starters]
    return tuple(found)


def _check_there(own: Iterable[File], script: str | None) -> None:
    if script is not None and all(absolute(file.path) != script for file in own):
        hint = "a script must be a file of the project, not a link out of it, nor named like a secret"
        raise ProjectError(f"{Path(script).name} is not among the files of its function", hint)


def _differ(one: File, other: File) -> bool:
    return one.size != other.size or (
        one.path.endswith(".py")
        and Path(str(one.source)).read_bytes() != Path(str(other.source)).read_bytes()
    )
