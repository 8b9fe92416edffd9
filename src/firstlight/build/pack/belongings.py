"""The files of a project that go into the function of one of its scripts, and those that never do."""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Iterable, Iterator
from pathlib import Path

from firstlight import project as projects
from firstlight.build.pack.types import File
from firstlight.build.types import Progress
from firstlight.project import Endpoint, Project
from firstlight.runtime.errors import ProjectError

MOST_FILES = 20_000
MOST_BYTES = 10 << 30
"""An image has 10 GB at most."""
EXPORTED = ".firstlight-export"
"""A file in folders that `firstlight export` wrote; they are for other tools."""
_NOT_CODE = frozenset({"__pycache__", "node_modules", "site-packages"})
_NOT_PACKED = frozenset({projects.FILE, "firstlight.lock"})
"""The project file may hold secrets (``env``); its settings are the template's."""
_LEFT_OUT = re.compile(r".*\.(pyc|pyo|egg-info)$")
_PRIVATE = re.compile(r"id_(rsa|dsa|ecdsa|ed25519).*|.*\.(key|p12|pem|pfx|kdbx)|credentials(\.json|\.csv)?")
"""Names of files that are private on purpose."""


def files(project: Project, endpoint: Endpoint, shown: Progress) -> tuple[File, ...]:
    """The files of a script's function: the project's folder but for what is hidden, private or another endpoint's.

    Left out are names that begin with a dot (``.env``, ``.git``, ``.venv``), virtual environments, what was exported,
    what Python compiled, the folder of records, keys and certificates, firstlight.toml and firstlight.lock, scripts of
    other endpoints, and models of other endpoints that this script does not name. Links are followed to files of the
    project.

    Args:
        shown: is told what is left out and might be missed.

    Raises:
        ProjectError: a file cannot be read, or they are too many or too large.
    """
    root = Path(os.path.realpath(project.root or Path.cwd()))
    without = _others(project, endpoint, root)
    found: list[File] = []
    size = 0
    for path, status in _walk(root, without, shown):
        found.append(
            File(path.relative_to(root).as_posix(), path, status.st_size, bool(status.st_mode & 0o100))
        )
        size += status.st_size
        if len(found) > MOST_FILES or size > MOST_BYTES:
            what = f"{MOST_FILES:,} files" if len(found) > MOST_FILES else "10 GB"
            hint = f"keep only what the scripts need in the project; {largest(found)} has most of it"
            raise ProjectError(f"{root} has more than {what}, too much for a function", hint)
    return tuple(sorted(found, key=lambda file: file.path))


def _others(project: Project, endpoint: Endpoint, root: Path) -> set[str]:
    """Real paths of what belongs to other endpoints, and of the folder of records."""
    found = {os.path.realpath(project.data_dir)}
    text = ""
    if endpoint.script is not None:
        try:
            text = endpoint.script.read_text(encoding="utf-8", errors="replace")
        except OSError as error:
            hint = "check its path and permissions"
            raise ProjectError(f"{endpoint.script} cannot be read: {error.strerror}", hint) from error
    for other in project.endpoints.values():
        if other.script is not None and other.script != endpoint.script:
            found.add(os.path.realpath(other.script))
        elif other.model and ":" not in other.model and Path(other.model).name not in text:
            place = os.path.realpath(root / Path(other.model).expanduser())
            found |= {place} if place != str(root) else set()
    return found


def _walk(root: Path, without: set[str], shown: Progress) -> Iterator[tuple[Path, os.stat_result]]:
    waiting = [str(root)]
    while waiting:
        for entry in _entries(waiting.pop()):
            if os.path.realpath(entry.path) in without or not _is_taken(entry, shown, root):
                continue
            if entry.is_dir(follow_symlinks=False):
                if not any((Path(entry.path) / mark).is_file() for mark in ("pyvenv.cfg", EXPORTED)):
                    waiting.append(entry.path)
                continue
            status = _status(entry, root, shown)
            if status is not None:
                yield Path(entry.path), status


def _entries(folder: str) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as entries:
            return sorted(entries, key=lambda entry: entry.name)
    except OSError as error:
        hint = "let yourself read it, or move it out of the project"
        raise ProjectError(f"{folder} cannot be read: {error.strerror}", hint) from error


def _is_taken(entry: os.DirEntry[str], shown: Progress, root: Path) -> bool:
    name = entry.name
    if name.startswith(".") or name in _NOT_CODE or _LEFT_OUT.fullmatch(name):
        return False
    if name in _NOT_PACKED and Path(entry.path).parent == root:
        return False
    if _PRIVATE.fullmatch(name) and entry.is_file():
        shown.say(f"{_relative(entry, root)} looks like a secret and is not packed")
        return False
    if not name.isprintable() or "\\" in name:
        shown.say(f"{_relative(entry, root)!a} has a name that archives cannot hold, and is not packed")
        return False
    return True


def _status(entry: os.DirEntry[str], root: Path, shown: Progress) -> os.stat_result | None:
    """What is known of a file that is packed; None for one that is not."""
    if entry.is_symlink():
        place = Path(os.path.realpath(entry.path))
        if not place.is_file() or not place.is_relative_to(root) or _is_hidden(place.relative_to(root)):
            shown.say(
                f"{_relative(entry, root)} is a link out of the project, or to a folder, and is not packed"
            )
            return None
    status = entry.stat()
    if not stat.S_ISREG(status.st_mode):
        return None
    if not os.access(entry.path, os.R_OK):
        hint = "let yourself read it, or move it out of the project"
        raise ProjectError(f"{_relative(entry, root)} cannot be read", hint)
    return status


def _is_hidden(path: Path) -> bool:
    return (
        any(part.startswith(".") or _PRIVATE.fullmatch(part) for part in path.parts)
        or path.name in _NOT_PACKED
    )


def _relative(entry: os.DirEntry[str], root: Path) -> str:
    return Path(entry.path).relative_to(root).as_posix()


def largest(files: Iterable[File]) -> str:
    """The folder, or file, at the top of a project that has most bytes."""
    sizes: dict[str, int] = {}
    for file in files:
        top = file.path.partition("/")[0]
        sizes[top] = sizes.get(top, 0) + file.size
    return max(sizes, key=lambda top: sizes[top])
