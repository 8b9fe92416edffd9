"""From the endpoints that are wanted and a lock to bundles, and to the lock that says what they are.

Three steps with plain values between them, so that other work on bundles (images) can follow any of them:
``wanted`` -> ``build`` -> ``settled``; ``strict`` stands in for the last two where nothing may be another than locked.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from firstlight.build.lock.comparing import asked, differences, tools, unasked
from firstlight.build.lock.types import Lock
from firstlight.build.lock.wanted import Wanted
from firstlight.build.lock.writing import named
from firstlight.build.types import Made, Progress, Wish
from firstlight.runtime.errors import BundleError, FirstlightError, ProjectError

ADDED, CHANGED, SAME, OTHER = "added", "changed", "as locked", "not as locked"


@dataclass(frozen=True, slots=True)
class Built:
    """A bundle that was made, or was there.

    Attributes:
        wanted: what for.
        made: the bundle.
        state: ``added`` where the lock had no entry, ``changed`` where firstlight.toml asks for something else by now,
            ``as locked``, or ``not as locked`` where it asks for the same and something else came of it.
        changes: against the lock's entry, a sentence each.
    """

    wanted: Wanted
    made: Made
    state: str
    changes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Problem:
    """Something that is not as locked.

    Attributes:
        endpoint: its name.
        stage: None in the plain project.
        found: one sentence.
    """

    endpoint: str
    stage: str | None
    found: str


def build(everything: Iterable[Wanted], root: Path, lock: Lock, progress: Progress) -> list[Built]:
    """Make the bundles that are not there yet, as locked where the lock knows what firstlight.toml asks for.

    Raises:
        FirstlightError: a model cannot be resolved.
    """
    return [_built(one, root, lock.entry(one.name, one.stage), progress) for one in everything]


def settled(lock: Lock, built: Iterable[Built], dropped: Iterable[tuple[str, str | None]] = ()) -> Lock:
    """The lock with entries for what was added or changed; entries of what is not as locked stay as they are.

    Args:
        dropped: names and stages whose entries are taken out; see ``gone``.
    """
    for one in built:
        if one.state in (ADDED, CHANGED):
            lock = lock.with_endpoint(one.wanted.name, one.made, one.wanted.stage)
    for name, stage in dropped:
        lock = lock.without(name, stage)
    return lock


def gone(lock: Lock, everything: Iterable[Wanted]) -> list[tuple[str, str | None]]:
    """Endpoints and stages of entries that the project does not want (any more)."""
    kept = {(one.name, one.stage) for one in everything}
    entries: list[tuple[str, str | None]] = [(name, None) for name in sorted(lock.endpoints)]
    entries += [(name, stage) for stage, inner in sorted(lock.stages.items()) for name in sorted(inner)]
    return [entry for entry in entries if entry not in kept]


def strict(
    some: Iterable[Wanted], root: Path, lock: Lock, progress: Progress
) -> tuple[list[Built], list[Problem]]:
    """Make the bundles exactly as locked.

    Returns:
        the bundles, and all that is not as locked: between firstlight.toml and the lock, the lock and the model's
        files, and in what came of them. Tools of other versions are named where they made another bundle.
    """
    built, problems = [], []
    for one in some:
        entry = lock.entry(one.name, one.stage)
        said = ["not in firstlight.lock"] if entry is None else unasked(entry, one.wish)
        if entry is not None and not said:
            try:
                made = _checked(one, root, entry, progress)
                built.append(Built(one, made, SAME))
                said = _strictly(entry, made)
            except FirstlightError as error:
                said = [error.message]
        problems += [Problem(one.name, one.stage, sentence) for sentence in said]
    return built, problems


def _strictly(entry: Made, made: Made) -> list[str]:
    """Differences; versions of tools count only where the bundle is another one."""
    found = differences(entry, made)
    return [line for line in found if entry.digest != made.digest or line not in tools(entry, made)]


def _built(one: Wanted, root: Path, entry: Made | None, progress: Progress) -> Built:
    if entry is None:
        return Built(one, _checked(one, root, None, progress), ADDED)
    if unasked(entry, one.wish):
        made = _checked(one, root, None, progress, commit=_commit(entry, one.wish))
        return Built(one, made, CHANGED, tuple(differences(entry, made)))
    made = _checked(one, root, entry, progress)
    changes = tuple(_strictly(entry, made))
    return Built(one, made, OTHER if changes else SAME, changes)


def _checked(
    one: Wanted, root: Path, entry: Made | None, progress: Progress, commit: str | None = None
) -> Made:
    """A bundle whose files are those that its bundle.json lists; one of the cache that was damaged is made again."""
    from firstlight.build import kept, resolve
    from firstlight.runtime.bundle import Bundle

    wish = at(one.wish, commit) if commit else one.wish
    made = resolve.make(wish, root, entry, progress)
    try:
        Bundle.open(made.place, verify="first")
    except BundleError as error:
        if made.place.parent != kept.cache():
            raise
        progress.say(f"{one.shown}: {error.message}; it is made again")
        shutil.rmtree(made.place, ignore_errors=True)
        made = resolve.make(wish, root, entry, progress)
        Bundle.open(made.place, verify="first")
    return replace(made, model=one.wish.model, asked=asked(one.wish))


def at(wish: Wish, revision: str) -> Wish:
    """A wish for a repository of the hub at another revision than it names."""
    from firstlight.build import hub

    name = hub.parse(wish.model)
    file = f"/{name.file}" if name.file else ""
    return replace(wish, model=f"hf:{name.repository}{file}@{revision}")


def _commit(entry: Made, wish: Wish) -> str | None:
    """The locked commit, where firstlight.toml asks for the same repository with other settings."""
    return entry.revision if named(entry.model) == named(wish.model) else None


@dataclass(frozen=True, slots=True)
class Moved:
    """An entry that was resolved anew.

    Attributes:
        wanted: what for.
        before: the entry as it was; None where there was none.
        made: the bundle.
        changes: a sentence each; empty where nothing is new.
        parity: what was measured of the bundle, and of the one before where this machine has it, by name.
    """

    wanted: Wanted
    before: Made | None
    made: Made
    changes: tuple[str, ...]
    parity: dict[str, tuple[Any, Any]]


def move(one: Wanted, root: Path, lock: Lock, revision: str | None, progress: Progress) -> Moved:
    """Resolve an endpoint as if the lock had no entry for it.

    Args:
        revision: branch, tag or commit instead of the newest; None takes what firstlight.toml says.

    Raises:
        ProjectError: firstlight.toml names another revision, or the model is not one of the hub.
        FirstlightError: the model cannot be resolved.
    """
    from firstlight.build.lock.checking import bundle_of
    from firstlight.runtime.bundle import Bundle

    if revision is not None:
        _movable(one, root)
    before = lock.entry(one.name, one.stage)
    made = _checked(one, root, None, progress, commit=revision)
    changes = [] if before is None else differences(before, made)
    former = None if before is None else bundle_of(before, one.wish.model, root)
    parity = Bundle.open(made.place).parity
    old = {} if former is None else Bundle.open(former).parity
    figures = {
        key: (old.get(key), parity.get(key)) for key in (*old, *(key for key in parity if key not in old))
    }
    return Moved(one, before, made, tuple(changes), figures)


def _movable(one: Wanted, root: Path) -> None:
    """Raise unless firstlight.toml leaves the revision of a repository open."""
    from firstlight.build import hub

    model = one.wish.model
    if model.startswith("starter:") or (root / Path(model).expanduser()).exists():
        hint = "leave --to out to take the files as they are now"
        raise ProjectError(f"{one.name}: {model} has no revisions", hint)
    asked_for = hub.parse(model).revision
    if asked_for is not None:
        hint = "change it there, or take it out there, and run this again"
        raise ProjectError(f"{one.name}: firstlight.toml asks for revision {asked_for!r}", hint)
