"""A target as pip, wheels and environment markers name it, and as the lock file does."""

from __future__ import annotations

import re

from firstlight.build.pack.types import Target
from firstlight.runtime.errors import ProjectError

_OLDEST = {"arm64": 17, "x86_64": 5}
"""The first minor version of glibc 2 that wheels for an architecture were built against (PEP 513, 571, 599)."""
_NAMED = {17: "manylinux2014", 12: "manylinux2010", 5: "manylinux1"}


def key(target: Target) -> str:
    """What a target is called in the lock file: ``arm64-python3.13``."""
    return f"{target.architecture}-python{target.python}"


def of_key(text: str) -> Target:
    """The target that the lock file calls so."""
    architecture, _, python = text.partition("-python")
    return Target(architecture, python)


def shown(target: Target) -> str:
    """What a target is called in a sentence."""
    return f"{target.architecture}, Python {target.python}"


def platforms(target: Target) -> tuple[str, ...]:
    """The platform tags of wheels that run there, the newest first (PEP 600)."""
    major, newest = target.glibc
    found = []
    for minor in range(newest, _OLDEST[target.architecture] - 1, -1):
        found.append(f"manylinux_{major}_{minor}_{target.machine}")
        if minor in _NAMED:
            found.append(f"{_NAMED[minor]}_{target.machine}")
    return (*found, f"linux_{target.machine}")


def pip_options(target: Target) -> tuple[str, ...]:
    """What tells pip to choose for a target, and to take nothing that would have to be built.

    Raises:
        ProjectError: there is no such architecture or version.
    """
    if target.architecture not in _OLDEST or not _is_version(target.python):
        raise ProjectError(
            f"functions are not built for {shown(target)}", "take arm64 or x86_64, and 3.x of Python"
        )
    digits = target.python.replace(".", "")
    named = ("--implementation", "cp", "--python-version", target.python, "--abi", f"cp{digits}")
    every = (word for platform in platforms(target) for word in ("--platform", platform))
    return ("--only-binary", ":all:", *named, *every)


def fits(file: str, target: Target) -> bool:
    """Whether a wheel runs on a target, by the tags in its name (PEP 425): a lock may have come from another one."""
    pythons, abis, machines = (part.split(".") for part in file.removesuffix(".whl").split("-")[-3:])
    known = {"any", *platforms(target)}
    own = f"cp{target.python.replace('.', '')}"
    own_code = own in pythons and {"none", "abi3", own} & {*abis}
    return bool(known & {*machines}) and bool(own_code or _is_stable(pythons, abis, target))


def _is_stable(pythons: list[str], abis: list[str], target: Target) -> bool:
    """Whether code is for any later Python too: without an ABI, or with the stable one."""
    major, minor = (int(part) for part in target.python.split("."))
    found = [re.fullmatch(r"(cp|py)(\d)(\d*)", python) for python in pythons]
    early = [one for one in found if one and int(one[2]) == major and int(one[3] or 0) <= minor]
    return any(
        (one[1] == "py" and "none" in abis) or (one[1] == "cp" and {"abi3", "none"} & {*abis})
        for one in early
    )


def markers(target: Target) -> dict[str, str]:
    """The environment that markers are judged by (PEP 508), on any machine the same."""
    return {
        "implementation_name": "cpython",
        "implementation_version": f"{target.python}.0",
        "os_name": "posix",
        "platform_machine": target.machine,
        "platform_python_implementation": "CPython",
        "platform_release": "",
        "platform_system": "Linux",
        "platform_version": "",
        "python_full_version": f"{target.python}.0",
        "python_version": target.python,
        "sys_platform": "linux",
    }


def _is_version(python: str) -> bool:
    major, dot, minor = python.partition(".")
    return major == "3" and bool(dot) and minor.isdecimal() and int(minor) >= 9
