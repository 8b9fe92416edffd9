"""What the lock file says of targets, against the project and the wheels of this machine; and moving it on."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from firstlight.build.lock.checking import Checked, sha256
from firstlight.build.lock.types import Lock
from firstlight.build.pack import pinning, targets, wheels
from firstlight.build.types import Made, Progress
from firstlight.project import Project
from firstlight.runtime.errors import FirstlightError

WHEELS = "wheels"


def settled(lock: Lock, project: Project, made: Mapping[str, Made], shown: Progress) -> Lock:
    """The lock with the wheels that the project asks for by now, for the targets it has; what fits stays.

    Raises:
        ProjectError: a requirements file is wrong, or the package index has to be asked and cannot be reached.
    """
    for key in sorted(lock.targets):
        router = pinning.ROUTER in lock.target(key).wheels
        lock = pinning.pinned(project, made, lock, targets.of_key(key), shown, router=router)
    return lock


def problems(lock: Lock, project: Project, made: Mapping[str, Made]) -> list[str]:
    """What of the targets is not as the project asks, a sentence each; nobody is asked."""
    found = []
    for key in sorted(lock.targets):
        try:
            found += pinning.behind(project, made, lock, targets.of_key(key))
        except FirstlightError as error:
            found.append(error.message)
    return found


def check(lock: Lock, key: str) -> Checked:
    """Compare the wheels of a target that are in the cache with their hashes."""
    some = {wheel.file: wheel for its in lock.target(key).wheels.values() for wheel in its.wheels}
    found, compared, missing = list[str](), 0, 0
    for file, wheel in sorted(some.items()):
        place = wheels.cache() / wheel.sha256 / file
        if not targets.fits(file, targets.of_key(key)):
            found.append(f"{file} does not run on {key}")
        elif not place.is_file():
            missing += 1
        elif sha256(place) == wheel.sha256:
            compared += 1
        else:
            found.append(f"{place} is not what its name says")
    skipped = f"{missing} of {len(some)} wheels are not on this machine" if missing else ""
    return Checked(WHEELS, compared, tuple(found), skipped)


def renewed(lock: Lock, project: Project, made: Mapping[str, Made], shown: Progress) -> Lock:
    """The lock with the newest wheels that the project allows, and bases that are looked up anew.

    Raises:
        ProjectError: as ``settled``.
    """
    keys = sorted(lock.targets)
    for key in keys:
        router = pinning.ROUTER in lock.target(key).wheels
        target = targets.of_key(key)
        emptied = lock.with_base(key, "")
        for name in lock.target(key).wheels:
            emptied = emptied.without_wheels(key, name)
        lock = pinning.pinned(project, made, emptied, target, shown, router=router)
    return lock


def differences(old: Lock, new: Lock) -> list[str]:
    """What is not the same in the targets of two locks, a sentence each."""
    found = []
    for key in sorted({*old.targets, *new.targets}):
        before, after = old.target(key), new.target(key)
        if before.base and before.base != after.base:
            found.append(
                f"{key}: base {before.base.rpartition('@')[2][:19]} -> {after.base[-64:][:12] or 'looked up'}"
            )
        for name in sorted({*before.wheels, *after.wheels}):
            was, now = (
                {wheel.name: wheel.version for wheel in its.wheels[name].wheels} if name in its.wheels else {}
                for its in (before, after)
            )
            changed = sorted(one for one in {*was, *now} if was.get(one) != now.get(one))
            found += [f"{key}: {one} {was.get(one, 'none')} -> {now.get(one, 'none')}" for one in changed]
    return found


def made_of(lock: Lock, project: Project, root: Path) -> dict[str, Made]:
    """The bundles of a project's model endpoints that are on this machine, as locked."""
    from dataclasses import replace

    from firstlight.build.lock.checking import bundle_of
    from firstlight.build.lock.comparing import for_endpoint

    found = {}
    for endpoint in project.endpoints.values():
        made = for_endpoint(lock, endpoint, project.stage) if endpoint.model else None
        place = bundle_of(made, endpoint.model or "", root) if made is not None else None
        if made is not None and place is not None:
            found[endpoint.name] = replace(made, place=place)
    return found
