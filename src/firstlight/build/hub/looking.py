"""What the hub says about a repository at one commit: its files with their sizes and hashes, its card."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from firstlight.build.hub import cache, memory, refusals, settings, wire
from firstlight.build.hub.names import is_commit, is_path
from firstlight.build.types import Card, Name, Repository, RepositoryFile, SourceFile
from firstlight.runtime.errors import ProjectError

_ATTEMPTS = 4


def look(name: Name) -> Repository:
    """A repository as the hub has it; as this machine knows it where the hub must not or cannot be asked.

    Args:
        name: the repository and the revision; main where none is said.

    Raises:
        ProjectError: there is no such repository or revision, it may not be read, the hub cannot be reached and
            nothing is known of the repository, or its files changed under a commit that was looked at before.
    """
    here = settings.now()
    known = cache.remembered(here, name.repository, name.revision)
    if here.offline:
        if known is None:
            raise refusals.offline(f"{name.repository}{f'@{name.revision}' if name.revision else ''}")
        return known
    try:
        found = _asked(name, here, _ATTEMPTS if known is None else 1)
    except _Unreached as error:
        if known is None:
            raise error.explained from error
        return known
    earlier = memory.listing(found.name, found.revision)
    if earlier is not None:
        _check_unchanged(earlier, found, here.endpoint)
    memory.keep(found, name.revision)
    return found


def locked(name: str, revision: str, files: Iterable[SourceFile], card: Card | None = None) -> Repository:
    """A repository as a lock file has it; nobody is asked.

    Args:
        name: ``owner/name``.
        revision: the commit.
        files: those that are locked; others do not exist for who asks the repository.
        card: what the lock says of licence and task.
    """
    known = memory.listing(name, revision)
    listed = {}
    for file in files:
        former = known.files.get(file.path) if known else None
        git = former.git if former and former.size == file.size else None
        listed[file.path] = RepositoryFile(file.path, file.size, file.sha256, git)
    return Repository(name, revision, listed, card or (known.card if known else Card()))


def listed(name: Name) -> Repository | None:
    """A repository as the hub lists it now, whatever this machine knows of it; None where the hub cannot be asked.

    Raises:
        ProjectError: there is no such repository or revision (any more), or it may not be read.
    """
    here = settings.now()
    if here.offline:
        return None
    try:
        return _asked(name, here, 1)
    except _Unreached:
        return None


class _Unreached(Exception):
    """The hub cannot be reached, or is in trouble."""

    def __init__(self, explained: ProjectError) -> None:
        super().__init__(explained.message)
        self.explained = explained


def _asked(name: Name, here: settings.Settings, attempts: int) -> Repository:
    with refusals.explained(name, here):
        api = wire.api(here)
        try:
            info = wire.patiently(lambda: _info(api, name, here), attempts)
            return _repository(api, name.repository, info)
        except Exception as error:
            if wire.is_passing(error):
                raise _Unreached(refusals.unreached(error, name, here)) from error
            if wire.is_nonsense(error):
                raise refusals.no_hub(here.endpoint) from error
            raise


def _info(api: Any, name: Name, here: settings.Settings) -> Any:
    return api.model_info(
        name.repository, revision=name.revision, files_metadata=True, timeout=here.timeout_s
    )


def _repository(api: Any, name: str, info: Any) -> Repository:
    if not is_commit(info.sha):
        raise ValueError("no commit")
    files = [_sibling(each) for each in info.siblings or []]
    if any(file is None for file in files):  # a mirror that leaves sizes out
        files = [
            _entry(each)
            for each in api.list_repo_tree(name, recursive=True, revision=info.sha)
            if hasattr(each, "size")
        ]
    listed = {file.path: file for file in files if file is not None and is_path(file.path)}
    card = cache.card_of(info.card_data, info.pipeline_tag, info.library_name)
    tags = tuple(info.tags or ()) or card.tags
    licences = [tag.partition(":")[2] for tag in tags if tag.startswith("license:")]
    licence = card.licence or (licences[0] if licences else None)
    return Repository(name, info.sha, listed, replace(card, tags=tags, licence=licence), bool(info.gated))


def _sibling(said: Any) -> RepositoryFile | None:
    if said.lfs is not None:
        return RepositoryFile(said.rfilename, int(said.lfs.size), sha256=said.lfs.sha256)
    if said.size is None or said.blob_id is None:
        return None
    return RepositoryFile(said.rfilename, int(said.size), git=said.blob_id)


def _entry(said: Any) -> RepositoryFile:
    if said.lfs is not None:
        return RepositoryFile(said.path, int(said.lfs.size), sha256=said.lfs.sha256)
    return RepositoryFile(said.path, int(said.size), git=said.blob_id)


def _check_unchanged(earlier: Repository, found: Repository, place: str) -> None:
    """A commit is what it is, so a hub that says something else about it is not to be trusted."""
    for path, file in earlier.files.items():
        now = found.files.get(path)
        if now is not None and (now.sha256, now.git) != (file.sha256, file.git):
            raise refusals.changed(found, path, file.sha256 or file.git, now.sha256 or now.git, place)
