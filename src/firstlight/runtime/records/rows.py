"""A record as a row of the database, and back."""

from __future__ import annotations

import json
import math
import time
from operator import itemgetter

from firstlight.runtime.records.migrations import COLUMNS

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

_columns = itemgetter(*COLUMNS)
_TIME = COLUMNS.index("time")
_SIMPLE = frozenset((type(None), bool, int, float, str))
FIELDS = ("seq", *COLUMNS)
"""The order in which a row is read."""


def to_record(row: tuple[Any, ...]) -> dict[str, Any]:
    """A row of ``FIELDS`` as a record: ``cold`` is a bool again, ``warnings`` a list."""
    record = dict(zip(FIELDS, row, strict=True))
    record["cold"] = bool(record["cold"])
    record["warnings"] = json.loads(record["warnings"] or "[]")
    return record


def from_record(record: Mapping[str, Any]) -> tuple[Any, ...]:
    """The values of a record by the names of the columns, of types that a journal can hold; see ``cleaned``."""
    try:
        row: tuple[Any, ...] = _columns(record)
    except KeyError:
        row = tuple(map(record.get, COLUMNS))
    dated = type(row[_TIME]) is float
    return row if dated and _SIMPLE.issuperset(map(type, row)) else cleaned(row)


def cleaned(row: tuple[Any, ...]) -> tuple[Any, ...]:
    """A row as SQLite takes it, so that no value of one record can fail the transaction it shares."""
    values = dict(zip(COLUMNS, (None if value is None else _value(value) for value in row), strict=True))
    moment = values["time"]
    values["time"] = moment if isinstance(moment, (int, float)) else time.time()
    for name, missing in (("request_id", ""), ("endpoint", ""), ("status", "ok")):
        values[name] = missing if values[name] is None else str(values[name])
    return tuple(values.values())


def _value(value: object) -> object:
    if isinstance(value, int):  # a bool is one
        return max(-(2**63), min(int(value), 2**63 - 1))
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if not isinstance(value, str):
        value = "[]" if value == [] else json.dumps(value, ensure_ascii=False, default=str)
    # JSON may carry half of a surrogate pair, which UTF-8 cannot.
    return value if value.isascii() else value.encode("utf-8", "replace").decode("utf-8")
