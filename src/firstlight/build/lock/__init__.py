"""firstlight.lock: what every endpoint's bundle is made of, so that every machine makes the same one."""

from __future__ import annotations

from firstlight.build.lock.comparing import asked, differences, for_endpoint, tools, unasked, wish_of
from firstlight.build.lock.reading import FILE, VERSION, parse, read
from firstlight.build.lock.types import Caches, Lock
from firstlight.build.lock.writing import named, text, write

__all__ = [
    "FILE",
    "VERSION",
    "Caches",
    "Lock",
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
