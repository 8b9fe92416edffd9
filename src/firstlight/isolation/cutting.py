"""Walls by namespaces: mounts, a user without rights and a network of its own, as any user may make them.

See user_namespaces(7), mount_namespaces(7) and network_namespaces(7).
"""

# ruff: noqa: PTH101, PTH102, PTH103, PTH106, PTH110, PTH112, PTH120, PTH123, PTH211
# pathlib would cost each command 5 ms of its start.

from __future__ import annotations

import errno
import os
import stat

from firstlight.isolation import kernel
from firstlight.isolation.kernel import BIND, NO_DEVICES, NO_PROGRAMS, NO_SETUID, RECURSIVE, mount

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_GROUP = 990
_DEVICES = ("null", "zero", "full", "random", "urandom", "tty")
_LINKS = {"fd": "/proc/self/fd", "stdin": "fd/0", "stdout": "fd/1", "stderr": "fd/2"}
_STORE = "/dev/.walls"
_FLAGS = {"ro": kernel.READ_ONLY, "nosuid": NO_SETUID, "nodev": NO_DEVICES, "noexec": NO_PROGRAMS}


def cut(walls: dict[str, Any]) -> dict[str, str]:
    """Put up what can be put up; the other walls and why they are missing.

    Raises:
        OSError: what the command needs cannot be brought into what it will see.
    """
    missing: dict[str, str] = {}
    try:
        _leave(walls, missing)
    except OSError as error:
        return _none(error)
    try:
        mount("none", "/", "", RECURSIVE | kernel.PRIVATE)
        Mounts(walls, missing).arrange()
    except PermissionError as error:
        return _none(error)
    if not walls["network"] and "network" not in missing:
        _raise_loopback()
    kernel.give_up_capabilities()
    return missing


def _none(error: OSError) -> dict[str, str]:
    """No wall, and why."""
    reason = f"the system does not let a user make namespaces ({error.strerror})"
    return dict.fromkeys(("read-only", "tmp", "shm", "user", "unreadable", "hidden", "network"), reason)


def _leave(walls: dict[str, Any], missing: dict[str, str]) -> None:
    """Go into namespaces of one's own; root may do without the one of users, where only that is refused."""
    flags = kernel.NEW_MOUNTS | (0 if walls["network"] else kernel.NEW_NETWORK)
    user, group = os.geteuid(), os.getegid()
    try:
        kernel.unshare(flags | kernel.NEW_USER)
    except OSError as error:
        if user != 0:
            raise
        kernel.unshare(flags)
        missing["user"] = f"the system refuses a namespace of users ({error.strerror})"
        return
    wanted = walls["user"]
    _write("/proc/self/setgroups", "deny")
    _write("/proc/self/uid_map", f"{user if wanted is None else wanted} {user} 1")
    _write("/proc/self/gid_map", f"{group if wanted is None else _GROUP} {group} 1")


class Mounts:
    """Arranges what a command sees.

    Args:
        walls: as ``wrapping.described`` makes them.
        missing: is told which walls cannot be put up.
    """

    def __init__(self, walls: dict[str, Any], missing: dict[str, str]) -> None:
        self._walls = walls
        self._missing = missing
        self._writable: list[str] = walls["writable"]
        # A descriptor leads to what a path was, whatever is put over it.
        wanted = {*walls["through"], *self._writable}
        self._kept = {path: _handle(path) for path in sorted(wanted) if os.path.exists(path)}

    def arrange(self) -> None:
        """Put folders over others, then make all of it read-only but what is to stay writable."""
        for path in self._writable:
            if path in self._kept:
                mount(path, path, "", BIND | RECURSIVE)
        self._cover_devices()
        if self._walls["tmp_mb"] is not None:
            self._cover("/tmp", f"mode=1777,size={self._walls['tmp_mb']}m")  # noqa: S108
        for path in self._walls["hidden"]:
            self._hide(path)
        for path in self._walls["unreadable"]:
            self._close(path)
        _remove_store()
        if self._walls["read_only"]:
            self._seal()
        for descriptor in self._kept.values():
            os.close(descriptor)

    def _cover(self, folder: str, options: str, flags: int = NO_SETUID | NO_DEVICES) -> None:
        """Put a new, empty folder over one, and into it what is to be seen of the old one."""
        mount("tmpfs", folder, "tmpfs", flags, options)
        self._show_again(folder)

    def _show_again(self, folder: str) -> None:
        done: list[str] = []
        for path, descriptor in self._kept.items():
            inside = path.startswith(f"{folder}/")
            if inside and not any(path.startswith(f"{other}/") for other in done):
                _make_place(path, descriptor)
                mount(f"/proc/self/fd/{descriptor}", path, "", BIND | RECURSIVE)
                done.append(path)

    def _cover_devices(self) -> None:
        """A /dev that has what Lambda's has; one with /dev/shm where that is wanted."""
        kept = [*_DEVICES, "pts", "ptmx", *(["shm"] if self._walls["shm"] else [])]
        handles = {name: _handle(f"/dev/{name}") for name in kept if os.path.exists(f"/dev/{name}")}
        mount("tmpfs", "/dev", "tmpfs", NO_SETUID, "mode=755,size=1m")
        for name, descriptor in handles.items():
            _make_place(f"/dev/{name}", descriptor)
            mount(f"/proc/self/fd/{descriptor}", f"/dev/{name}", "", BIND | RECURSIVE)
            os.close(descriptor)
        for name, target in _LINKS.items():
            os.symlink(target, f"/dev/{name}")
        self._show_again("/dev")  # somebody's temporary folder may be in /dev/shm

    def _hide(self, path: str) -> None:
        if os.path.isdir(path):
            self._cover(path, "mode=755,size=1m")
        elif os.path.exists(path):
            mount(_stored("empty", 0o444, folder=False), path, "", BIND)

    def _close(self, path: str) -> None:
        """Put something over a file or folder that nobody can open."""
        folder = os.path.isdir(path)
        if folder or os.path.exists(path):
            mount(_stored("closed-folder" if folder else "closed", 0, folder=folder), path, "", BIND)

    def _seal(self) -> None:
        """Make everything read-only but /tmp and what is to stay writable."""
        open_places = [*self._writable, *(["/tmp"] if self._walls["tmp_mb"] is not None else [])]  # noqa: S108
        if "/dev/shm" not in open_places and self._walls["shm"]:  # noqa: S108
            open_places.append("/dev/shm")  # noqa: S108
        try:
            kernel.set_read_only("/", True, recursive=True)
        except OSError as error:
            if error.errno != errno.ENOSYS:
                raise
            seal_one_by_one(open_places, self._writable)
            return
        for path in open_places:
            if os.path.exists(path):
                kernel.set_read_only(path, False, recursive=path in self._writable)


def seal_one_by_one(but: list[str], but_below: list[str]) -> None:
    """Make mounts read-only as Linux before 5.12 can: each by itself, with the flags that it has.

    Args:
        but: mounts that stay as they are.
        but_below: folders below which all stay as they are.
    """
    with open("/proc/self/mountinfo", encoding="utf-8", errors="surrogateescape") as file:
        lines = [line.split(" ") for line in file]
    for fields in lines:
        place = _unescaped(fields[4])
        if place in but or any(place.startswith(f"{path}/") for path in but_below):
            continue
        flags = sum(_FLAGS.get(option, 0) for option in fields[5].split(",") if option != "ro")
        try:
            mount("none", place, "", kernel.REMOUNT | BIND | kernel.READ_ONLY | flags)
        except OSError as error:
            # Another mount lies over it, or nobody here can get there: then nobody can write there either.
            if error.errno not in (errno.EACCES, errno.EINVAL, errno.ENOENT):
                raise


def _unescaped(text: str) -> str:
    """A path of mountinfo, where blanks and backslashes are written as octal numbers."""
    parts = text.split("\\")
    return parts[0] + "".join(chr(int(part[:3], 8)) + part[3:] for part in parts[1:])


def _handle(path: str) -> int:
    return os.open(path, os.O_PATH | os.O_CLOEXEC)


def _make_place(path: str, descriptor: int) -> None:
    """Something to put a mount on: a folder for a folder, an empty file for anything else."""
    os.makedirs(os.path.dirname(path), exist_ok=True)
    if stat.S_ISDIR(os.fstat(descriptor).st_mode):
        os.makedirs(path, exist_ok=True)
    else:
        os.close(os.open(path, os.O_CREAT | os.O_WRONLY | os.O_CLOEXEC, 0o644))


def _stored(name: str, mode: int, *, folder: bool) -> str:
    """The path of something with a mode, in the new /dev, to be mounted elsewhere."""
    os.makedirs(_STORE, exist_ok=True)
    path = f"{_STORE}/{name}"
    if not os.path.lexists(path):
        os.mkdir(path) if folder else os.close(os.open(path, os.O_CREAT | os.O_WRONLY, 0o600))
        os.chmod(path, mode)
    return path


def _remove_store() -> None:
    """What is mounted elsewhere stays there."""
    if not os.path.isdir(_STORE):
        return
    for entry in os.scandir(_STORE):
        (os.rmdir if entry.is_dir() else os.unlink)(entry.path)
    os.rmdir(_STORE)


def _raise_loopback() -> None:
    """Turn on the loopback interface of a new network: a function may talk to itself."""
    import fcntl
    import socket
    import struct

    get_flags, set_flags, up = 0x8913, 0x8914, 1
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as control:
        asked = struct.pack("16sh14x", b"lo", 0)
        (flags,) = struct.unpack_from("h", fcntl.ioctl(control, get_flags, asked), 16)
        fcntl.ioctl(control, set_flags, struct.pack("16sh14x", b"lo", flags | up))


def _write(path: str, text: str) -> None:
    with open(path, "w", encoding="ascii") as file:
        file.write(text)
