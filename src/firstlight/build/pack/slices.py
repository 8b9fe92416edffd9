"""The parts of firstlight that a function holds: what answers, and what serves HTTP where no Lambda is."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from pathlib import Path

from firstlight.build.pack.types import OURS, TASK_ROOT, File

SOURCE = f"{OURS}/src"
LIBRARIES = f"{OURS}/lib"
SERVER_LIBRARIES = f"{OURS}/server"
"""Apart from ``lib``, so that a script may require another version of what the server is made of."""
BUNDLE = f"{OURS}/bundle"
CACHES = f"{OURS}/caches"

SERVER = "firstlight.gateway.container"
"""The module whose ``main`` serves HTTP."""
SERVER_WHEELS = ("httptools", "starlette", "uvicorn")
"""What the server needs of the package index, with what these require."""

_PACKAGE = Path(__file__).resolve().parents[2]
_RUNTIME = ("runtime",)
_SERVER = ("gateway", "invoke", "isolation", "jobs", "project", "versions")


def absolute(path: str) -> str:
    """Where a path of a function lies when it runs."""
    return f"{TASK_ROOT}/{path}"


@cache
def runtime(*, pipelines: bool = False) -> tuple[File, ...]:
    """The slice that answers invocations.

    Args:
        pipelines: with what ``from firstlight import pipeline`` needs.
    """
    packages = (*_RUNTIME, *(("pipelines",) if pipelines else ()))
    single = ("__init__.py", "starters/__init__.py")
    return _sorted([*(_file(_PACKAGE / name) for name in single), *_below(packages)])


@cache
def server() -> tuple[File, ...]:
    """The slice that serves HTTP over a pool of workers: the gateway and what it stands on, but for ``runtime``."""
    return _sorted(_below(_SERVER))


def starter(name: str) -> tuple[File, ...]:
    """The bundle of a starter, where ``pipeline("starter:NAME")`` looks for it; with the one it borrows.

    Raises:
        EndpointNotFound: there is no starter of that name.
    """
    from firstlight import starters

    folders = {starters.card(name).parent, starters.path(name)}
    return _sorted(_file(file) for folder in folders for file in sorted(folder.iterdir()) if file.is_file())


def _below(packages: tuple[str, ...]) -> Iterator[File]:
    for name in packages:
        for file in (_PACKAGE / name).rglob("*"):
            hidden = any(part.startswith((".", "__pycache__")) for part in file.relative_to(_PACKAGE).parts)
            if file.is_file() and not hidden and file.suffix != ".pyc":
                yield _file(file)


def _file(file: Path) -> File:
    path = f"{SOURCE}/firstlight/{file.relative_to(_PACKAGE).as_posix()}"
    return File(path, file, file.stat().st_size)


def _sorted(files: Iterator[File] | list[File]) -> tuple[File, ...]:
    return tuple(sorted({file.path: file for file in files}.values(), key=lambda file: file.path))
