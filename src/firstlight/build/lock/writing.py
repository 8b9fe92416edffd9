"""Writes firstlight.lock: the same lock gives the same bytes, and a file is there whole or as it was before."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterable, Mapping
from pathlib import Path

from firstlight.build.lock.reading import FILE, VERSION, parse
from firstlight.build.lock.types import Caches, Lock, LockedTarget
from firstlight.build.pack.types import Wheel
from firstlight.build.types import Made, SourceFile
from firstlight.runtime.errors import ProjectError

HEADER = "# Written by `firstlight build`: what the endpoints are made of. Keep it in version control."
_BARE = re.compile(r"[A-Za-z0-9_-]+")
_TOKEN = re.compile(r"hf_[A-Za-z0-9]{16,}")


def write(root: Path, lock: Lock) -> bool:
    """Write the lock file of a project, unless it says the same already.

    The mode of a file that is there is kept, and a link is followed.

    Args:
        root: folder of the project.

    Returns:
        Whether the file is another one now.

    Raises:
        ProjectError: it cannot be written; then the file is as it was.
    """
    place = Path(os.path.realpath(root / FILE))
    content = text(lock).encode("utf-8")
    try:
        if place.is_file() and place.read_bytes() == content:
            return False
        _replace(place, content)
    except OSError as error:
        hint = "check the permissions of its folder, and the room on the disk"
        raise ProjectError(f"{FILE} cannot be written: {error.strerror}", hint) from error
    return True


def text(lock: Lock) -> str:
    """A lock as the file has it.

    Raises:
        ProjectError: a value cannot be in a lock file, such as a token of the hub.
    """
    written = "\n".join([HEADER, f"version = {VERSION}", *_tables(lock)]) + "\n"
    if _TOKEN.search(written):
        raise ProjectError(f"{FILE} would hold a token of the hub", "take it out of firstlight.toml")
    parse(written)
    return written


def named(model: str) -> str:
    """A model as the lock names it: as the project file does, without what belongs to one machine or one user.

    An address becomes ``hf:owner/name``, whatever host it is on; of a path outside the project its last part is kept.
    """
    address = re.match(r"https?://[^/]*/+", model)
    if address:
        owner, _, rest = model[address.end() :].partition("/")
        name, _, more = rest.partition("/")
        parts = more.rstrip("/").split("/")
        revision = f"@{parts[1]}" if len(parts) > 1 and parts[0] in ("tree", "resolve", "blob") else ""
        file = "/".join(["", *parts[2:]]) if revision else ""
        return f"hf:{owner}/{name}{file}{revision}"
    if model.startswith(("/", "~", "\\")) or re.match(r"[A-Za-z]:[\\/]", model):
        return "/…/" + re.split(r"[\\/]", model.rstrip("/\\"))[-1]
    return model


def _tables(lock: Lock) -> Iterable[str]:
    for name in sorted({*lock.endpoints, *lock.caches}):
        if name in lock.endpoints:
            yield from _made(f"endpoints.{name}", lock.endpoints[name])
        if name in lock.caches:
            yield from _caches(f"endpoints.{name}.caches", lock.caches[name])
    for stage, entries in sorted(lock.stages.items()):
        for name in sorted(entries):
            yield from _made(f"stage.{stage}.endpoints.{name}", entries[name])
    for key, target in sorted(lock.targets.items()):
        yield from _target(f"targets.{_key(key)}", target)


def _made(table: str, made: Made) -> Iterable[str]:
    yield f"\n[{table}]"
    yield f"model = {_string(named(made.model))}"
    if made.asked:
        yield f"asked = {_strings(made.asked)}"
    words = {"revision": made.revision, "licence": made.licence, "task": made.task, "engine": made.engine}
    words |= {"precision": made.precision, "converter": made.converter, "bundle": made.digest}
    yield from (f"{key} = {_string(word)}" for key, word in words.items() if word is not None)
    for key in ("allow_pickle", "trust_remote_code"):
        if getattr(made, key):
            yield f"{key} = true"
    yield f"tools = {_strings(made.tools)}"
    yield "files = [" if made.files else "files = []"
    yield from (f"  {_file(file)}," for file in sorted(made.files, key=lambda file: file.path))
    if made.files:
        yield "]"


def _caches(table: str, caches: Caches) -> Iterable[str]:
    yield f"\n[{table}]"
    yield f"layer = {_string(caches.layer)}"
    yield f"size = {caches.size}"
    yield f"script = {_string(caches.script)}"
    yield f"variables = {_strings(caches.variables)}"
    yield f"tools = {_strings(caches.tools)}"


def _target(table: str, target: LockedTarget) -> Iterable[str]:
    if target.base:
        yield f"\n[{table}]"
        yield f"base = {_string(target.base)}"
    for name, its in sorted(target.wheels.items()):
        yield f"\n[{table}.wheels.{_key(name)}]"
        yield f"asked = {_string(its.asked)}"
        yield "wheels = [" if its.wheels else "wheels = []"
        yield from (f"  {_wheel(wheel)}," for wheel in sorted(its.wheels, key=lambda wheel: wheel.name))
        if its.wheels:
            yield "]"


def _wheel(wheel: Wheel) -> str:
    words = {"name": wheel.name, "version": wheel.version, "file": wheel.file, "sha256": wheel.sha256}
    entries = ", ".join(f"{key} = {_string(word)}" for key, word in words.items())
    needed = ", ".join(_string(name) for name in wheel.requires)
    return f"{{ {entries}, requires = [{needed}] }}" if needed else f"{{ {entries} }}"


def _file(file: SourceFile) -> str:
    return f"{{ path = {_string(file.path)}, size = {file.size}, sha256 = {_string(file.sha256)} }}"


def _strings(words: Mapping[str, str]) -> str:
    entries = ", ".join(f"{_key(key)} = {_string(word)}" for key, word in sorted(words.items()))
    return f"{{ {entries} }}" if entries else "{}"


def _key(word: str) -> str:
    return word if _BARE.fullmatch(word) else _string(word)


def _string(word: str) -> str:
    """A basic string of TOML, which is JSON's but for one control character."""
    return json.dumps(word, ensure_ascii=False).replace("\x7f", "\\u007f")


def _replace(place: Path, content: bytes) -> None:
    """Put content in the place of a file at once; what was begun is taken away where it fails."""
    partial = place.with_name(f".{place.name}.{os.getpid()}")
    partial.unlink(missing_ok=True)
    try:
        with partial.open("xb") as out:
            if place.exists():
                partial.chmod(place.stat().st_mode & 0o7777)
            out.write(content)
            out.flush()
            os.fsync(out.fileno())
        partial.replace(place)
    finally:
        partial.unlink(missing_ok=True)
