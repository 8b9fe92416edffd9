"""The figures in the end of a Lambda function's log: its REPORT line, as text or as JSON.

Shapes: Lambda developer guide, "Viewing logs" and "Lambda Telemetry API Event schema reference", ``platform.report``.
"""

from __future__ import annotations

import json
import re
from typing import Any

from firstlight.invoke.types import Report

_LINE = re.compile(rb"^REPORT RequestId: .*$", re.M)
_FIELD = re.compile(r"([A-Z][A-Za-z ]*?): ([\d.]+) (?:ms|MB)")
_EVENT = re.compile(rb'^\{.*"platform\.report".*\}$', re.M)


def reported(log: bytes, elapsed_ms: float) -> Report:
    """What the log tells.

    Args:
        log: its last 4 KB.
        elapsed_ms: from the request to its end, as the caller saw it; what the function did not run for was waited.
    """
    found = _of_text(log) or _of_json(log)
    took = found.get("durationMs", elapsed_ms)
    init, restore = found.get("initDurationMs"), found.get("restoreDurationMs")
    return Report(
        duration_ms=took,
        billed_ms=int(found.get("billedDurationMs", 0)),
        memory_mb=int(found.get("memorySizeMB", 0)),
        max_memory_mb=int(found.get("maxMemoryUsedMB", 0)),
        init_ms=init,
        restore_ms=restore,
        queue_ms=max(0.0, elapsed_ms - took),
        cold=init is not None or restore is not None,
    )


_NAMES = {
    "Duration": "durationMs",
    "Billed Duration": "billedDurationMs",
    "Memory Size": "memorySizeMB",
    "Max Memory Used": "maxMemoryUsedMB",
    "Init Duration": "initDurationMs",
    "Restore Duration": "restoreDurationMs",
}


def _of_text(log: bytes) -> dict[str, float]:
    lines = _LINE.findall(log)
    if not lines:
        return {}
    fields = _FIELD.findall(lines[-1].decode("utf-8", "replace"))
    return {_NAMES[name]: float(value) for name, value in fields if name in _NAMES}


def _of_json(log: bytes) -> dict[str, float]:
    for line in reversed(_EVENT.findall(log)):
        try:
            metrics: Any = json.loads(line)["record"]["metrics"]
        except (ValueError, KeyError, TypeError):
            continue
        return {name: float(value) for name, value in metrics.items() if isinstance(value, (int, float))}
    return {}
