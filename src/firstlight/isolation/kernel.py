"""The system calls that Python does not have, through the C library: namespaces, mounts, capabilities, Landlock.

Numbers of the newer ones are the same on x86-64 and arm64 (linux/include/uapi/asm-generic/unistd.h).
"""

from __future__ import annotations

import ctypes
import os

NEW_MOUNTS, NEW_USER, NEW_NETWORK = 0x00020000, 0x10000000, 0x40000000
READ_ONLY, NO_SETUID, NO_DEVICES, NO_PROGRAMS = 1, 2, 4, 8
REMOUNT, BIND, RECURSIVE, PRIVATE = 32, 4096, 16384, 1 << 18

_MOUNT_SETATTR, _LANDLOCK_CREATE, _LANDLOCK_ADD, _LANDLOCK_RESTRICT = 442, 444, 445, 446
_AT_FDCWD, _AT_RECURSIVE = -100, 0x8000
_LANDLOCK_VERSION, _PATH_BENEATH = 1, 1
_SET_NO_NEW_PRIVILEGES, _DROP_FROM_BOUND, _CAPABILITIES_VERSION = 38, 24, 0x20080522
_MOST_CAPABILITIES = 64

_NOTHING = (ctypes.c_ulong(0),) * 3

_C = ctypes.CDLL(None, use_errno=True)


def _checked(result: int, what: str) -> int:
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), what)
    return result


def _call(number: int, what: str, *arguments: object) -> int:
    return _checked(_C.syscall(ctypes.c_long(number), *arguments), what)


def unshare(flags: int) -> None:
    """Leave the namespaces of the parent (unshare(2)).

    Raises:
        OSError: the system does not allow it.
    """
    _checked(_C.unshare(flags), "unshare")


def mount(source: str, target: str, kind: str = "", flags: int = 0, options: str = "") -> None:
    """Put a file system, or a part of one, over a folder or a file (mount(2)).

    Raises:
        OSError: with the target as its file name.
    """
    words = (source.encode(), os.fsencode(target), kind.encode())
    _checked(_C.mount(*words, ctypes.c_ulong(flags), options.encode()), target)


class _MountAttributes(ctypes.Structure):
    _fields_ = tuple((name, ctypes.c_uint64) for name in ("set", "clear", "propagation", "user_namespace"))


def set_read_only(target: str, read_only: bool, *, recursive: bool = False) -> None:
    """Make a mount (and with ``recursive`` all below it) read-only, or writable again (mount_setattr(2), Linux 5.12).

    Raises:
        OSError: ENOSYS on an older system.
    """
    wish = _MountAttributes(set=READ_ONLY) if read_only else _MountAttributes(clear=READ_ONLY)
    size = ctypes.c_size_t(ctypes.sizeof(wish))
    below = ctypes.c_uint(_AT_RECURSIVE if recursive else 0)
    path = ctypes.c_char_p(os.fsencode(target))
    _call(_MOUNT_SETATTR, target, ctypes.c_int(_AT_FDCWD), path, below, ctypes.byref(wish), size)


class _CapabilityHeader(ctypes.Structure):
    _fields_ = (("version", ctypes.c_uint32), ("pid", ctypes.c_int))


def give_up_capabilities() -> None:
    """Have no capability and get none from a program that is started later (capabilities(7)).

    Raises:
        OSError: the system refused.
    """
    for number in range(_MOST_CAPABILITIES):
        if _C.prctl(_DROP_FROM_BOUND, ctypes.c_ulong(number), *_NOTHING) < 0:
            break  # beyond the last one, or not allowed to: then none is held either
    nothing = (ctypes.c_uint32 * 6)()
    _checked(_C.capset(ctypes.byref(_CapabilityHeader(_CAPABILITIES_VERSION, 0)), nothing), "capset")
    no_new_privileges()


def no_new_privileges() -> None:
    """Programs started from here on gain nothing by their set-user-id bit.

    Raises:
        OSError: the system refused.
    """
    _checked(_C.prctl(_SET_NO_NEW_PRIVILEGES, ctypes.c_ulong(1), *_NOTHING), "no_new_privs")


class _Ruleset(ctypes.Structure):
    _fields_ = (("files", ctypes.c_uint64), ("network", ctypes.c_uint64), ("scoped", ctypes.c_uint64))


class _PathRule(ctypes.Structure):
    _pack_ = 1
    _fields_ = (("allowed", ctypes.c_uint64), ("parent", ctypes.c_int32))


def landlock_version() -> int:
    """The version of Landlock that the system has.

    Raises:
        OSError: ENOSYS or EOPNOTSUPP where it has none.
    """
    nothing, flag = ctypes.c_void_p(None), ctypes.c_uint32(_LANDLOCK_VERSION)
    return _call(_LANDLOCK_CREATE, "landlock", nothing, ctypes.c_size_t(0), flag)


def landlock(files: int, network: int, allowed: dict[str, int]) -> None:
    """Give up rights to files, and to TCP, for good (landlock(7)).

    Args:
        files: the rights that are given up everywhere but where ``allowed`` grants them.
        network: the rights to TCP that are given up.
        allowed: path -> rights to it and, if it is a folder, to all that is below.

    Raises:
        OSError: the system refused.
    """
    wish = _Ruleset(files=files, network=network)
    # The structure has grown with the versions of Landlock; the oldest knows its first field alone.
    size = ctypes.c_size_t(16 if network else 8)
    ruleset = _call(_LANDLOCK_CREATE, "landlock", ctypes.byref(wish), size, ctypes.c_uint32(0))
    for path, rights in allowed.items():
        descriptor = os.open(path, os.O_PATH | os.O_CLOEXEC)
        rule = _PathRule(rights, descriptor)
        kind, none = ctypes.c_int(_PATH_BENEATH), ctypes.c_uint32(0)
        _call(_LANDLOCK_ADD, path, ctypes.c_int(ruleset), kind, ctypes.byref(rule), none)
        os.close(descriptor)
    no_new_privileges()
    _call(_LANDLOCK_RESTRICT, "landlock", ctypes.c_int(ruleset), ctypes.c_uint32(0))
    os.close(ruleset)
