"""Reads firstlight.lock strictly: what is not as ``writing`` writes it is an error that names file, table and key."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

from firstlight.build.lock.reading_values import MEND, Table, hexadecimal, inside, line, whole
from firstlight.build.lock.types import Caches, Lock
from firstlight.build.types import Made, SourceFile
from firstlight.project import checks
from firstlight.project.checks import Place

FILE = "firstlight.lock"
VERSION = 1
CONVERTER = re.compile(r"firstlight\.build(\.[a-z_0-9]+)+:[a-z_0-9]+")
"""A converter is imported and called, so that a lock file may name none but those that come with firstlight."""

_MARKERS = ("<<<<<<<", "|||||||", "=======", ">>>>>>>")
_PLACE = Path()
"""Where a bundle lies is not in the lock."""


def read(root: Path) -> Lock:
    """Read the lock file of a project; an empty lock where there is none.

    Args:
        root: folder of the project.

    Raises:
        ProjectError: it cannot be read, is of a newer version, or something in it is not as it should be.
    """
    place = Place(FILE)
    try:
        text = (root / FILE).read_bytes().decode("utf-8")
    except FileNotFoundError:
        return Lock()
    except UnicodeDecodeError as error:
        raise place.error("", "is not UTF-8", MEND) from error
    except OSError as error:
        raise place.error("", f"cannot be read: {error.strerror}", "check its permissions") from error
    return parse(text)


def parse(text: str) -> Lock:
    """The lock a text says.

    Raises:
        ProjectError: as ``read``.
    """
    place = Place(FILE)
    raw = _tables(text, place)
    _version(raw, place)
    given = checks.keys(
        place, raw, {"version": _any, "endpoints": _endpoints, "stage": _stages, "targets": _targets}
    )
    endpoints, caches = given.get("endpoints", ({}, {}))
    return Lock(endpoints, caches, given.get("stage", {}), given.get("targets", {}))


def _targets(place: Place, key: str, value: Any) -> Table:
    from firstlight.build.lock import reading_targets

    return {**reading_targets.targets(place, key, value)}


def _tables(text: str, place: Place) -> Table:
    for number, written in enumerate(text.splitlines(), 1):
        if written.startswith(_MARKERS):
            hint = "keep the lines of either side (or take firstlight.toml's side and run `firstlight build`)"
            raise place.error("", f"has the marks of a merge that is not finished, in line {number}", hint)
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        problem = str(error)
        raise place.error("", f"is not valid TOML: {problem[0].lower()}{problem[1:]}", MEND) from error
    except RecursionError as error:
        raise place.error("", "is nested too deeply", MEND) from error


def _version(raw: Table, place: Place) -> None:
    """Raise unless the version is ours; asked before all else, since another version has other keys."""
    version = raw.get("version")
    if version == VERSION and type(version) is int:
        return
    if type(version) is int and version > VERSION:
        problem = f"is {version}; this firstlight reads {VERSION}"
        raise place.error("version", problem, "update firstlight")
    raise place.error("version", "is missing" if version is None else f"must be {VERSION}", MEND)


def _endpoints(place: Place, key: str, value: Any) -> tuple[dict[str, Made], dict[str, Caches]]:
    """``[endpoints.*]``: what is made of a model, and caches of a script."""
    inner, made, caches = place.inside(key), dict[str, Made](), dict[str, Caches]()
    for name, content in checks.table(place, key, value).items():
        checks.name(inner, repr(name)[1:-1], name)
        inside, table = inner.inside(name), dict(checks.table(inner, name, content))
        if "caches" in table:
            caches[name] = _caches(inside, "caches", table.pop("caches"))
            if not table:
                continue
        made[name] = _made(inside, table)
    return made, caches


def _stages(place: Place, key: str, value: Any) -> dict[str, dict[str, Made]]:
    inner, found = place.inside(key), dict[str, dict[str, Made]]()
    for stage, content in checks.table(place, key, value).items():
        checks.name(inner, repr(stage)[1:-1], stage)
        inside = inner.inside(stage)
        given = checks.keys(inside, checks.table(inner, stage, content), {"endpoints": checks.table})
        entries = given.get("endpoints", {})
        at = inside.inside("endpoints")
        found[stage] = {
            checks.name(at, repr(name)[1:-1], name): _made(at.inside(name), checks.table(at, name, entry))
            for name, entry in entries.items()
        }
    return found


def _made(place: Place, table: Table) -> Made:
    given = whole(place, table, _MADE, ("asked", "revision", "licence", "converter", *_ALLOWED))
    return Made(
        place=_PLACE,
        model=given["model"],
        digest=given["bundle"],
        task=given["task"],
        engine=given["engine"],
        precision=given["precision"],
        revision=given.get("revision"),
        licence=given.get("licence"),
        converter=given.get("converter"),
        files=given["files"],
        tools=given["tools"],
        allow_pickle=given.get("allow_pickle", False),
        trust_remote_code=given.get("trust_remote_code", False),
        asked=given.get("asked", {}),
    )


def _caches(place: Place, key: str, value: Any) -> Caches:
    inside = place.inside(key)
    return Caches(**whole(inside, checks.table(place, key, value), _CACHES, ()))


def _any(_place: Place, _key: str, value: Any) -> Any:
    return value


def _bytes(place: Place, key: str, value: Any) -> int:
    if type(value) is not int or value < 0:
        raise place.error(key, "must be a whole number of bytes", MEND)
    return value


def _converter(place: Place, key: str, value: Any) -> str:
    word = line(place, key, value)
    if not CONVERTER.fullmatch(word):
        raise place.error(key, f"{word[:80]!r} is no converter of firstlight", MEND)
    return word


def _true(place: Place, key: str, value: Any) -> bool:
    if value is not True:
        raise place.error(key, "must be true, or left out", MEND)
    return True


def _strings(*known: str) -> Callable[[Place, str, Any], dict[str, str]]:
    """A table of strings, with these keys where some are named."""

    def check(place: Place, key: str, value: Any) -> dict[str, str]:
        inside, table = place.inside(key), checks.table(place, key, value)
        if known:
            checks.keys(inside, table, dict.fromkeys(known, line))
        for name in table:
            line(place, key, name)
        return {name: line(inside, name, word) for name, word in table.items()}

    return check


def _files(place: Place, key: str, value: Any) -> tuple[SourceFile, ...]:
    if not isinstance(value, list):
        raise place.error(key, f"must be a list, not {checks.kind(value)}", MEND)
    files = tuple(_file(place, f"{key}[{number}]", table) for number, table in enumerate(value))
    paths = [file.path for file in files]
    twice = next((path for path in paths if paths.count(path) > 1), None)
    if twice is not None:
        raise place.error(key, f"{twice!r} is there twice", MEND)
    return tuple(sorted(files, key=lambda file: file.path))


def _file(place: Place, key: str, value: Any) -> SourceFile:
    table = checks.table(place, key, value)
    given = whole(place.inside(key), table, _FILE, ())
    return SourceFile(**given)


def _path(place: Place, key: str, value: Any) -> str:
    path = checks.text(place, key, value)
    if not inside(path):
        raise place.error(key, f"{path[:80]!r} is not a path inside the model", MEND)
    return path


_ALLOWED = ("allow_pickle", "trust_remote_code")
_MADE: dict[str, checks.Check] = {
    "model": line,
    "asked": _strings("task", "precision"),
    "revision": hexadecimal(40),
    "licence": line,
    "task": line,
    "engine": line,
    "precision": line,
    "converter": _converter,
    "bundle": hexadecimal(64),
    "allow_pickle": _true,
    "trust_remote_code": _true,
    "tools": _strings(),
    "files": _files,
}
_CACHES: dict[str, checks.Check] = {
    "layer": hexadecimal(64),
    "size": _bytes,
    "script": hexadecimal(64),
    "variables": _strings(),
    "tools": _strings(),
}
_FILE: dict[str, checks.Check] = {"path": _path, "size": _bytes, "sha256": hexadecimal(64)}
