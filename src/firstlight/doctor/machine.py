"""Checks of the machine: what workers and conversions need of it."""

from __future__ import annotations

import os
import platform
import shutil
import socket
import struct
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from firstlight import isolation
from firstlight.doctor.types import PROBLEM, WARNING, Finding, Subject, fine

_GB = 1 << 30
_OLDEST, _NEWEST = (3, 11), (3, 15)
_GLIBC = (2, 27)
"""What the wheels of onnxruntime and ctranslate2 are built for (manylinux_2_27)."""

_LITTLE_SPACE, _NO_SPACE = 2 * _GB, _GB // 5
_ABANDONED_S = 86_400


def python(subject: Subject) -> Iterator[Finding]:  # noqa: ARG001
    """The version of Python, and whether it is one of 64 bits."""
    version = sys.version_info[:2]
    shown = f"Python {platform.python_version()}"
    if struct.calcsize("P") < 8:
        yield Finding(PROBLEM, f"{shown} is one of 32 bits", sys.executable, "weights are mapped into memory whole",
                      "install Python for 64 bits")  # fmt: skip
    elif version < _OLDEST:
        yield Finding(
            PROBLEM, f"{shown} is too old", sys.executable, "this package needs 3.11", "install a newer one"
        )
    elif version > _NEWEST:
        why = "AWS Lambda has up to 3.15, and packages with compiled parts may be missing"
        yield Finding(WARNING, f"{shown} is newer than what was tried", sys.executable, why)
    else:
        yield fine(shown)


def libc(subject: Subject) -> Iterator[Finding]:  # noqa: ARG001
    """The C library, which decides whether wheels with compiled parts load."""
    if sys.platform != "linux":
        yield fine(f"{platform.system()} {platform.release()}")
        return
    name, version = platform.libc_ver()
    if name != "glibc":
        why = "onnxruntime and ctranslate2 have no wheels for other C libraries"
        yield Finding(
            WARNING, "the C library is not glibc", why=why, fix="use a Debian, Ubuntu or Amazon Linux image"
        )
    elif tuple(int(part) for part in version.split(".")[:2]) < _GLIBC:
        why = "wheels of onnxruntime and ctranslate2 ask for 2.27"
        yield Finding(
            WARNING, f"glibc {version} is old", why=why, fix="use a newer system, such as Debian 12"
        )
    else:
        yield fine(f"glibc {version}")


def cache_folder(subject: Subject) -> Path:
    """Where bundles are kept."""
    base = subject.env.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path(subject.env.get("HOME") or Path.home()) / ".cache") / "firstlight"


def _existing(folder: Path) -> Path:
    return next(path for path in (folder, *folder.parents) if path.exists())


def disk(subject: Subject) -> Iterator[Finding]:
    """Room where bundles, downloads and records are written."""
    folders = [cache_folder(subject)]
    if subject.project is not None:
        folders.append(subject.project.data_dir)
    for folder in folders:
        free = shutil.disk_usage(_existing(folder)).free
        what = f"{free / _GB:.1f} GB free in {subject.shown(folder)}"
        if free < _LITTLE_SPACE:
            level = PROBLEM if free < _NO_SPACE else WARNING
            why = "a download and its bundle need twice the size of a model"
            fix = f"make room, or set {'XDG_CACHE_HOME' if folder == folders[0] else 'FIRSTLIGHT_DATA_DIR'} elsewhere"
            yield Finding(level, what, why=why, fix=fix)
        else:
            yield fine(what)


def cache(subject: Subject) -> Iterator[Finding]:
    """Whether the cache can be written, and what was left in it by conversions that were killed."""
    folder = cache_folder(subject)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        fix = "make it yours (chown), or set XDG_CACHE_HOME to a folder that can be written"
        why = "converted models are kept there"
        yield Finding(PROBLEM, f"the cache cannot be written: {error.strerror}", str(folder), why, fix)
        return
    left = sorted(path for path in folder.glob("*/.*-*") if path.is_dir() and _abandoned(path))
    if left:
        size = sum(_size(path) for path in left)
        what = f"{len(left)} unfinished conversions, {size / 1e6:.0f} MB"
        yield Finding(WARNING, what, str(folder), "they take room", "remove them", lambda: _removed(left))
    else:
        yield fine(f"{folder} can be written")


def _abandoned(path: Path) -> bool:
    return time.time() - path.stat().st_mtime > _ABANDONED_S


def _size(folder: Path) -> int:
    return sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())


def _removed(folders: list[Path]) -> str:
    for folder in folders:
        shutil.rmtree(folder, ignore_errors=True)
    return f"removed {len(folders)} unfinished conversions"


def walls(subject: Subject) -> Iterator[Finding]:  # noqa: ARG001
    """Which walls of Lambda's sandbox this machine can put up."""
    machine = isolation.support()
    if machine.enforced:
        yield fine(f"{machine.how} enforce {', '.join(machine.enforced)}")
    for text in machine.warnings():
        why = "what runs here may fail on AWS Lambda without having failed under --strict"
        fix = "let users make namespaces (sysctl kernel.apparmor_restrict_unprivileged_userns=0 on Ubuntu; in a "
        fix += (
            "container --cap-add SYS_ADMIN and profiles of seccomp and AppArmor that allow unshare and mount)"
        )
        yield Finding(WARNING, text, why=why, fix=fix)


def cpu(subject: Subject) -> Iterator[Finding]:  # noqa: ARG001
    """The instructions that engines are quick with."""
    found = flags()
    kind = platform.machine()
    if not found:
        yield fine(f"{kind}; its instructions are not shown by this system")
    elif kind in ("x86_64", "AMD64"):
        if "avx2" not in found:
            why = "int8 weights run several times slower without it"
            yield Finding(WARNING, "the CPU has no AVX2", why=why, fix="use a CPU made after 2013")
        else:
            more = (
                ""
                if "avx512f" not in found
                else " and AVX-512, which Lambda's x86 CPUs do not show: slower there"
            )
            yield fine(f"{kind} with AVX2{more}")
    elif "asimddp" not in found:
        why = "int8 weights run slower without the dot product of armv8.2"
        yield Finding(WARNING, "the CPU has no dot product instructions", why=why)
    else:
        yield fine(f"{kind} with dot product")


def flags(file: Path = Path("/proc/cpuinfo")) -> frozenset[str]:
    """The instruction sets the system shows of its CPU; nothing where it shows none."""
    try:
        lines = file.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return frozenset()
    for line in lines:
        key, _, value = line.partition(":")
        if key.strip() in ("flags", "Features"):
            return frozenset(value.split())
    return frozenset()


def port(subject: Subject) -> Iterator[Finding]:
    """Whether the port that ``serve`` would take is free."""
    text = subject.env.get("FIRSTLIGHT_PORT") or "8400"
    host = subject.env.get("FIRSTLIGHT_HOST") or "127.0.0.1"
    if not text.isdigit() or int(text) > 65535:
        yield Finding(PROBLEM, f"FIRSTLIGHT_PORT is {text!r}", fix="set it to a number from 0 to 65535")
        return
    try:
        with socket.create_server(
            (host, int(text)), family=socket.AF_INET6 if ":" in host else socket.AF_INET
        ):
            yield fine(f"{host}:{text} is free")
    except OSError as error:
        why = "`firstlight serve` listens there"
        fix = "stop what runs there (it may be a server of yours), or choose another --port"
        yield Finding(
            WARNING, f"{host}:{text} cannot be used: {os.strerror(error.errno or 0)}", why=why, fix=fix
        )


def clock(subject: Subject) -> Iterator[Finding]:  # noqa: ARG001
    """Whether the clock is not plainly wrong: signatures and certificates depend on it."""
    newest = Path(__file__).stat().st_mtime
    now = time.time()
    if now < newest - _ABANDONED_S:
        what = f"it is {time.strftime('%Y-%m-%d', time.gmtime(now))}, before this package was installed"
        why = "AWS refuses signatures that are 5 minutes off, and certificates are not valid yet"
        yield Finding(PROBLEM, what, why=why, fix="set the clock (timedatectl set-ntp true)")
    else:
        yield fine(time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime(now)))
