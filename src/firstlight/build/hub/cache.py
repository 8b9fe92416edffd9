"""The hub's cache as huggingface_hub lays it out, so that every tool finds in it what another has fetched.

``models--owner--name/blobs/<etag>`` holds content, ``snapshots/<commit>/<path>`` links to it, ``refs/<branch>`` says
what a branch was; ``.locks/models--owner--name/<etag>.lock`` is held by whoever fetches.
https://huggingface.co/docs/huggingface_hub/guides/manage-cache
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from threading import Event
from typing import Any

from firstlight.build.hub import memory
from firstlight.build.hub.names import is_commit, is_path
from firstlight.build.hub.settings import Settings
from firstlight.build.hub.settings import now as settings_now
from firstlight.build.hub.wire import Stopped
from firstlight.build.types import Card, Repository, RepositoryFile

_LOOK_S = 0.2
_ETAG = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
class Shelf:
    """One repository's part of the cache.

    Args:
        settings: where the cache is.
        name: ``owner/name``.
    """

    settings: Settings
    name: str

    @property
    def folder(self) -> Path:
        """All there is of the repository."""
        return self.settings.cache / f"models--{self.name.replace('/', '--')}"

    def snapshot(self, commit: str) -> Path:
        """The folder of the files of a commit."""
        return self.folder / "snapshots" / commit

    def blob(self, etag: str) -> Path:
        """A content."""
        return self.folder / "blobs" / etag

    def partial(self, etag: str) -> Path:
        """The beginning of a content, under the name that version 0.x of the library uses as well."""
        return self.folder / "blobs" / f"{etag}.incomplete"

    @contextmanager
    def alone(self, etag: str, stop: Event, waiting: Callable[[], None]) -> Iterator[None]:
        """Nobody else fetches this content meanwhile, on this machine.

        Args:
            stop: ends the wait with Stopped.
            waiting: is called when somebody else is at it.
        """
        file_lock: Any = import_module("huggingface_hub.utils").WeakFileLock
        lock = self.settings.cache / ".locks" / self.folder.name / f"{etag}.lock"
        lock.parent.mkdir(parents=True, exist_ok=True)
        with ExitStack() as held:
            said = False
            while True:
                try:
                    held.enter_context(file_lock(lock, timeout=_LOOK_S))
                    break
                except TimeoutError:
                    if stop.is_set():
                        raise Stopped from None
                    if not said:
                        waiting()
                    said = True
            yield

    def link(self, commit: str, path: str, etag: str) -> None:
        """Have a content be a file of a commit."""
        pointer, blob = self.snapshot(commit) / path, self.blob(etag)
        pointer.parent.mkdir(parents=True, exist_ok=True)
        if not self.settings.links:
            blob.replace(pointer)
            return
        target = os.path.relpath(blob, pointer.parent)
        with suppress(FileNotFoundError):
            if pointer.is_symlink() and pointer.readlink() == Path(target):
                return
            pointer.unlink()
        try:
            pointer.symlink_to(target)
        except FileExistsError:  # another process was faster
            return
        except OSError:  # a file system without links: the library puts the file itself there, too
            blob.replace(pointer)

    def remove(self, commit: str, path: str) -> None:
        """Take a file of a commit away, with its content."""
        pointer = self.snapshot(commit) / path
        places = [pointer.resolve()]
        if pointer.is_symlink():
            places.append(Path(os.path.normpath(pointer.parent / pointer.readlink())))
        pointer.unlink(missing_ok=True)
        for place in places:
            if {self.settings.cache, self.settings.cache.resolve()} & set(place.parents):
                place.unlink(missing_ok=True)

    def keep_revisions(self, commit: str) -> None:
        """Tell other tools which branches stand for a commit whose files are here now."""
        for revision, pointed in memory.revisions(self.name).items():
            place = self.folder / "refs" / revision
            if pointed != commit or not is_path(revision):
                continue
            with suppress(OSError):
                if place.is_file() and place.read_text(encoding="utf-8") == commit:
                    continue
                place.parent.mkdir(parents=True, exist_ok=True)
                partial = place.with_name(f".{place.name}.{os.getpid()}.tmp")
                partial.write_text(commit, encoding="utf-8")
                partial.replace(place)


def cached(name: str, commit: str, path: str) -> Path | None:
    """A file of a commit in the cache; None where it is not there."""
    place = Shelf(settings_now(), name).snapshot(commit) / path
    return place if place.is_file() else None


def remembered(settings: Settings, name: str, revision: str | None) -> Repository | None:
    """A repository as far as this machine knows it; None where it was never looked at and nothing of it is cached."""
    shelf = Shelf(settings, name)
    commit = revision if is_commit(revision) else _pointed(shelf, revision or "main")
    if commit is None:
        return None
    if (found := memory.listing(name, commit)) is not None:
        return found
    files = _listed(shelf, commit) or _linked(shelf.snapshot(commit))
    return Repository(name, commit, files, _card(shelf.snapshot(commit))) if files else None


def _pointed(shelf: Shelf, revision: str) -> str | None:
    """What a branch or tag was, by our own memory or by that of other tools."""
    if (known := memory.revisions(shelf.name).get(revision)) is not None:
        return known
    try:
        found = (
            (shelf.folder / "refs" / revision).read_text(encoding="utf-8").strip()
            if is_path(revision)
            else ""
        )
    except (OSError, ValueError):
        return None
    return found if is_commit(found) else None


def _listed(shelf: Shelf, commit: str) -> dict[str, RepositoryFile]:
    """The listing that ``snapshot_download`` of version 2 leaves in the cache."""
    try:
        content = json.loads((shelf.folder / "trees" / f"{commit}.json").read_text(encoding="utf-8"))
        files = content["files"] if content["format_version"] == 1 else {}
        return {
            path: RepositoryFile(path, entry["lfs_size"], entry["lfs_sha256"])
            if entry.get("lfs_sha256")
            else RepositoryFile(path, entry["size"], git=entry["blob_id"])
            for path, entry in files.items()
        }
    except (OSError, ValueError, LookupError, TypeError, AttributeError):
        return {}


def _linked(snapshot: Path) -> dict[str, RepositoryFile]:
    """The files of a commit that are cached; what they link to is named by their hash."""
    found = {}
    for place in sorted(snapshot.rglob("*")):
        if place.is_file():
            path, etag = (
                place.relative_to(snapshot).as_posix(),
                place.readlink().name if place.is_symlink() else "",
            )
            known = etag if _ETAG.fullmatch(etag) else None
            sha256, git = (known, None) if known and len(known) == 64 else (None, known)
            found[path] = RepositoryFile(path, place.stat().st_size, sha256, git)
    return found


def _card(snapshot: Path) -> Card:
    """What the README.md of a cached commit says."""
    try:
        from huggingface_hub import ModelCard

        return card_of(
            ModelCard((snapshot / "README.md").read_text(encoding="utf-8"), ignore_metadata_errors=True).data
        )
    except Exception:  # whatever may be in a README.md
        return Card()


def card_of(said: object, task: str | None = None, library: str | None = None) -> Card:
    """The card of a model from the head of its README.md as the library reads it.

    Args:
        said: the head.
        task, library: what the hub itself says instead.
    """
    licence = getattr(said, "license", None)
    if licence == "other":
        licence = getattr(said, "license_name", None) or licence
    if isinstance(licence, list):
        licence = ", ".join(str(each) for each in licence)
    tags = getattr(said, "tags", None)
    return Card(
        str(licence) if licence else None,
        task or getattr(said, "pipeline_tag", None),
        library or getattr(said, "library_name", None),
        tuple(str(tag) for tag in tags) if isinstance(tags, list) else (),
    )
