"""Which wheels functions are made of: those of the lock file, or those found now, which then go into it.

Sets are resolved one by one: ``engines`` for all endpoints of a project, ``server``, ``router``, and one for every
requirements file. A set whose request changed keeps the versions it had where they still fit.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from firstlight.build.pack import (
    asking,
    belongings,
    engines,
    pipelines,
    requirements,
    slices,
    targets,
    wheels,
)
from firstlight.build.pack.requirements import Requirements
from firstlight.build.pack.types import Target, Wheel
from firstlight.build.types import Made, Progress, Silent
from firstlight.project import Endpoint, Project
from firstlight.runtime.bundle import Bundle
from firstlight.runtime.errors import ProjectError

if TYPE_CHECKING:
    from firstlight.build.lock.types import Lock, WheelSet

ENGINES, SERVER, ROUTER = "engines", "server", "router"
ROUTER_WHEELS = ("starlette",)
_OURS = "firstlight's own libraries"


def pinned(
    project: Project,
    made: Mapping[str, Made],
    lock: Lock,
    target: Target,
    shown: Progress,
    *,
    router: bool = False,
) -> Lock:
    """The lock with every set of wheels that functions of a project are made of on a target.

    Args:
        made: the bundle of each model endpoint, by name; sets of endpoints that are not in it stay as they are.
        router: with the router's.

    Raises:
        ProjectError: a set cannot be resolved.
    """
    wanted: set[str] = set()
    for endpoint in project.endpoints.values():
        if endpoint.script is not None or endpoint.name in made:
            wanted |= engine_names(project, endpoint, made.get(endpoint.name))
    lock = with_engines(lock, target, wanted, shown)
    lock = _settled(lock, target, SERVER, _ours(slices.SERVER_WHEELS), shown)
    if router:
        lock = _settled(lock, target, ROUTER, _ours(ROUTER_WHEELS), shown)
    lists = listed(project)
    for name, its in sorted(lists.items()):
        lock = _settled(lock, target, name, its, shown)
    for name in sorted({*lock.target(targets.key(target)).wheels} - {ENGINES, SERVER, ROUTER, *lists}):
        if not ((project.root or Path.cwd()) / name).is_file():  # else a script of another stage has it
            lock = lock.without_wheels(targets.key(target), name)
    return lock


def behind(project: Project, made: Mapping[str, Made], lock: Lock, target: Target) -> list[str]:
    """What of a target the lock file lacks, or has for another request, a sentence each; nothing is asked for.

    Raises:
        ProjectError: a requirements file cannot be read.
    """
    known, key = lock.target(targets.key(target)).wheels, targets.key(target)
    if not known:
        return [f"no wheels for {key} in firstlight.lock"]
    found = []
    asked = {SERVER: _asked(_ours(slices.SERVER_WHEELS))}
    if ENGINES in known:
        asked[ENGINES] = _engines_asked()
    asked |= {name: its.asked for name, its in listed(project).items()}
    for name, expected in asked.items():
        if name not in known:
            found.append(f"no wheels of {name} for {key} in firstlight.lock")
        elif known[name].asked != expected:
            found.append(f"{name} asks for something else than the wheels for {key} in firstlight.lock")
    has = {wheel.name for wheel in known[ENGINES].wheels} if ENGINES in known else set()
    for endpoint in project.endpoints.values():
        if missing := sorted(engine_names(project, endpoint, made.get(endpoint.name)) - has):
            found.append(f"{endpoint.name} needs {', '.join(missing)}, not in firstlight.lock for {key}")
    return found


def with_engines(lock: Lock, target: Target, wanted: Iterable[str], shown: Progress) -> Lock:
    """The lock with wheels of engines, resolved where it lacks one; those it has stay.

    Raises:
        ProjectError: they cannot be resolved.
    """
    known = _known(lock, target, ENGINES)
    asked = _engines_asked()
    kept = [*known.wheels] if known and known.asked == asked else []
    # What is there stays: another stage, or another machine's half of the work, may need it.
    names = set(wanted) | {wheel.name for wheel in known.wheels} if known else set(wanted)
    missing = names - {wheel.name for wheel in kept}
    if missing:
        shown.say(f"asking the package index for {', '.join(sorted(missing))} ({targets.shown(target)})")
        former = _pins(known.wheels if known else ())
        lines = engines.requirements(missing)
        pins = former or engines.installed(missing)
        kept += _resolved(lines, target, pins, shown, dependencies=False)
    if not names and known is None:
        return lock
    return lock.with_wheels(targets.key(target), ENGINES, asked, kept)


def with_own(lock: Lock, target: Target, name: str, shown: Progress) -> Lock:
    """The lock with a set of firstlight's own, ``SERVER`` or ``ROUTER``.

    Raises:
        ProjectError: it cannot be resolved.
    """
    return _settled(
        lock, target, name, _ours(slices.SERVER_WHEELS if name == SERVER else ROUTER_WHEELS), shown
    )


def with_requirements(lock: Lock, target: Target, its: Requirements, shown: Progress) -> Lock:
    """The lock with the wheels of a requirements file.

    Raises:
        ProjectError: they cannot be resolved.
    """
    return _settled(lock, target, its.shown, its, shown)


def set_of(lock: Lock, target: Target, name: str) -> tuple[Wheel, ...]:
    """The wheels of a set; none where the lock has none of that name."""
    known = _known(lock, target, name)
    return known.wheels if known is not None else ()


def engine_names(project: Project, endpoint: Endpoint, made: Made | None) -> set[str]:
    """Names of the engines' wheels that an endpoint is answered with."""
    if made is not None:
        return engines.names(Bundle.open(made.place))
    if endpoint.script is None:
        return set()
    asked = pipelines.asked(belongings.files(project, endpoint, Silent()))
    its = required(project, endpoint)
    return {*asked.wheels} - (its.names if its is not None else frozenset())


def required(project: Project, endpoint: Endpoint) -> Requirements | None:
    """The requirements file of an endpoint's script; None where it has none.

    Raises:
        ProjectError: it cannot be read, or asks for what would have to be built.
    """
    if endpoint.script is None:
        return None
    root = project.root or Path.cwd()
    path = requirements.of_script(endpoint.script, root)
    return requirements.read(path, root) if path is not None else None


def listed(project: Project) -> dict[str, Requirements]:
    """All requirements files of a project's scripts, by what they are called in the lock file."""
    found = (required(project, endpoint) for endpoint in project.endpoints.values())
    return {its.shown: its for its in found if its is not None}


def _settled(
    lock: Lock, target: Target, name: str, wanted: Sequence[str] | Requirements, shown: Progress
) -> Lock:
    known = _known(lock, target, name)
    asked = _asked(wanted)
    if known is not None and known.asked == asked:
        return lock
    about = name if isinstance(wanted, Requirements) else "what serves HTTP"
    shown.say(f"asking the package index for the wheels of {about} ({targets.shown(target)})")
    former = _pins(known.wheels if known else ())
    if isinstance(wanted, Requirements):
        hashed = any("--hash" in line for line in wanted.lines)
        found = _resolved(wanted, target, () if hashed else former, shown)
    else:
        found = _resolved(wanted, target, former or _installed_with(wanted), shown)
    return lock.with_wheels(targets.key(target), name, asked, found)


def _resolved(
    wanted: Sequence[str] | Requirements,
    target: Target,
    pins: Sequence[str],
    shown: Progress,
    *,
    dependencies: bool = True,
) -> tuple[Wheel, ...]:
    """Wheels of the pinned versions where there are such; else whatever fits."""
    if pins:
        try:
            return wheels.resolve(wanted, target, about=_OURS, dependencies=dependencies, constraints=pins)
        except asking.IndexUnreachable:
            raise
        except ProjectError as error:
            # The pins are a wish: a version may have no wheel there, or not fit what is asked for by now.
            found = wheels.resolve(wanted, target, about=_OURS, dependencies=dependencies)
            shown.say(f"other versions than those known before are taken, as {error.message}")
            return found
    return wheels.resolve(wanted, target, about=_OURS, dependencies=dependencies)


def _known(lock: Lock, target: Target, name: str) -> WheelSet | None:
    """A set of the lock, unless it was made for another C library or interpreter than the target's."""
    found = lock.target(targets.key(target)).wheels.get(name)
    return found if found and all(targets.fits(wheel.file, target) for wheel in found.wheels) else None


def _pins(known: Iterable[Wheel]) -> tuple[str, ...]:
    return tuple(f"{wheel.name}=={wheel.version}" for wheel in known)


def _installed_with(lines: Sequence[str]) -> tuple[str, ...]:
    """Installed versions of packages and of what they require."""
    from importlib import metadata

    found: set[str] = set()
    waiting = [requirements.NAME.match(line)[1] for line in lines if requirements.NAME.match(line)]  # type: ignore[index]
    while waiting:
        name = requirements.normalised(waiting.pop())
        if name in found:
            continue
        found.add(name)
        try:
            needed = [line for line in metadata.requires(name) or () if "extra ==" not in line]
        except metadata.PackageNotFoundError:
            continue
        waiting += [match[1] for line in needed if (match := requirements.NAME.match(line))]
    return engines.installed(found)


def _ours(names: Iterable[str]) -> tuple[str, ...]:
    return engines.requirements(names)


def _engines_asked() -> str:
    every = {name for names in engines.LIBRARIES.values() for name in names} | {engines.TOKENIZERS}
    return _asked(engines.requirements(every))


def _asked(wanted: Sequence[str] | Requirements) -> str:
    if isinstance(wanted, Requirements):
        return wanted.asked
    return hashlib.sha256("\n".join(wanted).encode()).hexdigest()
