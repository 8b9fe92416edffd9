"""Checks of single values in a lock file."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from firstlight.project import checks
from firstlight.project.checks import Place

MEND = "take the file from version control, or remove the table and run `firstlight build`"

Table = dict[str, Any]


def whole(place: Place, table: Table, known: Mapping[str, checks.Check], optional: tuple[str, ...]) -> Table:
    """The checked values of a table that has every key but the optional ones.

    Raises:
        ProjectError: a key is missing, is not known, or has a wrong value.
    """
    given = checks.keys(place, table, known)
    missing = next((key for key in known if key not in given and key not in optional), None)
    if missing is not None:
        raise place.error(missing, "is missing", MEND)
    return given


def hexadecimal(digits: int) -> checks.Check:
    """A check for so many hexadecimal digits."""

    def check(place: Place, key: str, value: Any) -> str:
        if not isinstance(value, str) or len(value) != digits or value.strip("0123456789abcdef"):
            raise place.error(key, f"must be {digits} hexadecimal digits", MEND)
        return value

    return check


def line(place: Place, key: str, value: Any) -> str:
    """A string of one line."""
    word = checks.text(place, key, value)
    if not word.isprintable():
        raise place.error(key, "has characters that cannot be printed", MEND)
    return word


def inside(path: str) -> bool:
    """Whether a path stays within the folder it is joined to, on every operating system."""
    parts = path.split("/")
    return path.isprintable() and "\\" not in path and ":" not in path and not {"", ".", ".."} & {*parts}
