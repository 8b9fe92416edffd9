"""Checks of what the project's models have become: the lock file, and the bundles in the cache and in the project."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from firstlight import starters
from firstlight.doctor.machine import cache_folder
from firstlight.doctor.types import PROBLEM, WARNING, Finding, Subject, explained, fine
from firstlight.project import Endpoint
from firstlight.runtime.errors import BundleError, FirstlightError

_LOCK = "firstlight.lock"


def lock(subject: Subject) -> Iterator[Finding]:
    """Whether firstlight.lock is there, can be read, and stands for what the project asks for."""
    project = subject.project
    if project is None or project.root is None or project.file is None:
        yield fine("no project file, so there is nothing to lock")
        return
    from firstlight.build import lock as locks

    where = subject.shown(project.root / _LOCK)
    models = [endpoint for endpoint in project.endpoints.values() if _is_locked(endpoint)]
    if not (project.root / _LOCK).is_file():
        if models:
            why = "another machine may make other bundles of the same project"
            yield Finding(WARNING, "there is no lock file", where, why, "firstlight build")
        else:
            yield fine("no endpoint has a model of its own, so there is nothing to lock")
        return
    try:
        known = locks.read(project.root)
    except FirstlightError as error:
        yield explained(error, where)
        return
    behind = [endpoint.name for endpoint in models if locks.for_endpoint(known, endpoint) is None]
    gone = sorted({*known.endpoints, *known.caches}.difference(project.endpoints))
    if behind:
        what = f"says nothing (or something else than firstlight.toml) of {', '.join(behind)}"
        yield Finding(WARNING, what, where, "their bundles are not pinned", "firstlight build")
    if gone:
        yield Finding(
            WARNING,
            f"has entries of endpoints that are gone: {', '.join(gone)}",
            where,
            fix="firstlight build",
        )
    if not behind and not gone:
        yield fine("is up to date", where)


def _is_locked(endpoint: Endpoint) -> bool:
    """Whether a lock file has something to say of it: starters come with the package."""
    return endpoint.model is not None and not endpoint.model.startswith("starter:")


def caches(subject: Subject) -> Iterator[Finding]:
    """Whether what scripts were traced to need is on this machine."""
    lacking = 0
    for endpoint in subject.endpoints():
        if endpoint.script is None:
            continue
        try:
            subject.spec(endpoint)
        except FirstlightError as error:
            lacking += 1
            yield explained(error, subject.shown(endpoint.script), "its libraries do not find what they need")
    if not lacking:
        yield fine("what traced scripts need is there")


def bundles(subject: Subject) -> Iterator[Finding]:
    """Every file of every bundle against its hash: those of the project, and those that are kept in the cache."""
    from firstlight.runtime.bundle import Bundle

    folders = [*_own(subject), *sorted(file.parent for file in _kept(subject).glob("[!.]*/bundle.json"))]
    damaged: list[tuple[Path, BundleError]] = []
    with subject.progress() as shown:
        shown.stage("checking bundles", sum(map(_size, folders)))
        for folder in folders:
            try:
                Bundle.open(str(folder), verify="hashes")
            except BundleError as error:
                if (folder / "bundle.json").is_file():  # else another process has just removed it
                    damaged.append((folder, error))
            shown.advance(_size(folder))
    yield from (_of_damage(subject, folder, error) for folder, error in damaged)
    sound = len(folders) - len(damaged)
    yield fine(f"{sound} bundle{'' if sound == 1 else 's'}: every file has its hash")


def _kept(subject: Subject) -> Path:
    return cache_folder(subject) / "bundles"


def _size(folder: Path) -> int:
    try:
        return sum(file.stat().st_size for file in folder.iterdir() if file.is_file())
    except FileNotFoundError:  # another process has just removed it
        return 0


def _of_damage(subject: Subject, folder: Path, error: BundleError) -> Finding:
    why = "an endpoint with it does not start, or answers wrongly"
    if folder.parent != _kept(subject):
        return explained(error, subject.shown(folder), why)
    fix = "remove it; it is made again from its model when it is next needed"
    return Finding(PROBLEM, error.message, str(folder), why, fix, partial(_made_again, subject, folder))


def _own(subject: Subject) -> Iterator[Path]:
    """Bundle folders that the project names, those of starters among them."""
    found: dict[Path, None] = {}
    for endpoint in subject.endpoints():
        name = (endpoint.model or "").removeprefix("starter:")
        if not name:
            continue
        folder = subject.root / name if name == endpoint.model else starters.path(name)
        if (folder / "bundle.json").is_file():
            found[folder] = None
    yield from found


def _made_again(subject: Subject, folder: Path) -> str:
    """Remove a damaged bundle, and make it again where an endpoint of this project needs it."""
    shutil.rmtree(folder)
    for endpoint in subject.endpoints():
        if not _is_locked(endpoint):
            continue
        subject.specs.pop(endpoint.name, None)
        if subject.spec(endpoint).bundle == folder:
            return f"made {folder} again from {endpoint.model}"
    return f"removed {folder}; it is made again when it is next needed"
