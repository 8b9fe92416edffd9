"""What a version runs, put where nothing changes it: copies under the name of their content.

A bundle of the cache lies there under its content's hash already and is linked to (hard links), so that it takes no
room and outlives a cleaned cache. All else is copied: what a user edits in place must not change what was published.
A script is copied with what lies beside it and counts for its digest; the rest of the project is reached by links.
"""

from __future__ import annotations

import base64
import contextlib
import hashlib
import os
import re
import shutil
import tempfile
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from firstlight.invoke.types import WorkerSpec
from firstlight.runtime.errors import InvalidInput
from firstlight.versions import beside
from firstlight.versions.errors import VersionError

CODE_LIMIT = 262_144_000
"""Bytes of a script and what lies beside it: Lambda's limit of an unzipped package."""

_HASH = re.compile(r"[0-9a-f]{32,128}")


@dataclass(frozen=True, slots=True)
class Part:
    """One file of a script endpoint: its place in the script's folder, and where it lies now."""

    name: str
    path: Path
    size: int


def parts_of(spec: WorkerSpec, others: Iterable[Path]) -> list[Part]:
    """The files of a script endpoint.

    Args:
        others: scripts of other endpoints, which are left out.

    Raises:
        InvalidInput: they are too many, or larger than Lambda takes.
    """
    folder = code_folder(spec)
    left_out = {str(path) for path in others if path != spec.script}
    found = [_part(entry, folder) for entry in beside.files(folder) if entry.path not in left_out]
    parts = [part for part in found if part is not None]
    size = sum(part.size for part in parts)
    hint = "keep in the script's folder only what it needs; what lies elsewhere in the project is not copied"
    if len(found) >= beside.MOST_FILES:
        raise InvalidInput(f"{folder} has {beside.MOST_FILES} files or more, too many for a version", hint)
    if size > CODE_LIMIT:
        message = f"{folder} has {size} bytes, and a function on AWS Lambda at most {CODE_LIMIT}"
        raise InvalidInput(message, hint)
    return parts


def code_folder(spec: WorkerSpec) -> Path:
    """The folder of a script endpoint's own files."""
    if spec.script is not None:
        return spec.script.parent
    return spec.cwd or Path.cwd()


def code_sha256(spec: WorkerSpec, parts: Iterable[Part]) -> str:
    """What names the content of an endpoint, as in Lambda's CodeSha256: base64 of a SHA-256.

    Raises:
        VersionError: a file cannot be read.
    """
    if spec.bundle is not None:
        told = spec.digest if _HASH.fullmatch(spec.digest) and len(spec.digest) == 64 else ""
        found = bytes.fromhex(told) if told else hashlib.sha256(str(spec.bundle).encode()).digest()
        return base64.b64encode(found).decode()
    total = hashlib.sha256(f"{spec.script and spec.script.name} {spec.handler}\n".encode())
    for part in sorted(parts, key=lambda part: part.name):
        total.update(f"{part.name} {_file_digest(part.path)}\n".encode("utf-8", "surrogateescape"))
    return base64.b64encode(total.digest()).decode()


def freeze(spec: WorkerSpec, parts: Iterable[Part], content: str, folder: Path) -> WorkerSpec:
    """The spec of a version: its files lie under ``folder`` from now on.

    Args:
        content: what ``code_sha256`` says.

    Raises:
        VersionError: there is no room, or no right.
    """
    if spec.bundle is not None:
        place = folder / "bundles" / _place_name(content, str(spec.bundle))
        source = spec.bundle
        _make(place, lambda draft: _take_bundle(source, draft))
        cwd = place if spec.cwd == spec.bundle else spec.cwd
        return replace(spec, bundle=place, cwd=cwd)
    if spec.command is not None and spec.script is None and spec.cwd is None:
        return spec
    root, code = spec.cwd or code_folder(spec), code_folder(spec)
    inside = code.relative_to(root) if code.is_relative_to(root) else Path()
    place = folder / "code" / _place_name(content, f"{root} {inside}")
    _make(place, lambda draft: _take_code(parts, root if inside.parts else code, inside, draft))
    script = place / inside / spec.script.name if spec.script is not None else None
    return replace(spec, script=script, cwd=place)


def contents(spec: WorkerSpec, folder: Path) -> Iterator[Path]:
    """The folders under ``folder`` that a version needs."""
    for path in (spec.bundle, spec.cwd):
        if path is not None and path.is_relative_to(folder):
            yield path


def sweep(folder: Path, needed: set[Path]) -> None:
    """Remove what no version needs any more, and what was never finished."""
    for kind in ("bundles", "code"):
        with contextlib.suppress(OSError):
            for place in (folder / kind).iterdir():
                if place not in needed:
                    shutil.rmtree(place, ignore_errors=True)


def _part(entry: os.DirEntry[str], folder: Path) -> Part | None:
    """A file that can be copied; a link that leads nowhere, or to a folder, is none."""
    try:
        if not entry.is_file():
            return None
        return Part(os.path.relpath(entry.path, folder), Path(entry.path), entry.stat().st_size)
    except OSError:
        return None


def _file_digest(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise VersionError(f"{path} cannot be read: {error.strerror}", "see who may read it") from error


def _place_name(content: str, more: str) -> str:
    return hashlib.sha256(f"{content} {more}".encode("utf-8", "surrogateescape")).hexdigest()[:40]


def _make(place: Path, fill: Callable[[Path], None]) -> None:
    """Fill a folder that is not there; it has its name only when it is whole."""
    if place.is_dir():
        return
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        draft = Path(tempfile.mkdtemp(prefix=".draft-", dir=place.parent))
        try:
            fill(draft)
            draft.chmod(0o755)
            try:
                draft.rename(place)
            except OSError:
                if not place.is_dir():  # another program was faster
                    raise
        finally:
            shutil.rmtree(draft, ignore_errors=True)
    except (OSError, shutil.Error) as error:
        raise VersionError(
            f"the version's files could not be copied to {place.parent}: {error}", "make room for them"
        ) from error


def _take_bundle(bundle: Path, draft: Path) -> None:
    for path in sorted(bundle.rglob("*")):
        target = draft / path.relative_to(bundle)
        if path.is_dir():
            target.mkdir(parents=True, exist_ok=True)
        elif path.is_file():
            target.parent.mkdir(parents=True, exist_ok=True)
            _link_or_copy(path.resolve(), target)


def _link_or_copy(path: Path, target: Path) -> None:
    if any(_HASH.fullmatch(name) for name in path.parts[-3:]):
        try:
            os.link(path, target)
        except OSError:
            pass  # another file system, or another owner's file
        else:
            return
    shutil.copy2(path, target)


def _take_code(parts: Iterable[Part], root: Path, inside: Path, draft: Path) -> None:
    for part in parts:
        target = draft / inside / part.name
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(part.path, target)
    (draft / inside).mkdir(parents=True, exist_ok=True)
    here = Path()
    for step in inside.parts:
        for entry in (root / here).iterdir():
            if entry.name != step and not (draft / here / entry.name).exists():
                (draft / here / entry.name).symlink_to(entry.absolute())
        here /= step
