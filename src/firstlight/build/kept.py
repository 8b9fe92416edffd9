"""Bundles that are kept: made once in the user's cache, found again by a digest of all that went into them.

They lie in ``$XDG_CACHE_HOME/firstlight/bundles/<digest>``, each with a ``<digest>.made.json`` that says what it was
made of. The digest of the folder's name is known before it is made; that of the bundle, which a lock file has, leads to
it by a file in ``made``.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from firstlight.build.types import Made, SourceFile
from firstlight.runtime.bundle import Bundle
from firstlight.runtime.errors import BundleError, ProjectError

_ABANDONED_S = 86_400


def cache() -> Path:
    """Where converted bundles are kept."""
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "firstlight" / "bundles"


def digest(*parts: str) -> str:
    """The name of the folder for what all these say."""
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:32]


def kept(name: str, fill: Callable[[Path], None]) -> Path:
    """The cached folder of a digest, filled when it is not there or was damaged.

    Two processes may fill it at once: each has a folder of its own, and the first to rename it wins.

    Raises:
        ProjectError: the cache cannot be written.
        FirstlightError: from ``fill``; nothing is left of what it wrote.
    """
    place = cache() / name
    if whole(place):
        return place
    made = _scratch(place.parent, f".{name[:8]}-")
    try:
        fill(made)
        made.chmod(0o755)
        if place.exists() and not whole(place):
            shutil.rmtree(place, ignore_errors=True)
        try:
            made.rename(place)
        except OSError:
            if not whole(place):
                raise
    finally:
        shutil.rmtree(made, ignore_errors=True)
    return place


def remember(made: Made) -> None:
    """Write down what a bundle of the cache was made of, so that it is found by its own digest too."""
    content = asdict(made)
    del content["place"]
    _write(_beside(made.place), json.dumps(content, indent=1, sort_keys=True))
    by_digest = _by_digest(made.digest)
    by_digest.parent.mkdir(exist_ok=True)
    _write(by_digest, made.place.name)


def locked(made: Made) -> Made | None:
    """The bundle a lock file speaks of, where it is in the cache already: neither hub nor sources are needed then."""
    try:
        place = cache() / _by_digest(made.digest).read_text(encoding="utf-8")
        found = Bundle.open(str(place), verify="sizes").digest
    except (OSError, ValueError, BundleError):
        return None
    return replace(made, place=place) if found == made.digest else None


def remembered(place: Path) -> Made | None:
    """What a bundle of the cache was made of; None where nothing that can be read says it."""
    try:
        content: dict[str, Any] = json.loads(_beside(place).read_text(encoding="utf-8"))
        files = tuple(SourceFile(**file) for file in content.pop("files"))
        return Made(place=place, files=files, **content)
    except (OSError, ValueError, TypeError, KeyError):
        return None


def copy(bundle: Path, place: Path) -> None:
    """A bundle's files in a folder of the user's, linked where the file systems allow it; a former bundle is replaced.

    Raises:
        ProjectError: there is something else in the folder.
    """
    if place.exists() and any(place.iterdir()) and not (place / "bundle.json").is_file():
        raise ProjectError(f"{place} holds something else than a bundle", "name an empty folder")
    if place.resolve() == bundle.resolve():
        return
    from firstlight.build.bundle import link_or_copy

    made = _scratch(place.absolute().parent, f".{place.name}-")
    try:
        for file in sorted(bundle.iterdir()):
            link_or_copy(file, made / file.name)
        made.chmod(0o755)
        shutil.rmtree(place, ignore_errors=True)
        made.rename(place)
    finally:
        shutil.rmtree(made, ignore_errors=True)


def whole(place: Path) -> bool:
    """Whether a folder is a bundle with all its files."""
    try:
        Bundle.open(str(place), verify="sizes")
    except BundleError:
        return False
    return True


def _write(place: Path, text: str) -> None:
    descriptor, partial = tempfile.mkstemp(dir=place.parent, prefix=f".{place.name}-")
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(text)
    Path(partial).replace(place)


def _by_digest(digest: str) -> Path:
    return cache() / "made" / digest


def _beside(place: Path) -> Path:
    return place.with_name(f"{place.name}.made.json")


def _scratch(parent: Path, prefix: str) -> Path:
    try:
        parent.mkdir(parents=True, exist_ok=True)
        _sweep(parent)
        return Path(tempfile.mkdtemp(dir=parent, prefix=prefix))
    except OSError as error:
        hint = "make room, or set XDG_CACHE_HOME to a folder that can be written"
        raise ProjectError(f"{parent} cannot be written: {error.strerror}", hint) from error


def _sweep(folder: Path) -> None:
    """Remove what conversions that were killed left behind."""
    for left in folder.glob(".*-*"):
        try:
            old = time.time() - left.stat().st_mtime > _ABANDONED_S
        except FileNotFoundError:  # its own process has just renamed it
            continue
        if old and left.is_dir():
            shutil.rmtree(left, ignore_errors=True)
        elif old:
            left.unlink(missing_ok=True)
