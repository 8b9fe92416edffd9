"""A repository of the hub as a form that can be converted: looked at, chosen from, fetched."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import PurePosixPath

from firstlight.build import folders
from firstlight.build.forms import Form, of_artefact
from firstlight.build.types import Artefact, Card, Made, Name, Progress, Repository, Silent, Wish
from firstlight.runtime.errors import ProjectError


def form(wish: Wish, locked: Made | None, progress: Progress) -> Form:
    """What of a repository is taken, fetched into the hub's cache.

    Args:
        wish: its model names the repository.
        locked: the lock's entry; its commit, files and converter are taken.
        progress: is told what is downloaded.

    Raises:
        ProjectError: the repository or a file of it cannot be had.
        ConversionError: nothing in it can be served, or only with a permission that was not given.
    """
    from firstlight.build import hub

    name = hub.parse(wish.model)
    repository, artefact = chosen(wish, name, locked)
    snapshot = hub.fetch(repository, artefact.files, progress)
    source = {"repo": repository.name, "revision": repository.revision}
    if name.file:
        source["file"] = name.file
    found = of_artefact(
        artefact,
        snapshot,
        repository.card,
        name=repository.name.rpartition("/")[2],
        source=source,
        hashes=_hashes(repository, artefact.files),
        single=name.file is not None,
    )
    if locked is None:
        return found
    licence = {"licence": locked.licence} if locked.licence else {}
    return replace(found, converter=locked.converter or found.converter, source={**found.source, **licence})


def chosen(wish: Wish, name: Name, locked: Made | None = None) -> tuple[Repository, Artefact]:
    """The repository at one commit, and what of it is taken; of its weights nothing is fetched yet."""
    from firstlight.build import choice, hub

    if locked is not None and locked.revision:
        card = Card(licence=locked.licence, task=locked.task)
        repository = hub.locked(name.repository, locked.revision, locked.files, card)
    else:
        repository = hub.look(name)
    sizes = {path: file.size for path, file in repository.files.items()}
    if name.file is not None:
        sizes = _one_model(sizes, name.file, repository)
    return repository, choice.choose(sizes, _reader(repository), repository.card, wish)


def _one_model(sizes: dict[str, int], file: str, repository: Repository) -> dict[str, int]:
    """The files of a repository without the weights of other models than the one that is named."""
    if file not in sizes:
        kind = PurePosixPath(file).suffix
        others = [path for path in sorted(sizes) if path.endswith(kind)] if kind else []
        hint = f"its {kind} files: {', '.join(others[:20])}"
        raise ProjectError(
            f"{repository.name} has no file {file}",
            hint if others else "check the name on the page of its files",
        )
    return folders.one_model(sizes, file)


def _reader(repository: Repository) -> Callable[[str], bytes | None]:
    def read(path: str) -> bytes | None:
        from firstlight.build import hub

        if path not in repository.files:
            return None
        return (hub.fetch(repository, [path], Silent()) / path).read_bytes()

    return read


def _hashes(repository: Repository, paths: Iterable[str]) -> dict[str, str]:
    found = {}
    for path in paths:
        if (sha256 := repository.files[path].sha256) is not None:
            found[path] = sha256
    return found
