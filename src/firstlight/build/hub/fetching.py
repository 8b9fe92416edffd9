"""Files of a repository into the hub's cache, a few at once."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path
from threading import Event

from firstlight.build.hub import download, memory, names, refusals, settings
from firstlight.build.hub.cache import Shelf
from firstlight.build.hub.content import expected
from firstlight.build.types import Progress, Repository, RepositoryFile, Silent
from firstlight.runtime.errors import ProjectError

_AT_ONCE = 4


def fetch(repository: Repository, paths: Iterable[str], progress: Progress | None = None) -> Path:
    """Files of a repository, fetched unless this machine has them.

    Args:
        repository: as ``look`` or ``locked`` gave it.
        paths: of the files.
        progress: is told of the bytes that are fetched, in a stage of its own; of nothing where all files are here.

    Returns:
        the folder in the hub's cache that holds them, each under its path.

    Raises:
        ProjectError: a file cannot be had, there is no room for it, or it is not what the repository says it is.
    """
    here = settings.now()
    files = [_wanted(repository, path) for path in dict.fromkeys(paths)]
    shelf = Shelf(here, repository.name)
    snapshot = shelf.snapshot(repository.revision)
    missing = [file for file in files if not (snapshot / file.path).exists()]
    unchecked = [
        file
        for file in files
        if file not in missing and not memory.verified(snapshot / file.path, expected(file))
    ]
    to_come = {file.path: download.left(shelf, file) for file in missing}
    if needed := sum(to_come.values()):
        if here.offline:
            first = next(path for path, left in to_come.items() if left)
            raise refusals.offline(f"{repository.name}/{first}")
        _check_room(needed, repository.name, here.cache)
        if progress:
            progress.stage(f"downloading {repository.name}", needed)
    work = download.Download(shelf, repository, progress or Silent(), Event())
    tasks: list[Callable[[], None]] = [lambda file=file: work.check(file) for file in unchecked]  # type: ignore[misc]
    tasks += [
        lambda file=file: work.bring(file, to_come[file.path])  # type: ignore[misc]
        for file in sorted(missing, key=lambda file: -to_come[file.path])
    ]
    _all(tasks, work.stop)
    shelf.keep_revisions(repository.revision)
    return snapshot


def _wanted(repository: Repository, path: str) -> RepositoryFile:
    names.parse(repository.name)
    if not names.is_commit(repository.revision):
        raise ProjectError(f"{repository.revision!r} is not the id of a commit", "a commit has 40 hex digits")
    if not names.is_path(path):
        raise ProjectError(
            f"{repository.name} lists {path!r}, which is not a path inside it", "take another model"
        )
    if path not in repository.files:
        raise ProjectError(f"{repository.name} has no file {path}", "check the name on the page of its files")
    return repository.files[path]


def _check_room(needed: int, name: str, cache: Path) -> None:
    """There has to be room for all of it before any of it is fetched."""
    there = next(place for place in (cache, *cache.parents) if place.is_dir())
    free = shutil.disk_usage(there).free
    if free < needed:
        message = (
            f"{name} needs {needed / 1e6:.0f} MB more, and the disk of {cache} has {free / 1e6:.0f} MB left"
        )
        raise ProjectError(message, "make room, or set HF_HUB_CACHE to a larger disk")


def _all(tasks: list[Callable[[], None]], stop: Event) -> None:
    """Do all of it, or stop all of it where one fails."""
    if len(tasks) <= 1:
        for task in tasks:
            task()
        return
    pool = ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="download")
    try:
        for future in as_completed([pool.submit(task) for task in tasks]):
            future.result()
    finally:
        stop.set()
        pool.shutdown(cancel_futures=True)
