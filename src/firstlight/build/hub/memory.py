"""What is remembered about repositories: their files at a commit, what a branch pointed to, which files were verified.

It lies in ``$XDG_CACHE_HOME/firstlight``: listings in ``hub``, and in ``verified`` a stamp for each file, named by its
device and inode, that holds its state (size and time of change) and its hash. Where nothing can be written there,
nothing is remembered, and the hub is asked and the file hashed again.
"""

from __future__ import annotations

import json
import os
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from threading import get_ident
from typing import Any

from firstlight.build.hub import settings
from firstlight.build.hub.names import is_commit
from firstlight.build.types import Card, Repository, RepositoryFile


def keep(repository: Repository, revision: str | None) -> None:
    """Remember a repository as it was looked at.

    Args:
        revision: the branch or tag that was asked for; None is main.
    """
    content = asdict(repository)
    content["files"] = [asdict(file) for file in repository.files.values()]
    with suppress(OSError):
        _write(_listing(repository.name, repository.revision), json.dumps(content))
        if not is_commit(revision):
            known = revisions(repository.name) | {revision or "main": repository.revision}
            _write(_revisions(repository.name), json.dumps(known))


def revisions(name: str) -> dict[str, str]:
    """Branches and tags that were asked for, with the commit each was."""
    try:
        known = json.loads(_revisions(name).read_text(encoding="utf-8"))
        return {str(each): str(commit) for each, commit in known.items() if is_commit(commit)}
    except (OSError, ValueError, AttributeError):
        return {}


def listing(name: str, commit: str) -> Repository | None:
    """A repository as it was looked at earlier; None where it never was."""
    try:
        content: dict[str, Any] = json.loads(_listing(name, commit).read_text(encoding="utf-8"))
        files = {file["path"]: RepositoryFile(**file) for file in content.pop("files")}
        card = content.pop("card")
        card = Card(**card | {"tags": tuple(card["tags"])})
        return Repository(**content | {"files": files, "card": card})
    except (OSError, ValueError, LookupError, TypeError, AttributeError):
        return None


def verified(place: Path, expected: str) -> bool:
    """Whether a file is still the one that was found to have this hash."""
    try:
        found = place.stat()
        return _stamp(found).read_text(encoding="utf-8") == _state(found, expected)
    except (OSError, ValueError):
        return False


def keep_verified(place: Path, expected: str) -> None:
    """Remember that a file has this hash."""
    with suppress(OSError):
        found = place.stat()
        _write(_stamp(found), _state(found, expected))


def _state(found: os.stat_result, expected: str) -> str:
    return f"{found.st_size} {found.st_mtime_ns} {found.st_ino} {expected}"


def _stamp(found: os.stat_result) -> Path:
    return settings.own_cache() / "verified" / f"hub-{found.st_dev:x}-{found.st_ino:x}"


def _folder(name: str) -> Path:
    return settings.own_cache() / "hub" / name.replace("/", "--")


def _listing(name: str, commit: str) -> Path:
    return _folder(name) / f"{commit}.json"


def _revisions(name: str) -> Path:
    return _folder(name) / "revisions.json"


def _write(place: Path, content: str) -> None:
    """Whole or not at all."""
    place.parent.mkdir(parents=True, exist_ok=True)
    partial = place.with_name(f".{place.name}.{os.getpid()}-{get_ident()}")
    partial.write_text(content, encoding="utf-8")
    partial.replace(place)
