"""Workers within the walls of AWS Lambda's sandbox: what they are given, and what a refusal means.

What a wall refuses reaches the user as an error of some library. ``explained`` adds why it is refused and what to do.
"""

from __future__ import annotations

import json
import os
import re
import stat
from collections.abc import Iterable, Iterator
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from firstlight import isolation
from firstlight.invoke.limits import task_root
from firstlight.isolation.walls import HOME, TMP_MB, Walls

if TYPE_CHECKING:
    from firstlight.invoke.types import WorkerSpec

_MOST_UNREADABLE = 200
"""Files that are made unreadable at most: each is a mount of its own."""

_MOST_LOOKED_AT = 50_000

_NOT_SHIPPED = frozenset({".git", ".venv", "venv", "__pycache__", "node_modules", ".firstlight"})
_ERRNO = re.compile(r"\[Errno (\d+)\][^:]*(?:: '(?P<path>[^']+)')?")

LOCKS = (
    "there is no /dev/shm on AWS Lambda, so multiprocessing's Lock, Queue and Pool do not work: use threads "
    "(concurrent.futures.ThreadPoolExecutor), or multiprocessing's Process with Pipe"
)
UNKNOWN_USER = (
    "the user of a Lambda function is not in the password file: set USER and LOGNAME in `env` of the endpoint"
)
NUMBA = (
    "numba wants to keep compiled code beside the source: set NUMBA_CACHE_DIR=/tmp in `env` of the endpoint"
)


def walled(spec: WorkerSpec) -> WorkerSpec:
    """The spec with the walls of Lambda around its workers."""
    root = task_root(spec)
    ours = [root, *(path for path in (spec.bundle, spec.script and spec.script.parent) if path)]
    through = dict.fromkeys((*ours, *_elsewhere(spec.bundle), *named(spec.env.values())))
    walls = Walls(
        home=spec.env.get("HOME", HOME),
        through=tuple(through),
        unreadable=tuple(unreadable(ours)),
    )
    return replace(spec, walls=walls)


def command(words: tuple[str, ...], walls: Walls | None, sockets: Path) -> tuple[str, ...]:
    """The command line of a worker, within walls where it has some.

    Args:
        sockets: the folder of the socket by which it is called.
    """
    if walls is None:
        return words
    return tuple(isolation.command(words, replace(walls, through=(*walls.through, sockets))))


def unreadable(folders: Iterable[Path]) -> list[Path]:
    """Files and folders in these that only their owner may read: on Lambda the owner is somebody else.

    Folders that are not shipped, such as ``.git``, are left out. At most 200 are found, among 50,000 files.
    """
    looked_at = islice((entry for folder in folders for entry in _entries(folder)), _MOST_LOOKED_AT)
    closed = dict.fromkeys(Path(entry.path) for entry in looked_at if _is_closed(entry))
    return list(islice(closed, _MOST_UNREADABLE))


def _entries(folder: str | Path) -> Iterator[os.DirEntry[str]]:
    """Files and folders in a folder and, where others may read those, in its folders; no links."""
    try:
        entries = sorted(os.scandir(folder), key=lambda entry: entry.name)
    except OSError:
        return
    for entry in entries:
        if entry.name in _NOT_SHIPPED or entry.is_symlink():
            continue
        yield entry
        if entry.is_dir() and not _is_closed(entry):
            yield from _entries(entry.path)


def _is_closed(entry: os.DirEntry[str]) -> bool:
    wanted = stat.S_IROTH | (stat.S_IXOTH if entry.is_dir(follow_symlinks=False) else 0)
    try:
        mode = entry.stat(follow_symlinks=False).st_mode
    except OSError:
        return False
    return (stat.S_ISDIR(mode) or stat.S_ISREG(mode)) and mode & wanted != wanted


def _elsewhere(bundle: Path | None) -> Iterator[Path]:
    """Where the links in a bundle lead."""
    for path in bundle.iterdir() if bundle is not None and bundle.is_dir() else ():
        if path.is_symlink() and path.exists():
            yield path.resolve()


def named(values: Iterable[str]) -> Iterator[Path]:
    """Files and folders that an endpoint's variables name."""
    for value in values:
        for word in value.split(os.pathsep):
            if word.startswith("/") and word != "/" and Path(word).exists():
                yield Path(word)


def explained(body: bytes, spec: WorkerSpec) -> tuple[bytes, str]:
    """A function error with a hint where a wall is its reason, and the hint; as it was, and nothing, where none is.

    Args:
        body: JSON as a worker reports it.
    """
    if spec.walls is None:
        return body, ""
    try:
        error = json.loads(body)
    except (ValueError, RecursionError):
        return body, ""
    hint = (
        _hint(error, spec.walls, task_root(spec)) if isinstance(error, dict) and not error.get("hint") else ""
    )
    return (json.dumps({**error, "hint": hint}).encode(), hint) if hint else (body, "")


def _hint(error: dict[str, Any], walls: Walls, root: Path) -> str:
    message, trace = str(error.get("errorMessage")), str(error.get("stackTrace"))
    if "getpwuid" in message or "getpwuid" in trace:
        return UNKNOWN_USER
    if "cannot cache function" in message and "no locator available" in message:
        return NUMBA
    found = _ERRNO.search(message)
    if found is None:
        return of_home(walls) if _in_home(message, walls) else ""
    number, path = int(found[1]), found["path"]
    if path is None and "multiprocessing" in trace and number in (2, 13, 38):
        return LOCKS
    if _in_home(path or message, walls):
        return of_home(walls)
    return _of_path(number, root / path if path else None, walls)


def _of_path(number: int, path: Path | None, walls: Walls) -> str:
    """The hint for an error with a path, by its number (errno(3))."""
    if number == 28:
        size = f"{walls.tmp_mb or TMP_MB} MB"
        return f"on Lambda /tmp has {size}, and here too: write less, or delete what is done with"
    if number == 13 and path is not None:
        if any(path.is_relative_to(closed) for closed in walls.unreadable):
            owner = f"only its owner may read {path.name}, and on Lambda that is somebody else"
            return f"{owner}: `chmod -R a+rX {path}`, or `firstlight doctor --lambda --fix`"
        if not os.access(path.parent, os.W_OK):
            return ""
    if number == 30 or (number == 13 and path is not None):
        return (
            "only /tmp can be written on AWS Lambda: write there, or make the file before it is deployed "
            "(`firstlight trace` finds what libraries download and packs it)"
        )
    return ""


def of_home(walls: Walls) -> str:
    """Why nothing can be kept in HOME, and what to do."""
    return (
        f"HOME is {walls.home} on AWS Lambda, which does not exist and cannot be made: `firstlight trace` finds what "
        "is kept there, packs it and sets the variables that say where it is; or set HOME=/tmp in `env` of the endpoint"
    )


def _in_home(text: str, walls: Walls) -> bool:
    return walls.home is not None and not walls.home.startswith("/tmp") and walls.home in text  # noqa: S108
