"""Reads ``[targets.*]`` of firstlight.lock: the base image and the wheels that functions are made of."""

from __future__ import annotations

import re
from typing import Any

from firstlight.build.lock.reading_values import MEND, hexadecimal, inside, line, whole
from firstlight.build.lock.types import LockedTarget, WheelSet
from firstlight.build.pack.types import Wheel
from firstlight.project import checks
from firstlight.project.checks import Place

_TARGET = re.compile(r"(arm64|x86_64)-python3\.\d{1,2}")
_BASE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:/\[\]-]*@sha256:[0-9a-f]{64}|rootfs:sha256:[0-9a-f]{64}")
_NAME = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")
_VERSION = re.compile(r"[A-Za-z0-9][A-Za-z0-9.!+_-]*")
_FILE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+!-]*\.whl")


def targets(place: Place, key: str, value: Any) -> dict[str, LockedTarget]:
    """What ``[targets]`` says, by target.

    Raises:
        ProjectError: naming table and key of the first mistake.
    """
    inner, found = place.inside(key), dict[str, LockedTarget]()
    for name, content in checks.table(place, key, value).items():
        if not _TARGET.fullmatch(name):
            raise inner.error("", f"{name[:80]!r} is no target such as arm64-python3.13", MEND)
        given = checks.keys(inner.inside(name), checks.table(inner, name, content), _LOCKED)
        found[name] = LockedTarget(given.get("base", ""), given.get("wheels", {}))
    return found


def _base(place: Place, key: str, value: Any) -> str:
    word = line(place, key, value)
    if not _BASE.fullmatch(word):
        raise place.error(key, "must be an image with its digest, host/name@sha256:...", MEND)
    return word


def _sets(place: Place, key: str, value: Any) -> dict[str, WheelSet]:
    inner, found = place.inside(key), dict[str, WheelSet]()
    for name, content in checks.table(place, key, value).items():
        if not inside(name):
            raise inner.error("", f"{name[:80]!r} is not a name, nor a path inside the project", MEND)
        known: dict[str, checks.Check] = {"asked": hexadecimal(64), "wheels": _wheels}
        found[name] = WheelSet(**whole(inner.inside(name), checks.table(inner, name, content), known, ()))
    return found


def _wheels(place: Place, key: str, value: Any) -> tuple[Wheel, ...]:
    if not isinstance(value, list):
        raise place.error(key, f"must be a list, not {checks.kind(value)}", MEND)
    found = tuple(_wheel(place, f"{key}[{number}]", table) for number, table in enumerate(value))
    names = [wheel.name for wheel in found]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise place.error(key, f"{twice!r} is there twice", MEND)
    return tuple(sorted(found, key=lambda wheel: wheel.name))


def _wheel(place: Place, key: str, value: Any) -> Wheel:
    table = checks.table(place, key, value)
    return Wheel(**whole(place.inside(key), table, _WHEEL, ("requires",)))


def _matching(pattern: re.Pattern[str], what: str) -> checks.Check:
    def check(place: Place, key: str, value: Any) -> str:
        word = line(place, key, value)
        if not pattern.fullmatch(word):
            raise place.error(key, f"{word[:80]!r} is not {what}", MEND)
        return word

    return check


_package = _matching(_NAME, "the name of a package, in lower case and with hyphens")


def _names(place: Place, key: str, value: Any) -> tuple[str, ...]:
    if not isinstance(value, list):
        raise place.error(key, f"must be a list, not {checks.kind(value)}", MEND)
    return tuple(_package(place, f"{key}[{number}]", name) for number, name in enumerate(value))


_LOCKED: dict[str, checks.Check] = {"base": _base, "wheels": _sets}
_WHEEL: dict[str, checks.Check] = {
    "name": _package,
    "version": _matching(_VERSION, "a version"),
    "file": _matching(_FILE, "the name of a wheel"),
    "sha256": hexadecimal(64),
    "requires": _names,
}
