"""Walls by Landlock, which any user may put up: writing is refused everywhere but in a few places, and so is TCP.

It takes rights away and shows nothing else than there is: /tmp stays the one there was, and so does the user, though
without capabilities.
"""

from __future__ import annotations

import os
import stat

from firstlight.isolation import kernel

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_WRITE_FILE, _TRUNCATE, _REFER = 1 << 1, 1 << 14, 1 << 13
_CHANGE_FOLDER = sum(1 << bit for bit in range(4, 13))
_BIND_AND_CONNECT = 0b11
_DEVICES = tuple(f"/dev/{name}" for name in ("null", "zero", "full", "random", "urandom", "tty"))


def cut(walls: dict[str, Any]) -> dict[str, str]:
    """Put up what can be put up; the other walls and why they are missing."""
    missing = dict.fromkeys(("tmp", "user", "unreadable", "hidden"), "Landlock cannot do it")
    try:
        version = kernel.landlock_version()
    except OSError:
        return dict.fromkeys(("read-only", "shm", "network", *missing), "the system has no Landlock")
    network = 0
    if not walls["network"]:
        if version < 4:
            missing["network"] = "Landlock of this system is too old for it"
        else:
            network = _BIND_AND_CONNECT
    if walls["read_only"]:
        rights = _rights(version)
        kernel.landlock(rights, network, _allowed(walls, rights))
    elif network:
        kernel.landlock(0, network, {})
    kernel.give_up_capabilities()
    return missing


def _rights(version: int) -> int:
    """The rights to change files that a version knows."""
    rights = _WRITE_FILE | _CHANGE_FOLDER
    rights |= _REFER if version >= 2 else 0
    return rights | (_TRUNCATE if version >= 3 else 0)


def _allowed(walls: dict[str, Any], rights: int) -> dict[str, int]:
    """Where files may be changed, with the rights that a file or a folder can have."""
    places = [*walls["writable"], *_DEVICES]
    places += ["/tmp"] if walls["tmp_mb"] is not None else []  # noqa: S108
    places += ["/dev/shm"] if walls["shm"] else []  # noqa: S108
    found = {}
    for place in places:
        try:
            mode = os.stat(place).st_mode  # noqa: PTH116 - pathlib costs 5 ms of a start
        except OSError:
            continue
        found[place] = rights if stat.S_ISDIR(mode) else rights & (_WRITE_FILE | _TRUNCATE)
    return found
