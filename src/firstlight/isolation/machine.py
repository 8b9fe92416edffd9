"""What walls a machine allows: tried, not guessed; and a command within them."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache

from firstlight.isolation.walls import Walls
from firstlight.isolation.wrapping import wrapped

WALLS = {
    "read-only": "everything but /tmp is read-only",
    "tmp": "/tmp is new, empty and limited",  # noqa: S108
    "shm": "there is no /dev/shm",
    "user": "the user is unknown and has no rights",
    "unreadable": "files that only their owner may read cannot be opened",
    "hidden": "/sys/devices/system/cpu is empty",
    "network": "the network is cut",
}
"""The walls there are, in words."""


@dataclass(frozen=True, slots=True)
class Support:
    """What this machine allows.

    Attributes:
        how: ``namespaces``, ``landlock``, or ``none``.
        missing: wall -> why it is not enforced here; the walls are the keys of ``WALLS``.
        asked: the walls this is about.
    """

    how: str
    missing: Mapping[str, str]
    asked: tuple[str, ...] = tuple(WALLS)

    @property
    def enforced(self) -> tuple[str, ...]:
        """The walls that stand, in the order of ``WALLS``."""
        return tuple(name for name in self.asked if name not in self.missing)

    def of(self, walls: Walls) -> Support:
        """The same, without the wall that nobody asked for: a network that is not to be cut."""
        if not walls.network:
            return self
        return replace(self, asked=tuple(name for name in self.asked if name != "network"))

    def sentence(self) -> str:
        """What is enforced, for people."""
        if not self.enforced:
            return "no wall can be enforced on this machine; only HOME is as on Lambda"
        return f"enforced by {self.how}: {', '.join(WALLS[name] for name in self.enforced)}"

    def warnings(self) -> list[str]:
        """One line for each reason why walls are not enforced."""
        reasons: dict[str, list[str]] = {}
        for name in self.asked:
            if name in self.missing:
                reasons.setdefault(self.missing[name], []).append(WALLS[name])
        return [f"not enforced here: {', '.join(walls)} ({why})" for why, walls in reasons.items()]


def command(argv: Sequence[str], walls: Walls, on: Support | None = None) -> list[str]:
    """The command line that runs ``argv`` within walls; the process that is started becomes it, with the same id.

    What cannot be enforced on this machine is left out: ``support`` says what that is. The command has no capability.

    Args:
        argv: program and arguments. The program is looked for in PATH.
        on: what the machine allows; found out where it is not given.

    Returns:
        the command line; it ends with exit code 126 when the walls could not be put up, 127 when the program could
        not be started.
    """
    return wrapped(argv, walls, (on or support()).how)


@cache
def support() -> Support:
    """Try every wall in processes that end at once (0.1 s the first time)."""
    if sys.platform != "linux":
        return Support("none", dict.fromkeys(WALLS, f"{sys.platform} has no namespaces"))
    first = tried("namespaces")
    if "read-only" not in first.missing:
        return first
    why = first.missing["read-only"]
    second = tried("landlock")
    if "read-only" not in second.missing:
        return Support("landlock", {name: why for name in WALLS if name in second.missing})
    return Support("none", dict.fromkeys(WALLS, f"{why}; {second.missing['read-only']}"))


def tried(how: str) -> Support:
    """What comes of putting up every wall in one way, in a process of its own."""
    done = subprocess.run(
        wrapped((), Walls(network=False), how), capture_output=True, text=True, check=False, timeout=60
    )
    try:
        missing = json.loads(done.stdout)
    except ValueError:
        lines = done.stderr.strip().splitlines()
        missing = dict.fromkeys(WALLS, lines[-1] if lines else f"the trial ended with {done.returncode}")
    return Support(how, {name: missing[name] for name in WALLS if name in missing})
