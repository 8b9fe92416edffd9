"""The traced caches of a script (``firstlight trace``) as files of its function."""

from __future__ import annotations

import hashlib
import os
import shutil
import tarfile
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from firstlight.build.pack.slices import CACHES, absolute
from firstlight.build.pack.types import File
from firstlight.project import Project
from firstlight.runtime.errors import ProjectError

if TYPE_CHECKING:
    from firstlight.build.lock.types import Caches

_LAYER = "{layer}"


def variables(caches: Caches) -> dict[str, str]:
    """The variables that lead a script's libraries to its caches, in the function."""
    return {name: value.replace(_LAYER, absolute(CACHES)) for name, value in sorted(caches.variables.items())}


def files(caches: Caches, project: Project) -> tuple[File, ...]:
    """The files of a layer.

    Raises:
        ProjectError: the layer is not on this machine, or not what the lock file says.
    """
    if _LAYER not in "".join(caches.variables.values()):
        return ()
    tar = project.data_dir / "layers" / f"{caches.layer}.tar"
    folder = _cache() / caches.layer
    if tar.is_file() and folder.is_dir() and not _is_whole(tar, folder):
        shutil.rmtree(folder, ignore_errors=True)
    if not folder.is_dir():
        _unpack(tar, caches.layer, folder)
    found = []
    for file in sorted(folder.rglob("*")):
        if file.is_file():
            status = file.stat()
            path = f"{CACHES}/{file.relative_to(folder).as_posix()}"
            found.append(File(path, file, status.st_size, bool(status.st_mode & 0o100)))
    return tuple(sorted(found, key=lambda file: file.path))


def _cache() -> Path:
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "firstlight" / "layers"


def _is_whole(tar: Path, folder: Path) -> bool:
    """Whether what was unpacked once has the files of the layer, and no others, in their sizes."""
    try:
        with tarfile.open(tar, "r:") as archive:
            packed = {member.name: member.size for member in archive if member.isreg()}
    except (OSError, tarfile.TarError):
        return False
    there = {
        file.relative_to(folder).as_posix(): file.stat().st_size
        for file in folder.rglob("*")
        if file.is_file()
    }
    return packed == there


def _unpack(tar: Path, digest: str, folder: Path) -> None:
    """Unpack a layer to the cache, whole or not at all."""
    hint = f"run `firstlight trace` again, or copy {tar.name} to {tar.parent}"
    try:
        with tar.open("rb") as opened:
            found = hashlib.file_digest(opened, "sha256").hexdigest()
    except OSError as error:
        raise ProjectError(f"the traced layer {digest[:12]} is not on this machine", hint) from error
    if found != digest:
        raise ProjectError(f"{tar.name} is not what its name says: its SHA-256 is another", hint)
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        draft = Path(tempfile.mkdtemp(dir=folder.parent, prefix=".new-"))
        try:
            with tarfile.open(tar, "r:") as archive:
                for member in archive:
                    _member(archive, member, draft)
            if not folder.is_dir():
                draft.rename(folder)
        finally:
            shutil.rmtree(draft, ignore_errors=True)
    except (OSError, tarfile.TarError) as error:
        raise ProjectError(f"the traced layer {digest[:12]} cannot be unpacked: {error}", hint) from error


def _member(archive: tarfile.TarFile, member: tarfile.TarInfo, draft: Path) -> None:
    parts = member.name.split("/")
    if {"", ".", ".."} & {*parts} or not (member.isreg() or member.isdir()):
        raise tarfile.ReadError(f"it holds {member.name!r:.80}")
    place = draft.joinpath(*parts)
    content = archive.extractfile(member) if member.isreg() else None
    if content is None:
        place.mkdir(parents=True, exist_ok=True)
        return
    place.parent.mkdir(parents=True, exist_ok=True)
    with content, place.open("xb") as out:
        shutil.copyfileobj(content, out, 1 << 20)
    place.chmod(0o755 if member.mode & 0o100 else 0o644)
