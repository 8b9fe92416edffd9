"""Whether what a lock file says is so: at the hub, in the caches of this machine, and in the bundle."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from firstlight.build.lock.wanted import Wanted
from firstlight.build.types import Made, Name, Repository, RepositoryFile, SourceFile
from firstlight.runtime.bundle import Bundle
from firstlight.runtime.errors import BundleError, EndpointNotFound, FirstlightError

HUB, CACHE, BUNDLE = "hub", "cache", "bundle"


@dataclass(frozen=True, slots=True)
class Checked:
    """One of the three places an entry was compared with.

    Attributes:
        place: ``hub``, ``cache`` or ``bundle``.
        compared: files that were.
        problems: a sentence each.
        skipped: why nothing, or not everything, was compared; empty where all was.
    """

    place: str
    compared: int
    problems: tuple[str, ...] = ()
    skipped: str = ""


def check(one: Wanted, made: Made, root: Path, offline: bool) -> list[Checked]:
    """Compare an entry with the hub, the files its bundle was made of, and the bundle.

    Args:
        made: the entry.
        root: folder of the project.
        offline: leave the hub out.
    """
    files = _files(one, made, root)
    found = [_sources(made, files), _bundle(made, bundle_of(made, one.wish.model, root))]
    return [_hub(one, made, files, offline), *found] if made.revision else found


def bundle_of(made: Made, model: str, root: Path) -> Path | None:
    """The folder of a locked bundle on this machine; None where it is not there.

    Args:
        model: as firstlight.toml names it.
    """
    from firstlight import starters
    from firstlight.build import kept

    if model.startswith("starter:"):
        try:
            return starters.path(model.removeprefix("starter:"))
        except EndpointNotFound:
            return None
    place = root / Path(model).expanduser()
    if (place / "bundle.json").is_file():
        return place
    for file in sorted(kept.cache().glob("*.made.json")):
        folder = file.with_name(file.name.removesuffix(".made.json"))
        known = kept.remembered(folder)
        if known is not None and known.digest == made.digest and folder.is_dir():
            return folder
    return None


def _bundle(made: Made, place: Path | None) -> Checked:
    if place is None:
        return Checked(BUNDLE, 0, skipped="it is not on this machine; `firstlight build` makes it")
    problems = []
    try:
        bundle = Bundle.open(place)
        if bundle.digest != made.digest:
            problems.append(f"its digest is {bundle.digest[:12]}, not {made.digest[:12]}: {place}")
        for name in bundle.files:
            try:
                bundle.check_hashes([name])
            except BundleError as error:
                problems.append(error.message)
    except BundleError as error:
        return Checked(BUNDLE, 0, (error.message,))
    return Checked(BUNDLE, len(bundle.files), tuple(problems))


def _files(one: Wanted, made: Made, root: Path) -> Callable[[str], Path | None]:
    """Where the files an entry was made of lie on this machine."""
    if made.revision:
        from firstlight.build import hub

        name, revision = hub.parse(one.wish.model).repository, made.revision
        return lambda path: hub.cached(name, revision, path)
    place = root / Path(one.wish.model).expanduser()
    folder = place if place.is_dir() else place.parent
    return lambda path: folder / path if (folder / path).is_file() else None


def _sources(made: Made, place_of: Callable[[str], Path | None]) -> Checked:
    problems: list[str] = []
    compared = missing = 0
    for file in made.files:
        place = place_of(file.path)
        if place is None:
            missing += 1
            continue
        compared += 1
        problems += _content(file, place)
    skipped = f"{missing} of {len(made.files)} files are not on this machine" if missing else ""
    if not made.files:
        skipped = "it was a bundle already"
    return Checked(CACHE, compared, tuple(problems), skipped)


def sha256(place: Path) -> str:
    """Of a file, hex."""
    with place.open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()


def _content(file: SourceFile, place: Path) -> Iterator[str]:
    try:
        size = place.stat().st_size
        if size != file.size:
            yield f"{file.path} has {size:,} bytes, not {file.size:,}: {place}"
            return
        found = sha256(place)
    except OSError as error:
        yield f"{file.path} cannot be read ({error.strerror}): {place}"
        return
    if found != file.sha256:
        yield f"{file.path} has SHA-256 {found[:12]}, not {file.sha256[:12]}: {place}"


def _hub(one: Wanted, made: Made, place_of: Callable[[str], Path | None], offline: bool) -> Checked:
    from firstlight.build import hub

    if offline:
        return Checked(HUB, 0, skipped="not asked, as --offline says")
    try:
        repository = hub.listed(Name(hub.parse(one.wish.model).repository, made.revision))
    except FirstlightError as error:
        return Checked(HUB, 0, (error.message,))
    if repository is None:
        return Checked(HUB, 0, skipped="not asked: this machine is offline")
    return _listed(made, repository, place_of)


def _listed(made: Made, repository: Repository, place_of: Callable[[str], Path | None]) -> Checked:
    problems, compared, unknown = [], 0, 0
    if repository.revision != made.revision:
        problems.append(f"{repository.name} answers with commit {repository.revision[:12]}")
    for file in made.files:
        listed = repository.files.get(file.path)
        if listed is None:
            problems.append(f"{file.path} is no longer in {repository.name} at this commit")
            continue
        same = _same(file, listed, place_of(file.path))
        if same is None:
            unknown += 1
            continue
        compared += 1
        if not same:
            problems.append(f"{file.path} is another file in {repository.name} at this commit")
    skipped = f"{unknown} of {len(made.files)} files only by their sizes" if unknown else ""
    return Checked(HUB, compared, tuple(problems), skipped)


def _same(file: SourceFile, listed: RepositoryFile, place: Path | None) -> bool | None:
    """Whether the hub lists a file of the lock; None where only the sizes could be compared.

    Of small files the hub says git's own hash, which the lock does not have: the file in the cache tells, where it is
    the one the lock says.
    """
    if listed.size != file.size:
        return False
    if listed.sha256 is not None:
        return listed.sha256 == file.sha256
    if listed.git is None or place is None:
        return None
    content = place.read_bytes()
    if hashlib.sha256(content).hexdigest() != file.sha256:
        return None
    head = f"blob {len(content)}\0".encode()
    return hashlib.sha1(head + content, usedforsecurity=False).hexdigest() == listed.git
