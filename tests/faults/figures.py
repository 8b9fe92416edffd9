"""The table of what was sent and what became of it."""

from __future__ import annotations

import os
import platform
import time
from importlib import metadata
from typing import Any

from faults.watching import Watched

COLUMNS = (
    "fault",
    "sent",
    "answered",
    "throttled",
    "failed",
    "lost",
    "peak_mb",
    "canary",
    "canary_p99_ms",
    "more",
)
ROWS: list[dict[str, Any]] = []


class Figures:
    """Takes the figures of one test."""

    def __call__(self, fault: str, watched: Watched | None = None, **figures: Any) -> None:
        """A row of the table.

        Args:
            fault: what was done.
            watched: what was seen of the server meanwhile.
            figures: sent, answered, throttled, failed (an error of the function is the right answer), lost, others.
        """
        row: dict[str, Any] = {"fault": fault, "lost": 0, **figures}
        if watched is not None:
            row["peak_mb"] = round(watched.peak_mb, 1)
            row["canary"] = watched.canary.sent
            row["canary_p99_ms"] = round(watched.canary.quantile(0.99) * 1000, 1)
        ROWS.append(row)


def results() -> dict[str, Any]:
    """The table with where and when it was made, for machines."""
    with open("/proc/cpuinfo") as about:
        processors = [line.partition(":")[2].strip() for line in about if line.startswith("model name")]
    return {
        "benchmark": "faults",
        "date": time.strftime("%Y-%m-%d"),
        "machine": {
            "processor": processors[0] if processors else platform.processor(),
            "cores": os.cpu_count(),
            "system": f"{platform.system()} {platform.release()}",
            "python": platform.python_version(),
        },
        "versions": {name: metadata.version(name) for name in ("httptools", "uvicorn", "uvloop")},
        "rows": ROWS,
    }


def lines() -> list[str]:
    """The table, for people."""
    shown = [
        {**row, "more": ", ".join(f"{key} {value}" for key, value in row.items() if key not in COLUMNS)}
        for row in ROWS
    ]
    widths = {name: max(len(name), *(len(str(row.get(name, ""))) for row in shown)) for name in COLUMNS}
    heads = {name: name for name in COLUMNS}
    return [
        "  ".join(str(row.get(name, "")).ljust(widths[name]) for name in COLUMNS).rstrip()
        for row in (heads, *shown)
    ]
