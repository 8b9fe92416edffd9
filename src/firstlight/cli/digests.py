"""When a script counts as changed: its own content, and what lies beside it."""

from __future__ import annotations

import contextlib
import hashlib
import os
from collections.abc import Iterator
from pathlib import Path

from firstlight.project import Project

_MOST_FILES = 5000
_NOT_CODE = {"__pycache__", "node_modules"}


def of_script(script: Path, project: Project) -> str:
    """Identity of a script: its content, and size and time of what lies beside it and may be imported or read.

    Scripts of other endpoints are left out, so that changing one does not restart the others. A file that is gone
    or cannot be read counts as none: whoever needs it will say so.
    """
    found = hashlib.sha256()
    others = {endpoint.script for endpoint in project.endpoints.values()}
    with contextlib.suppress(OSError):
        found.update(script.read_bytes())
    for file in _files(script.parent):
        if Path(file.path) not in others:
            with contextlib.suppress(OSError):
                state = file.stat()
                line = f"{file.path} {state.st_size} {state.st_mtime_ns}\n"
                found.update(line.encode("utf-8", "surrogateescape"))
    return found.hexdigest()


def _files(folder: Path) -> Iterator[os.DirEntry[str]]:
    """Files under a folder in a fixed order, hidden ones and caches left out, up to a number no project reaches."""
    seen = 0
    waiting = [str(folder)]
    while waiting:
        for entry in _entries(waiting.pop()):
            if entry.is_dir(follow_symlinks=False):
                waiting.append(entry.path)
            elif seen == _MOST_FILES:
                return
            else:
                seen += 1
                yield entry


def _entries(folder: str) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as entries:
            shown = [
                entry for entry in entries if not entry.name.startswith(".") and entry.name not in _NOT_CODE
            ]
    except OSError:
        return []
    return sorted(shown, key=lambda entry: entry.name)
