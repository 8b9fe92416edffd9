"""Whether a process may be forked in the place of a snapshot: what a fork would lose, or share where Lambda would not.

A fork has one thread, so what others held or did is lost. It shares what the kernel keeps for both: connections, pipes,
the place in a file, memory that was mapped to be shared. Linux only (``/proc``).
"""

from __future__ import annotations

import fcntl
import os
import stat
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

_KINDS = {
    stat.S_IFSOCK: "a socket",
    stat.S_IFIFO: "a pipe",
    stat.S_IFBLK: "a disk",
}
_THREADED = (
    *("libctranslate2", "libopenblas", "libscipy_openblas", "libgomp", "libtbb", "libtorch", "onnxruntime"),
    "libggml",
)
"""Libraries that are known to start threads."""


def reason(ours: Iterable[int]) -> str:
    """Why this process cannot be forked safely; empty where it can.

    Args:
        ours: descriptors that are no concern (the log, the control socket).
    """
    if _has_children():
        return "it has started a process that still runs"
    _let_threads_end()
    if len(names := _threads()) > 1:
        return _of_threads(names)
    own = {0, 1, 2, *ours}
    for descriptor, target in _descriptors():
        if descriptor not in own and (found := _of_descriptor(descriptor, target)):
            return found
    return _of_memory()


def reopen() -> None:
    """Open every file again that was open before the fork, at its place: its copy must not move with the others'."""
    for descriptor, _ in _descriptors():
        if descriptor <= 2:
            continue
        try:
            if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                continue
            place = os.lseek(descriptor, 0, os.SEEK_CUR)
            again = os.open(f"/proc/self/fd/{descriptor}", os.O_RDONLY | os.O_CLOEXEC)
        except OSError:
            continue  # it was closed meanwhile, or may not be opened any more
        os.lseek(again, place, os.SEEK_SET)
        os.dup2(again, descriptor, inheritable=os.get_inheritable(descriptor))
        os.close(again)


def differ() -> None:
    """Give every copy random numbers of its own. ``random`` does that by itself, ``os.urandom`` always has."""
    numpy = sys.modules.get("numpy.random")
    if numpy is not None:
        numpy.seed()
    torch = sys.modules.get("torch")
    if torch is not None:
        torch.seed()


def _let_threads_end() -> None:
    """Fork once for nothing: libraries that know of forks (OpenBLAS) end their threads before one."""
    pid = os.fork()
    if pid == 0:
        os._exit(0)
    os.waitpid(pid, 0)


def _threads() -> list[str]:
    """The names of this process's threads, as the kernel has them."""
    found = []
    for task in os.listdir("/proc/self/task"):  # noqa: PTH208 - pathlib is not loaded here
        try:
            with open(f"/proc/self/task/{task}/comm") as file:  # noqa: PTH123
                found.append(file.read().strip())
        except OSError:
            continue  # it has ended meanwhile
    return found


def _of_threads(names: list[str]) -> str:
    threading = sys.modules.get("threading")
    python = []
    if threading is not None:
        main = threading.main_thread()
        python = [thread.name for thread in threading.enumerate() if thread is not main]
    if python:
        return f"it has {len(names)} threads ({', '.join(python[:3])})"
    mapped = _mapped()
    likely = [name.removeprefix("lib") for name in _THREADED if any(name in path for _, path in mapped)]
    whose = f", likely of {' or '.join(likely)}" if likely else ""
    return f"it has {len(names)} threads{whose}"


def _has_children() -> bool:
    try:
        os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
    except ChildProcessError:
        return False
    return True


def _descriptors() -> list[tuple[int, str]]:
    """Open descriptors and what they lead to."""
    found = []
    for name in os.listdir("/proc/self/fd"):  # noqa: PTH208
        try:
            found.append((int(name), os.readlink(f"/proc/self/fd/{name}")))  # noqa: PTH115
        except OSError:
            continue  # the one by which the folder itself was read
    return found


def _of_descriptor(descriptor: int, target: str) -> str:
    try:
        mode = os.fstat(descriptor).st_mode
        writes = fcntl.fcntl(descriptor, fcntl.F_GETFL) & os.O_ACCMODE != os.O_RDONLY
    except OSError:
        return ""
    kind = stat.S_IFMT(mode)
    if kind in _KINDS:
        return f"it has {_KINDS[kind]} open"
    if kind == stat.S_IFREG and writes:
        return f"it has {target} open for writing"
    return "" if kind in (stat.S_IFREG, stat.S_IFDIR, stat.S_IFCHR) else f"it has {target} open"


def _of_memory() -> str:
    """Memory that a fork would go on sharing."""
    for rights, path in _mapped():
        if rights[1] == "w" and rights[3] == "s":
            return f"it has memory that is shared ({path or 'anonymous'})"
    return ""


def _mapped() -> list[tuple[str, str]]:
    """Rights and path of every mapping."""
    return list(_lines())


def _lines() -> Iterator[tuple[str, str]]:
    with open("/proc/self/maps") as file:  # noqa: PTH123
        for line in file:
            fields = line.split(maxsplit=5)
            yield fields[1], fields[5].strip() if len(fields) > 5 else ""
