"""A record as a row of the database, and back."""

from __future__ import annotations

import json
import math
import time

from firstlight.runtime.records.migrations import COLUMNS

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

FIELDS = ("seq", *COLUMNS)
"""The order in which a row is read."""


def to_record(row: tuple[Any, ...]) -> dict[str, Any]:
    """A row of ``FIELDS`` as a record: ``cold`` is a bool again, ``warnings`` a list."""
    record = dict(zip(FIELDS, row, strict=True))
    record["cold"] = bool(record["cold"])
    record["warnings"] = json.loads(record["warnings"] or "[]")
    return record


def from_record(record: Mapping[str, Any]) -> tuple[Any, ...]:
    """A record as SQLite takes it, so that no value of one record can fail the batch it shares."""
    values = {name: _value(record.get(name)) for name in COLUMNS}
    moment = values["time"]
    values["time"] = moment if isinstance(moment, (int, float)) else time.time()
    for name, missing in (("request_id", ""), ("endpoint", ""), ("status", "ok")):
        values[name] = missing if values[name] is None else str(values[name])
    return tuple(values.values())


def _value(value: object) -> object:
    if value is None or isinstance(value, bool):
        return value if value is None else int(value)
    if isinstance(value, int):
        return max(-(2**63), min(value, 2**63 - 1))
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if not isinstance(value, str):
        value = json.dumps(value, ensure_ascii=False, default=str)
    # JSON may carry half of a surrogate pair, which UTF-8 cannot.
    return value if value.isascii() else value.encode("utf-8", "replace").decode("utf-8")
