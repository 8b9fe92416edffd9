"""What a command within walls has, as values."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

HOME = "/home/sbx_user1051"
"""The home folder of a Lambda function: named, not there, and impossible to make."""

USER = 993
"""The user a Lambda function runs as; the password file of an image does not know it."""

TMP_MB = 512
"""MB of /tmp unless a function asks for more (AWS Lambda quotas, "/tmp directory storage")."""

CPUS = Path("/sys/devices/system/cpu")
"""Where Linux describes its processors; there is nothing in Lambda's sandbox."""


@dataclass(frozen=True, slots=True)
class Walls:
    """What is kept from a command. Every field can be left as Lambda has it.

    Attributes:
        read_only: every file system but /tmp and ``writable`` is read-only.
        writable: folders that stay writable.
        home: value of HOME; None leaves it as it is.
        network: whether anything but the own loopback interface can be reached. Lambda can reach the internet.
        shm: whether there is a /dev/shm, which the locks of multiprocessing need.
        user: id of a user whom the password file does not know; None stays who one is.
        tmp_mb: size of a new, empty /tmp; None keeps the one there is, as read-only as all else.
        hidden: folders that are empty, and files that are, but for what ``through`` and ``writable`` name in them.
        through: files and folders that can be seen though they lie in /tmp or in what is hidden. The interpreter, its
            packages and this package always can.
        unreadable: files and folders that nobody can open, as those that only their owner may read on Lambda.
    """

    read_only: bool = True
    writable: tuple[Path, ...] = ()
    home: str | None = HOME
    network: bool = True
    shm: bool = False
    user: int | None = USER
    tmp_mb: int | None = TMP_MB
    hidden: tuple[Path, ...] = (CPUS,)
    through: tuple[Path, ...] = ()
    unreadable: tuple[Path, ...] = ()


LAMBDA = Walls()
"""What a function has on AWS Lambda."""
