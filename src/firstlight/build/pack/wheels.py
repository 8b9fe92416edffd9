"""Wheels of another platform: which ones (``resolve``), the files themselves (``fetch``), what is in them (``files``).

They are kept in ``$XDG_CACHE_HOME/firstlight/wheels/<sha256>/``: what was fetched once needs no network, and what the
lock file names by its hash is the same file for everybody, whatever index it comes from.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import re
import shutil
import tempfile
import time
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from firstlight.build.pack import asking, unpacking
from firstlight.build.pack.requirements import Requirements, normalised
from firstlight.build.pack.types import File, Target, Wheel
from firstlight.runtime.errors import ProjectError

_REQUIRED = re.compile(r"\s*([A-Za-z0-9][A-Za-z0-9._-]*)")
_FILE = re.compile(r"[A-Za-z0-9_.!+-]+-[A-Za-z0-9_.!+]+(?:-\d\w*)?-[\w.]+-[\w.]+-[\w.]+\.whl")

_ABANDONED_S = 86_400


def cache() -> Path:
    """Where wheels are kept."""
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "firstlight" / "wheels"


def resolve(
    requirements: Sequence[str] | Requirements,
    target: Target,
    *,
    about: str = "",
    dependencies: bool = True,
    constraints: Sequence[str] = (),
) -> tuple[Wheel, ...]:
    """Ask the package index which wheels meet requirements on a target; nothing of them is run.

    Args:
        requirements: lines as pip takes them (``starlette>=0.46``), or a requirements file.
        about: whose they are, for sentences.
        dependencies: also what they require themselves.
        constraints: versions to take where a package is needed, as of ``pip -c``.

    Returns:
        the wheels, sorted by name.

    Raises:
        ProjectError: there is no such set of wheels, or the index cannot be reached.
        MissingExtra: there is no pip.
    """
    its = requirements if isinstance(requirements, Requirements) else None
    lines = requirements.lines if isinstance(requirements, Requirements) else requirements
    if not lines:
        return ()
    with tempfile.TemporaryDirectory(prefix="firstlight-") as name:
        folder = Path(name)
        report = folder / "report.json"
        shown = its.shown if its is not None else about
        limits = [*constraints, *(its.limits if its is not None else ())]
        told = ["install", "--dry-run", "--ignore-installed", "--target", str(folder / "target")]
        told += ["--report", str(report), *([] if dependencies else ["--no-deps"])]
        told += ["--constraint", _written(folder / "constraints.txt", limits)] if limits else []
        asking.pip(target, [*told, "--requirement", _written(folder / "requirements.txt", lines)], shown)
        entries = json.loads(report.read_text(encoding="utf-8"))["install"]
    return _wheels(entries, shown)


def fetch(wheels: Iterable[Wheel], target: Target, its: Requirements | None = None) -> Mapping[str, Path]:
    """The files of wheels, fetched where they are not in the cache; each has the hash it should have.

    Args:
        its: the requirements file they come from, for its options and the wheels it names by an address or path.

    Returns:
        name of a wheel's file -> where it lies.

    Raises:
        ProjectError: a wheel cannot be had any more, or is another file by now.
    """
    wanted = sorted(wheels, key=lambda wheel: wheel.name)
    missing = [wheel for wheel in wanted if not _is_kept(wheel)]
    if missing:
        _download(missing, target, its)
    return {wheel.file: _place(wheel) for wheel in wanted}


def absent(wheels: Iterable[Wheel]) -> list[Wheel]:
    """Those that have to be fetched."""
    return [wheel for wheel in wheels if not _place(wheel).is_file()]


def files(wheel: Path, only: Sequence[str] | None = None) -> tuple[File, ...]:
    """The files of a wheel as they lie in a folder of packages, unpacked in the cache.

    Args:
        wheel: a file that ``fetch`` named.
        only: patterns (``fnmatch``) of the paths that are wanted; None takes all.

    Raises:
        ProjectError: it is not a wheel, or would write outside its folder.
    """
    return unpacking.files(wheel, only)


def _written(place: Path, lines: Iterable[str]) -> str:
    place.write_text("\n".join(lines), encoding="utf-8")
    return str(place)


def _wheels(entries: Sequence[Mapping[str, Any]], about: str) -> tuple[Wheel, ...]:
    """Wheels of pip's installation report (pip documentation, "Installation Report", version 1)."""
    names = {normalised(entry["metadata"]["name"]) for entry in entries}
    found = []
    for entry in entries:
        described, origin = entry["metadata"], entry["download_info"]
        file = unquote(urlsplit(origin["url"]).path).rpartition("/")[2]
        sha256 = origin.get("archive_info", {}).get("hashes", {}).get("sha256", "")
        if not _FILE.fullmatch(file) or len(sha256) != 64:
            hint = "name a version that has a wheel"
            raise ProjectError(
                f"{about}: {described['name']} comes as {file or 'a folder'}, not as a wheel", hint
            )
        extras = set(entry.get("requested_extras", ()))
        required = _required(described.get("requires_dist", ()), extras)
        requires = tuple(sorted((required & names) - {normalised(described["name"])}))
        found.append(Wheel(normalised(described["name"]), described["version"], file, sha256, requires))
    return tuple(sorted(found, key=lambda wheel: wheel.name))


def _required(lines: Iterable[str], extras: set[str]) -> set[str]:
    """Names in ``Requires-Dist``, without those of extras that were not asked for."""
    found = set()
    for line in lines:
        extra = re.search(r"extra\s*==\s*['\"]([^'\"]+)['\"]", line)
        name = _REQUIRED.match(line)
        if name and (extra is None or extra[1] in extras):
            found.add(normalised(name[1]))
    return found


def _place(wheel: Wheel) -> Path:
    return cache() / wheel.sha256 / wheel.file


def _is_kept(wheel: Wheel) -> bool:
    place = _place(wheel)
    if not place.is_file():
        return False
    if sha256(place) == wheel.sha256:
        return True
    shutil.rmtree(place.parent, ignore_errors=True)  # it was damaged, and is fetched anew
    return False


def sha256(path: Path) -> str:
    """Of a file, hex."""
    with path.open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()


def _download(wheels: Sequence[Wheel], target: Target, its: Requirements | None) -> None:
    """Have pip fetch wheels by name, version and hash; those named by an address, by that."""
    direct, options = (its.direct, its.options) if its is not None else ((), ())
    about = f"{its.shown}, as locked" if its is not None else "wheels of firstlight.lock"
    addressed = [line for line in direct if any(_names(line, wheel) for wheel in wheels)]
    with _scratch() as scratch:
        named = [wheel for wheel in wheels if not any(_names(line, wheel) for line in direct)]
        if named:
            lines = [f"{wheel.name}=={wheel.version} --hash=sha256:{wheel.sha256}" for wheel in named]
            _downloaded([*options, *lines], scratch, target, about)
        if addressed:
            _downloaded([*options, *addressed], scratch, target, about)
        for wheel in wheels:
            _keep(wheel, scratch)


def _downloaded(lines: Sequence[str], scratch: Path, target: Target, about: str) -> None:
    place = _written(scratch / "requirements.txt", lines)
    told = ["download", "--no-deps", "--dest", str(scratch), "--requirement", place]
    asking.pip(target, told, about)


def _names(line: str, wheel: Wheel) -> bool:
    """Whether a direct reference leads to a wheel."""
    return wheel.file in unquote(line)


def _keep(wheel: Wheel, scratch: Path) -> None:
    """Put a wheel that pip fetched into the cache, under the hash it has."""
    fetched = scratch / wheel.file
    if not fetched.is_file():
        hint = "somebody took it away from the index: `firstlight update` chooses another one"
        raise ProjectError(f"{wheel.name} {wheel.version}: pip did not fetch {wheel.file}", hint)
    if sha256(fetched) != wheel.sha256:
        hint = (
            "somebody put another file in its place; `firstlight update` takes it, if that is what you want"
        )
        raise ProjectError(f"{wheel.file} is not the file that firstlight.lock names", hint)
    place = _place(wheel)
    place.parent.mkdir(parents=True, exist_ok=True)
    fetched.chmod(0o644)
    fetched.replace(place)


def _sweep(folder: Path) -> None:
    """Remove what was left by a process that was killed."""
    for left in folder.glob(".new-*"):
        with contextlib.suppress(OSError):
            if time.time() - left.stat().st_mtime > _ABANDONED_S:
                shutil.rmtree(left, ignore_errors=True)


class _scratch:  # noqa: N801 - read as a word where it is used
    """A folder in the cache, so that moving a wheel to its place copies nothing."""

    def __enter__(self) -> Path:
        try:
            cache().mkdir(parents=True, exist_ok=True)
            _sweep(cache())
            self._folder = Path(tempfile.mkdtemp(dir=cache(), prefix=".new-"))
        except OSError as error:
            hint = "make room, or set XDG_CACHE_HOME to a folder that can be written"
            raise ProjectError(f"{cache()} cannot be written: {error.strerror}", hint) from error
        return self._folder

    def __exit__(self, *_: object) -> None:
        shutil.rmtree(self._folder, ignore_errors=True)
