"""How many threads a worker should run: its share of the machine, not the machine's size."""

from __future__ import annotations

import os

FUNCTION_MB_PER_CPU = (
    1769  # AWS Lambda documentation: a function with 1,769 MB has the equivalent of one vCPU
)


def threads() -> int:
    """The CPUs this process may use at once, at least 1.

    The smallest of: the affinity mask, the quota of the control group (version 2, then 1), and what Lambda gives a
    function of this memory size. More threads than that share one CPU and are slower than one thread.
    """
    return max(1, min(_affinity(), _rounded(quota()), _rounded(_function_share())))


def _affinity() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _rounded(share: float) -> int:
    return max(1, round(share)) if share < 1024 else 1024


def _function_share() -> float:
    memory = os.environ.get("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "")
    return int(memory) / FUNCTION_MB_PER_CPU if memory.isascii() and memory.isdigit() else float("inf")


def quota(root: str = "/sys/fs/cgroup", membership: str = "/proc/self/cgroup") -> float:
    """CPUs that the control groups of this process may use: quota / period; infinite where there is no limit.

    Args:
        root: where the control groups are mounted.
        membership: the file that names the groups of this process (cgroups(7)).
    """
    limits = []
    for line in _words(membership):
        number, _, rest = line.partition(":")
        controllers, _, group = rest.partition(":")
        if number == "0" and not controllers:
            limits += [_words(f"{root}{above}/cpu.max") for above in _upwards(group)]
        elif "cpu" in controllers.split(","):
            folder = f"{root}/{controllers}"
            limits += [
                _words(f"{folder}{above}/cpu.cfs_quota_us") + _words(f"{folder}{above}/cpu.cfs_period_us")
                for above in _upwards(group)
            ]
    # "max" in version 2 and -1 in version 1 mean no limit.
    shares = [int(most) / int(period) for most, period in filter(_limited, limits)]
    return min(shares, default=float("inf"))


def _limited(limit: list[str]) -> bool:
    return len(limit) == 2 and limit[0].isdigit() and limit[1].isdigit() and limit[1] != "0"


def _upwards(group: str) -> list[str]:
    """A group and those around it; in a container the group's own path may not be visible, its root is."""
    parts = group.strip("/").split("/") if group.strip("/") else []
    return ["".join(f"/{part}" for part in parts[:depth]) for depth in range(len(parts), -1, -1)]


def _words(path: str) -> list[str]:
    try:
        descriptor = os.open(path, os.O_RDONLY)
    except OSError:
        return []
    try:
        return os.read(descriptor, 4096).decode("ascii", "replace").split()
    finally:
        os.close(descriptor)
