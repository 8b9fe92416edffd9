"""Checks of the table ``[deploy]`` of the project file."""

from __future__ import annotations

import re
from typing import Any

from firstlight.project.checks import Check, Place, choice, keys, number, switch, text

_REGION = re.compile(r"[a-z]{2}(-[a-z]+)+-\d")
_EMAIL = re.compile(r"[^@\s]+@[^@\s]+\.[^@\s]+")
_LOG_DAYS = (
    1,
    3,
    5,
    7,
    14,
    30,
    60,
    90,
    120,
    150,
    180,
    365,
    400,
    545,
    731,
    1096,
    1827,
    2192,
    2557,
    2922,
    3288,
    3653,
)
"""What CloudWatch Logs takes (PutRetentionPolicy)."""


def checked(place: Place, given: dict[str, Any]) -> dict[str, Any]:
    """The settings of a ``[deploy]`` table.

    Raises:
        ProjectError: naming file, table and key of the first mistake.
    """
    return keys(place, given, DEPLOY)


def region(place: Place, key: str, value: Any) -> str:
    """The name of an AWS region, as far as names can tell."""
    word = text(place, key, value)
    if not _REGION.fullmatch(word):
        raise place.error(key, f"{word[:40]!r} is not a region", "for example eu-central-1")
    return word


def email(place: Place, key: str, value: Any) -> str:
    """An address that mail can go to."""
    word = text(place, key, value)
    if not _EMAIL.fullmatch(word):
        raise place.error(key, "is not an email address", "for example someone@example.org")
    return word


def _log_days(place: Place, key: str, value: Any) -> int:
    days = int(number(1, 3653, "days", whole=True)(place, key, value))
    if days not in _LOG_DAYS:
        near = min(_LOG_DAYS, key=lambda allowed: abs(allowed - days))
        raise place.error(
            key, f"CloudWatch does not keep logs for {days} days", f"the nearest it takes is {near}"
        )
    return days


DEPLOY: dict[str, Check] = {
    "region": region,
    "architecture": choice("arm64", "x86_64"),
    "package": choice("image", "zip", "auto"),
    "base": text,
    "registry": text,
    "log_days": _log_days,
    "api": choice("none", "rest", "http"),
    "public": switch,
    "share": switch,
    "share_key": text,
    "jobs": switch,
    "cache": choice("none", "efs", "s3files"),
    "ping": switch,
    "budget": number(0.01, 1_000_000, "USD a month"),
    "kill_switch": switch,
    "email": email,
    "alarms": switch,
}
