"""Compares the answers of two runs, and says where they differ."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

RELATIVE, ABSOLUTE = 1e-4, 1e-6
"""How far floats may lie apart: sums of many numbers depend on how many threads share them."""


def differences(one: Any, other: Any, path: str = "$") -> list[str]:
    """The places where two JSON values differ, as paths such as ``$.scores[2]``.

    A list of another length, or a value of another type, differs as a whole.
    """
    if isinstance(one, bool) or isinstance(other, bool):
        return [] if one is other else [path]
    if isinstance(one, int | float) and isinstance(other, int | float):
        return [] if _near(one, other) else [path]
    if isinstance(one, dict) and isinstance(other, dict):
        found = [f"{path}.{key}" for key in sorted(one.keys() ^ other.keys())]
        for key in sorted(one.keys() & other.keys()):
            found += differences(one[key], other[key], f"{path}.{key}")
        return found
    if isinstance(one, list) and isinstance(other, list) and len(one) == len(other):
        return [
            place
            for index, pair in enumerate(zip(one, other, strict=True))
            for place in differences(*pair, f"{path}[{index}]")
        ]
    return [] if one == other else [path]


def _near(one: float, other: float) -> bool:
    if isinstance(one, int) and isinstance(other, int):
        return one == other
    if math.isnan(one) or math.isnan(other):
        return math.isnan(one) and math.isnan(other)
    return math.isclose(one, other, rel_tol=RELATIVE, abs_tol=ABSOLUTE)


def stable(found: Iterable[str], unstable: Iterable[str]) -> list[str]:
    """Those of the paths that do not lie at or below one that differs from run to run, nor around one."""
    known = tuple(unstable)
    return [
        path for path in found if not any(_within(path, other) or _within(other, path) for other in known)
    ]


def _within(path: str, other: str) -> bool:
    return path == other or path.startswith((f"{other}.", f"{other}["))


def shown(value: Any, path: str) -> str:
    """What a JSON value has at a path, cut to be read in a line."""
    for step in path.removeprefix("$").replace("[", ".[").split("."):
        try:
            value = value[int(step[1:-1])] if step.startswith("[") else value[step] if step else value
        except (KeyError, IndexError, TypeError, ValueError):
            return "nothing"
    text = repr(value)
    return text if len(text) <= 80 else f"{text[:77]}..."
