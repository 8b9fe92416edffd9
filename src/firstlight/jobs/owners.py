"""Who has a job in hand: a process, by its machine, its id and when it began, so that it is known when it is gone."""

from __future__ import annotations

import os
import platform
import secrets
from collections.abc import Iterable
from pathlib import Path


def this_process() -> str:
    """A name for an owner within this process: ``machine/pid/start/random``."""
    return f"{_machine()}/{os.getpid()}/{_began(os.getpid())}/{secrets.token_hex(4)}"


def gone(owners: Iterable[str]) -> list[str]:
    """Those that are processes of this machine and have ended; of others nothing is known but their lease."""
    here = _machine()
    return [owner for owner in owners if _has_ended(owner, here)]


def _has_ended(owner: str, here: str) -> bool:
    machine, _, rest = owner.partition("/")
    pid, _, rest = rest.partition("/")
    began = rest.partition("/")[0]
    if machine != here or not pid.isdecimal() or int(pid) == os.getpid():
        return False
    try:
        os.kill(int(pid), 0)
    except (ProcessLookupError, OverflowError):
        return True
    except PermissionError:
        pass
    return began != _began(int(pid))


def _machine() -> str:
    """This boot of this machine, and the namespace its process ids are of where there are such."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
        return f"{boot}-{Path('/proc/self/ns/pid').stat().st_ino}"
    except OSError:
        return platform.node().replace("/", "-") or "machine"


def _began(pid: int) -> str:
    """When a process began, in a unit of the system's own; the same for all where that is not to be known."""
    try:
        line = Path(f"/proc/{pid}/stat").read_text(encoding="ascii", errors="replace")
    except OSError:
        return "-"
    after = line.rpartition(")")[2].split()
    return "-" if after[0] == "Z" else after[19]
