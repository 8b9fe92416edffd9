"""Inside a traced run: an audit hook that sees what Python code writes, reads, starts and calls, and who does it.

Events are those of "Audit events table" in Python's documentation. Code that is not Python (a library written in C or
Rust, another program) goes unseen; what it leaves in the clean folders is found there all the same.
"""

from __future__ import annotations

import errno
import os
import socket
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import FrameType
from typing import Any

PLUMBING = frozenset(
    {
        *(
            "appdirs",
            "fsspec",
            "filelock",
            "httpx",
            "httpcore",
            "joblib",
            "platformdirs",
            "pooch",
            "requests",
        ),
        *("tqdm", "urllib3", "smart_open", "cloudpickle", "diskcache", "portalocker"),
    }
)
"""Packages that write for others: the one that called them is named."""

_WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
_PATHS_OF: dict[str, tuple[int, ...]] = {
    "os.mkdir": (0,),
    "os.rename": (0, 1),
    "os.remove": (0,),
    "os.rmdir": (0,),
    "os.link": (1,),
    "os.symlink": (1,),
    "os.truncate": (0,),
    "os.chmod": (0,),
    "os.chown": (0,),
    "os.utime": (0,),
}
"""Audit event -> which of its arguments are paths that change."""
_PROGRAMS = {"subprocess.Popen": 0, "os.system": 0, "os.exec": 0, "os.posix_spawn": 0}
_DEVICES = ("/dev/", "/proc/")


@dataclass(frozen=True, slots=True)
class Rules:
    """What is watched and what is refused.

    Args:
        packages: folders whose parts are packages (site-packages).
        known: prefixes of what may be read without a word: the interpreter, its packages, the system.
        writable: prefixes that may be written where ``walled``, but for what begins with one of ``sealed``.
        walled: refuse writes elsewhere, as a read-only file system would.
        cut: refuse connections, as a machine without a network would.
    """

    packages: tuple[str, ...] = ()
    known: tuple[str, ...] = ()
    writable: tuple[str, ...] = ()
    sealed: tuple[str, ...] = ()
    walled: bool = False
    cut: bool = False

    def may_write(self, path: str) -> bool:
        """Whether a path can be written within walls."""
        return path.startswith(self.writable) and not path.startswith(self.sealed)


class Watch:
    """The hook.

    Args:
        rules: see there.
        tell: is given each new event, a mapping with ``kind``: ``write``, ``read``, ``program`` or ``host``.
    """

    def __init__(self, rules: Rules, tell: Callable[[Mapping[str, str]], None]) -> None:
        self._rules = rules
        self._tell = tell
        self._told: set[tuple[str, str]] = set()

    def __call__(self, event: str, args: tuple[Any, ...]) -> None:
        """An audit event; whatever is not about files, programs or the network is passed over."""
        if event == "open" and len(args) == 3:
            self._open(*args)
        elif event in _PATHS_OF:
            for index in _PATHS_OF[event]:
                self._write(_located(event, args, index), args[index])
        elif event == "sqlite3.connect":
            self._write(_whole(args[0]), args[0])
        elif event in _PROGRAMS:
            self._say("program", _text(args[_PROGRAMS[event]]))
        elif event.startswith("socket."):
            self._call(event, args)

    def _open(self, path: Any, mode: Any, flags: Any) -> None:
        if isinstance(path, int):
            return
        writes = bool(flags & _WRITING) if isinstance(flags, int) else any(c in str(mode) for c in "wax+")
        whole = _whole(path)
        if writes:
            if not (flags & os.O_ACCMODE == os.O_RDONLY and os.path.exists(whole)):  # noqa: PTH110 - a quick look
                # os.open may be given an open folder, which the event does not say: that is left to the system.
                self._write(whole, path, certain=mode is not None or os.path.isabs(path))  # noqa: PTH117
        elif not whole.startswith(self._rules.known) and os.path.isfile(whole):  # noqa: PTH113
            self._say("read", whole)

    def _write(self, whole: str, given: Any, *, certain: bool = True) -> None:
        if whole.startswith(_DEVICES) or whole == ":memory:":
            return
        self._say("write", whole)
        if certain and self._rules.walled and not self._rules.may_write(whole):
            raise OSError(errno.EROFS, os.strerror(errno.EROFS), given)

    def _call(self, event: str, args: tuple[Any, ...]) -> None:
        if event == "socket.getaddrinfo" and args[0]:
            host = _text(args[0])
        elif event in ("socket.connect", "socket.sendto", "socket.sendmsg"):
            if args[0].family not in (socket.AF_INET, socket.AF_INET6) or not args[1]:
                return
            host = _text(args[1][0])
        else:
            return
        self._say("host", host)
        if self._rules.cut:
            if event == "socket.getaddrinfo":
                raise socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution")
            raise OSError(errno.ENETUNREACH, os.strerror(errno.ENETUNREACH))

    def _say(self, kind: str, what: str) -> None:
        told = (kind, os.path.dirname(what) if kind == "read" else what)  # noqa: PTH120
        if told not in self._told:
            self._told.add(told)
            self._tell({"kind": kind, "what": what, "by": writer(sys._getframe(2), self._rules.packages)})


def writer(frame: FrameType | None, packages: tuple[str, ...]) -> str:
    """The package a frame runs for: the nearest caller that is installed and is not plumbing; empty for the script.

    Args:
        packages: folders whose parts are packages.
    """
    plumbing = ""
    while frame is not None:
        name = _package(frame.f_code.co_filename, packages)
        if name and name not in PLUMBING and name != "firstlight":
            return name
        plumbing = plumbing or (name if name != "firstlight" else "")
        frame = frame.f_back
    return plumbing


def _package(file: str, packages: tuple[str, ...]) -> str:
    for folder in packages:
        if file.startswith(folder):
            return file[len(folder) :].lstrip(os.sep).partition(os.sep)[0].removesuffix(".py")
    return ""


def _located(event: str, args: tuple[Any, ...], index: int) -> str:
    """The whole path of an argument that may be relative to an open folder, which follows the paths."""
    names = {"os.mkdir": (2,), "os.remove": (1,), "os.rmdir": (1,), "os.rename": (2, 3), "os.link": (2, 3)}
    where = dict(zip(_PATHS_OF[event], names.get(event, ()), strict=False)).get(index)
    folder = args[where] if where is not None and len(args) > where else -1
    if not isinstance(folder, int) or folder < 0 or isinstance(args[index], int):
        return _whole(args[index])
    try:
        return os.path.join(os.readlink(f"/proc/self/fd/{folder}"), _text(args[index]))  # noqa: PTH115, PTH118
    except OSError:
        return _whole(args[index])


def _whole(path: Any) -> str:
    if isinstance(path, int):
        try:
            return os.readlink(f"/proc/self/fd/{path}")  # noqa: PTH115
        except OSError:
            return "/dev/fd"
    text = _text(path)
    if text in ("", ":memory:") or text.startswith("file:"):
        return ":memory:"
    try:
        return os.path.abspath(text)  # noqa: PTH100
    except OSError:  # the working folder is gone
        return text


def _text(value: Any) -> str:
    try:
        return os.fsdecode(value)
    except TypeError:
        return str(value)
