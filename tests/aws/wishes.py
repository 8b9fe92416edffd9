"""Every pair of options, in as few projects as that takes."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from typing import Any

OPTIONS: Mapping[str, Sequence[Any]] = {
    "package": ("image", "zip"),
    "api": ("none", "rest", "http"),
    "public": (False, True),
    "share": (False, True),
    "jobs": (True, False),
    "cache": ("none", "efs", "s3files"),
    "ping": (True, False),
    "budget": (None, 20.0),
    "kill_switch": (False, True),
    "email": ("", "someone@example.org"),
    "alarms": (True, False),
    "architecture": ("arm64", "x86_64"),
    "front": ("rest", "http", "url"),
    "auth": ("none", "iam", "key"),
    "stream": (False, True),
    "ready": ("cold", "provisioned", "reserved", "snap_start"),
    "asynchronous": (False, True),
    "deployed": (False, True),
}


def allowed(chosen: Mapping[str, Any]) -> bool:
    """Whether a project may say this; what is not said yet is in nobody's way."""
    said = chosen.get
    return not any(
        (
            said("kill_switch") and "budget" in chosen and said("budget") is None,
            said("budget") and said("email") == "" and said("kill_switch") is False,
            said("auth") == "key" and said("front") in ("http", "url"),
            said("stream") and said("front") == "http",
            said("ready") == "snap_start" and said("cache") in ("efs", "s3files"),
        )
    )


def pairs() -> list[dict[str, Any]]:
    """Choices in which every allowed pair of values occurs."""
    left = {
        ((one, a), (two, b))
        for one, two in itertools.combinations(OPTIONS, 2)
        for a in OPTIONS[one]
        for b in OPTIONS[two]
        if allowed({one: a, two: b})
    }
    found = []
    while left:
        chosen = dict(min(left, key=repr))
        for name, values in OPTIONS.items():
            if name not in chosen:
                chosen[name] = max(
                    (value for value in values if allowed({**chosen, name: value})),
                    key=lambda value: _new(left, chosen, name, value),
                )
        if not allowed(chosen):
            raise ValueError(f"no project can say {chosen}")
        done = {pair for pair in left if all(chosen[name] == value for name, value in pair)}
        left -= done
        found.append({name: chosen[name] for name in OPTIONS})
    return found


def _new(left: set[Any], chosen: Mapping[str, Any], name: str, value: Any) -> int:
    new = (name, value)
    return sum(((item, new) in left) + ((new, item) in left) for item in chosen.items())
