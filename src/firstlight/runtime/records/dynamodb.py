"""Records in a DynamoDB table, for whoever may do nothing but put them there.

An item lies in the partition of its endpoint, ``LOG#mood``, so that a role can be held to the records of its own
function; ``LOG##`` holds the endpoints' names. The order in a partition is that in which records were put.
``by_request`` (keys only) finds a record by its request id. DynamoDB deletes an item when its ``ttl`` has passed.

What writes needs ``dynamodb:PutItem`` on the table, and no more.
"""

from __future__ import annotations

import json
import os
import secrets
import threading
import time

from firstlight.runtime.aws.calling import Api
from firstlight.runtime.aws.errors import CallFailed
from firstlight.runtime.errors import RecordError
from firstlight.runtime.records.migrations import COLUMNS
from firstlight.runtime.records.rows import cleaned, from_record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Any

    Item = dict[str, dict[str, Any]]

PK, SK, TTL, BY_REQUEST = "pk", "sk", "ttl", "by_request"
NAMES = "LOG##"
"""The partition of the endpoints' names; no endpoint is called ``#``."""
_TEXT_BYTES = 150_000
"""Bytes that are kept of inputs, and of outputs: an item has at most 400 KB."""
_CUT = "cut: DynamoDB keeps 400 KB of a record"
_LARGEST, _SMALLEST = 9e125, 1e-130
_STEP = 10_000
"""Places in the order within a microsecond."""
_HINTS = {
    "ResourceNotFoundException": "deploy again, or name another table with FIRSTLIGHT_RECORDS_TABLE",
    "AccessDeniedException": "docs/records-store.md lists the actions that are needed",
    "UnrecognizedClientException": "set the credentials of an AWS account",
    "NoCredentials": "set the credentials of an AWS account",
    "NoAnswer": "check the region and the network",
}


def partition(endpoint: str) -> str:
    """The partition of an endpoint's records."""
    return f"LOG#{endpoint}"


class DynamoRecorder:
    """Puts records into a table (``runtime.types.Recorder``). Any number of threads may use it.

    Args:
        table: the table's name.
        service: DynamoDB; made of the environment where none is given.
        max_age_days: after which DynamoDB deletes a record.
        clock: seconds since the epoch.
    """

    def __init__(
        self,
        table: str,
        service: Api | None = None,
        max_age_days: float = 30.0,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.table = table
        self._service = service or Api("dynamodb", os.environ)
        self._max_age = max_age_days * 86400
        self._clock = clock
        self._named: set[str] = set()
        self._ordering = threading.Lock()
        self._last = 0
        self._closed = False

    def put(self, record: Mapping[str, Any], within_s: float | None = None) -> None:
        """Keep a record and return when it is in the table.

        Args:
            record: values by the names in ``migrations.COLUMNS``; what is missing is null, other names are ignored.
            within_s: seconds that DynamoDB may take to answer; None leaves it to the service.

        Raises:
            RecordError: it could not be written.
        """
        if self._closed:
            raise RecordError("the record store is closed")
        values = dict(zip(COLUMNS, cleaned(from_record(record)), strict=True))
        endpoint = values["endpoint"]
        item = _item(values)
        item[PK] = {"S": partition(endpoint)}
        item[SK] = {"S": place(self._next())}
        item[TTL] = {"N": str(int(values["time"] + self._max_age))}
        asked = {"Item": item, "ConditionExpression": "attribute_not_exists(pk)"}
        try:
            self._call("PutItem", asked, within_s)
        except CallFailed as error:
            # An earlier attempt whose answer was lost has put it.
            if error.code != "ConditionalCheckFailedException":
                raise self._translated("written", error) from error
        if endpoint not in self._named:
            self._name(endpoint, within_s)

    def close(self) -> None:
        """Let go of the connections; later records are refused. May be called twice."""
        self._closed = True
        self._service.close()

    def _name(self, endpoint: str, within_s: float | None) -> None:
        """Note that there are records of an endpoint, once in the life of this object."""
        try:
            self._call("PutItem", {"Item": {PK: {"S": NAMES}, SK: {"S": f"={endpoint}"}}}, within_s)
        except CallFailed as error:
            raise self._translated("written", error) from error
        self._named.add(endpoint)

    def _next(self) -> int:
        """The next place in the order: of this object's records surely the last one."""
        with self._ordering:
            now = int(self._clock() * 1e6) * _STEP + secrets.randbelow(_STEP)
            self._last = max(self._last + 1, now)
            return self._last

    def _call(
        self, operation: str, content: Mapping[str, Any], within_s: float | None = None
    ) -> dict[str, Any]:
        return self._service.call(
            f"DynamoDB_20120810.{operation}", {"TableName": self.table, **content}, within_s
        )

    def _translated(self, doing: str, error: CallFailed) -> RecordError:
        said = f"records cannot be {doing} (table {self.table}): {error}"
        return RecordError(said, _HINTS.get(error.code, ""))


def place(number: int) -> str:
    """A place in the order as text that sorts."""
    return f"{number:024d}"


def first_place(moment: float) -> int:
    """The first place of a moment, in seconds since the epoch."""
    return max(0, int(moment * 1e6)) * _STEP


def _item(values: dict[str, Any]) -> Item:
    """The columns that have a value, as DynamoDB's wire has them."""
    cut = False
    item: Item = {}
    for name, value in values.items():
        if value is None or (name == "request_id" and not value):
            continue
        if isinstance(value, str):
            kept = _shortened(value) if name in ("inputs", "outputs") else value
            cut = cut or kept is not value
            item[name] = {"S": kept}
        else:
            item[name] = {"N": _number(value)}
    if cut:
        warned = [*json.loads(values["warnings"] or "[]"), _CUT]
        item["warnings"] = {"S": json.dumps(warned)}
    return item


def _shortened(text: str) -> str:
    if len(text) * 4 <= _TEXT_BYTES:
        return text
    raw = text.encode()
    return text if len(raw) <= _TEXT_BYTES else raw[:_TEXT_BYTES].decode("utf-8", "ignore")


def _number(value: float) -> str:
    """A number that DynamoDB takes: the largest are cut, the smallest are nothing."""
    if isinstance(value, float) and value:
        value = max(-_LARGEST, min(value, _LARGEST))
        value = value if abs(value) >= _SMALLEST else 0.0
    return json.dumps(value)
