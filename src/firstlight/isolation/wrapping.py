"""A command line that runs another one within walls."""

from __future__ import annotations

import json
import os
import sys
import sysconfig
from collections.abc import Iterable, Sequence
from pathlib import Path

from firstlight.isolation.walls import Walls

_WITHIN = Path(__file__).with_name("within.py")
_PASSWORDS = Path("/etc/passwd")


def wrapped(argv: Sequence[str], walls: Walls, how: str) -> list[str]:
    """The command line that runs ``argv`` within walls.

    Args:
        how: ``namespaces``, ``landlock`` or ``none``.
    """
    return [sys.executable, "-I", "-S", str(_WITHIN), json.dumps(described(walls, how)), *argv]


def described(walls: Walls, how: str) -> dict[str, object]:
    """What ``within.py`` is told; paths have no symbolic links left."""
    return {
        "how": how,
        "read_only": walls.read_only,
        "writable": _real(walls.writable),
        "home": walls.home,
        "network": walls.network,
        "shm": walls.shm,
        "user": None if walls.user is None else unknown_user(walls.user),
        "tmp_mb": walls.tmp_mb,
        "hidden": _real(walls.hidden),
        "through": _real((*walls.through, *own())),
        "unreadable": _real(walls.unreadable),
    }


def unknown_user(user: int, passwords: Path = _PASSWORDS) -> int:
    """The id, or the nearest one below that the password file of this machine does not know."""
    try:
        lines = passwords.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return user
    known = {fields[2] for fields in (line.split(":") for line in lines) if len(fields) > 2}
    return next(number for number in range(user, 0, -1) if str(number) not in known)


def own() -> Iterable[Path]:
    """The interpreter, its packages and this package: what every command of ours needs."""
    package = Path(__file__).resolve().parents[2]
    packages = (sysconfig.get_path("purelib"), sysconfig.get_path("platlib"))
    interpreter = (sys.prefix, sys.base_prefix, str(Path(os.path.realpath(sys.executable)).parent))
    return (package, *map(Path, (*interpreter, *packages)))


def _real(paths: Iterable[Path]) -> list[str]:
    return sorted({os.path.realpath(path) for path in paths})
