"""What the verbs of the lock file do with its targets: the wheels that functions are made of."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from firstlight.cli import output

if TYPE_CHECKING:
    from firstlight.build.lock import Lock
    from firstlight.build.lock.building import Built
    from firstlight.build.types import Made, Progress


def settled(root: Path, lock: Lock, built: Iterable[Built], shown: Progress) -> Lock:
    """The lock with the wheels that the project asks for by now, of targets that were built for before.

    Where the package index cannot be reached they stay, with a warning: nobody may have asked for functions.

    Raises:
        ProjectError: a requirements file is wrong, or asks for what cannot be had.
    """
    if not lock.targets:
        return lock
    from firstlight import project as projects
    from firstlight.build.lock import targeting
    from firstlight.build.pack.asking import IndexUnreachable

    try:
        return targeting.settled(lock, projects.load(root), _made(built), shown)
    except IndexUnreachable as error:
        output.warn(f"{error.message}; the wheels in firstlight.lock stay as they are")
        return lock


def problems(root: Path, lock: Lock, built: Iterable[Built]) -> list[str]:
    """What of the targets is not as the project asks, a sentence each."""
    if not lock.targets:
        return []
    from firstlight import project as projects
    from firstlight.build.lock import targeting

    return targeting.problems(lock, projects.load(root), _made(built))


def renewed(root: Path, lock: Lock, shown: Progress) -> tuple[Lock, list[str]]:
    """The lock with the newest wheels, and what is other than before.

    Raises:
        ProjectError: they cannot be had.
    """
    if not lock.targets:
        return lock, []
    from firstlight import project as projects
    from firstlight.build.lock import targeting

    project = projects.load(root)
    now = targeting.renewed(lock, project, targeting.made_of(lock, project, root), shown)
    return now, targeting.differences(lock, now)


def _made(built: Iterable[Built]) -> Mapping[str, Made]:
    return {one.wanted.name: one.made for one in built if one.wanted.stage is None}
