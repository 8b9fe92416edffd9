"""firstlight.lock: what every endpoint's bundle, and every function, is made of: every machine makes the same one."""

from __future__ import annotations

from firstlight.build.lock.comparing import asked, differences, for_endpoint, tools, unasked, wish_of
from firstlight.build.lock.reading import FILE, VERSION, parse, read
from firstlight.build.lock.types import Caches, Lock, LockedTarget, WheelSet
from firstlight.build.lock.writing import named, text, write

__all__ = [
    "FILE",
    "VERSION",
    "Caches",
    "Lock",
    "LockedTarget",
    "WheelSet",
    "asked",
    "differences",
    "for_endpoint",
    "named",
    "parse",
    "read",
    "text",
    "tools",
    "unasked",
    "wish_of",
    "write",
]
