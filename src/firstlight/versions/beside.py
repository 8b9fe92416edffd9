"""The files of a script endpoint: the script, and what lies beside it and may be imported or read."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

MOST_FILES = 5000
"""A number no project reaches; what comes after is left out."""

_NOT_CODE = {"__pycache__", "node_modules"}


def files(folder: Path) -> Iterator[os.DirEntry[str]]:
    """Files under a folder in a fixed order, hidden ones and caches left out, up to ``MOST_FILES``."""
    seen = 0
    waiting = [str(folder)]
    while waiting:
        for entry in _entries(waiting.pop()):
            if entry.is_dir(follow_symlinks=False):
                waiting.append(entry.path)
            elif seen == MOST_FILES:
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
