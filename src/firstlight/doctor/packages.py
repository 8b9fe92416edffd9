"""Installed packages: whose a module is, what a package requires, how large it is, how it was built."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from fnmatch import fnmatchcase
from functools import cache
from importlib import metadata
from pathlib import Path

from firstlight.doctor import sources

REQUIREMENT = re.compile(r"^\s*([A-Za-z0-9][A-Za-z0-9._-]*)(?:\[[^]]*\])?\s*(?:==\s*([^\s;,#]+))?")
"""The name at the beginning of a line of requirements, and the version where it is pinned (PEP 508)."""

_CALLED_OTHERWISE = {
    "PIL": "pillow",
    "bs4": "beautifulsoup4",
    "cv2": "opencv-python",
    "sklearn": "scikit-learn",
    "yaml": "pyyaml",
}
_BUILT_HERE = re.compile(r"^Tag: \S+-linux_(x86_64|aarch64)$", re.MULTILINE)


@cache
def owners() -> Mapping[str, list[str]]:
    """Module -> the installed packages that bring it."""
    return metadata.packages_distributions()


def called(module: str) -> str:
    """What a module is called where packages are installed from."""
    return _CALLED_OTHERWISE.get(module, module)


def canonical(name: str) -> str:
    """A package's name as indexes compare it (PEP 503)."""
    return re.sub(r"[-_.]+", "-", name).lower()


def version(name: str) -> str | None:
    """The installed version; None where it is not installed."""
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


def imported(script: Path, root: Path) -> set[str]:
    """Installed packages that a script imports; none where it cannot be read as Python."""
    try:
        modules = {one.module for one in sources.imports(sources.parsed(script))}
    except (SyntaxError, OSError):
        return set()
    local = (script.parent, root)
    known = owners()
    return {
        canonical(known[name][0]) for name in modules if name in known and not sources.is_local(name, local)
    }


def required(names: Iterable[str]) -> set[str]:
    """Packages and all that they require, without extras."""
    found: set[str] = set()
    waiting = list(names)
    while waiting:
        name = canonical(waiting.pop())
        if name in found:
            continue
        found.add(name)
        waiting += _requires(name)
    return found


def brought_along() -> set[str]:
    """This package and what it requires itself."""
    return {"firstlight", *_requires("firstlight")}


def _requires(name: str) -> list[str]:
    try:
        lines = metadata.requires(name) or []
    except metadata.PackageNotFoundError:
        return []
    plain = (line for line in lines if "extra ==" not in line)
    return [canonical(found[1]) for line in plain if (found := REQUIREMENT.match(line))]


def size(name: str, only: Sequence[str] | None = None) -> int:
    """Bytes of an installed package's files; 0 where it is not installed.

    Args:
        only: patterns (``fnmatch``) of the files that count; None counts all.
    """
    try:
        files = metadata.files(name) or []
    except metadata.PackageNotFoundError:
        return 0
    wanted = (
        file
        for file in files
        if only is None or any(fnmatchcase(file.as_posix(), pattern) for pattern in only)
    )
    return sum(file.size or 0 for file in wanted)


def was_built_here(name: str) -> bool:
    """Whether a package with compiled parts was built for this machine, and not for every Linux (manylinux)."""
    try:
        wheel = metadata.distribution(name).read_text("WHEEL") or ""
    except metadata.PackageNotFoundError:
        return False
    return bool(_BUILT_HERE.search(wheel))
