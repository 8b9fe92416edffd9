"""Records in a DynamoDB table, for whoever may read them too: ``dynamodb:GetItem`` and ``dynamodb:Query``."""

from __future__ import annotations

import heapq
import json
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice

from firstlight.runtime.aws.errors import CallFailed
from firstlight.runtime.records.dynamodb import (
    BY_REQUEST,
    NAMES,
    PK,
    SK,
    TTL,
    DynamoRecorder,
    first_place,
    partition,
    place,
)
from firstlight.runtime.records.rows import FIELDS, to_record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from typing import Any

    from firstlight.runtime.aws.calling import Api

    Item = dict[str, dict[str, Any]]
    Record = dict[str, Any]
    Records = list[Record]

_AT_ONCE = 4
_PAGE = 100
_WAIT_S, _TRIES = 0.25, 240


class DynamoStore(DynamoRecorder):
    """Writes and reads records (``runtime.types.Store``); arguments are those of ``DynamoRecorder``.

    Lists are of what was put before; ``get`` goes by an index that follows the table within a moment.
    """

    _threads: ThreadPoolExecutor | None = None

    def submit(self, record: Mapping[str, Any]) -> Future[None]:
        """Keep a record; the future is done when it is in the table, its error is a RecordError."""
        if self._threads is None:
            self._threads = ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="records")
        return self._threads.submit(self.put, record)

    def close(self) -> None:
        """Write what was submitted and let go of the connections."""
        if self._threads is not None:
            self._threads.shutdown()
            self._threads = None
        super().close()

    def get(self, request_id: str) -> Record | None:
        """The record of an invocation, the newest where there are several; None when there is none."""
        if not request_id:
            return None
        named = {
            "KeyConditionExpression": "request_id = :id",
            "ExpressionAttributeValues": {":id": {"S": request_id}},
        }
        found = [*self._query({"IndexName": BY_REQUEST, **named})]
        if not found:
            return None
        newest = max(found, key=lambda item: str(item[SK]["S"]))
        item = self._read("GetItem", {"Key": {PK: newest[PK], SK: newest[SK]}, "ConsistentRead": True}).get(
            "Item"
        )
        return _record(item) if item else None

    def list(
        self,
        endpoint: str | None = None,
        since: float | None = None,
        status: str | None = None,
        limit: int = 100,
        after: int | None = None,
    ) -> Records:
        """Records in the order they were put.

        Args:
            endpoint: only of this endpoint.
            since: only from this time on, seconds since the epoch.
            status: only ``ok``, ``error``, ``timeout``, ``crash``, ``cancelled`` or ``throttled``.
            limit: at most this many: the newest ones, or the first ones after the cursor.
            after: cursor: only records whose ``seq`` is greater.
        """
        if limit <= 0:
            return []
        newest = after is None
        names = self._names() if endpoint is None else [endpoint]
        asked = _filters(since, status)
        # A record is put after it began, so that no earlier place can hold one from this time on.
        lower = max(-1 if after is None else after, -1 if since is None else first_place(since) - 1)
        runs = [self._of(name, lower, newest, limit, asked) for name in names]
        merged = heapq.merge(*runs, key=lambda item: str(item[SK]["S"]), reverse=newest)
        found = [_record(item) for item in islice(merged, limit)]
        return found[::-1] if newest else found

    def _of(
        self, endpoint: str, lower: int, newest: bool, limit: int, asked: Mapping[str, Any]
    ) -> Iterator[Item]:
        """An endpoint's records, page by page as they are wanted."""
        values = {":pk": {"S": partition(endpoint)}, ":lower": {"S": place(max(lower + 1, 0))}}
        content = {
            **asked,
            "KeyConditionExpression": "pk = :pk AND sk >= :lower",
            "ExpressionAttributeValues": {**values, **asked.get("ExpressionAttributeValues", {})},
            "ScanIndexForward": not newest,
            "ConsistentRead": True,
            "Limit": min(limit, _PAGE),
        }
        return self._query(content)

    def _names(self) -> Sequence[str]:
        """The endpoints that there are records of."""
        values = {":pk": {"S": NAMES}}
        found = self._query({"KeyConditionExpression": "pk = :pk", "ExpressionAttributeValues": values})
        return [str(item[SK]["S"])[1:] for item in found]

    def _query(self, content: dict[str, Any]) -> Iterator[Item]:
        while True:
            page = self._read("Query", content)
            yield from page["Items"]
            if "LastEvaluatedKey" not in page:
                return
            content = {**content, "ExclusiveStartKey": page["LastEvaluatedKey"]}

    def _read(self, operation: str, content: Mapping[str, Any]) -> dict[str, Any]:
        try:
            return self._call(operation, content)
        except CallFailed as error:
            raise self._translated("read", error) from error


def create_table(service: Api, table: str) -> None:
    """Make the table and wait until it can be used; one that is there is left as it is.

    Raises:
        CallFailed: DynamoDB refused.
    """
    import time

    def ask(operation: str, **content: Any) -> dict[str, Any]:
        return service.call(f"DynamoDB_20120810.{operation}", {"TableName": table, **content})

    try:
        ask("CreateTable", **schema())
    except CallFailed as error:
        if error.code != "ResourceInUseException":
            raise
        return
    for _ in range(_TRIES):
        if ask("DescribeTable")["Table"]["TableStatus"] == "ACTIVE":
            break
        time.sleep(_WAIT_S)
    ask("UpdateTimeToLive", TimeToLiveSpecification={"Enabled": True, "AttributeName": TTL})


def schema() -> dict[str, Any]:
    """The table as CreateTable takes it; templates say the same."""
    keys = [{"AttributeName": PK, "KeyType": "HASH"}, {"AttributeName": SK, "KeyType": "RANGE"}]
    return {
        "AttributeDefinitions": [
            {"AttributeName": name, "AttributeType": "S"} for name in (PK, SK, "request_id")
        ],
        "KeySchema": keys,
        "GlobalSecondaryIndexes": [
            {
                "IndexName": BY_REQUEST,
                "KeySchema": [{"AttributeName": "request_id", "KeyType": "HASH"}],
                "Projection": {"ProjectionType": "KEYS_ONLY"},
            }
        ],
        "BillingMode": "PAY_PER_REQUEST",
    }


def _filters(since: float | None, status: str | None) -> dict[str, Any]:
    wanted = {
        "#time >= :time": ("time", {"N": json.dumps(since)}) if since is not None else None,
        "#status = :status": ("status", {"S": status}) if status is not None else None,
    }
    used = {clause: found for clause, found in wanted.items() if found is not None}
    if not used:
        return {}
    return {
        "FilterExpression": " AND ".join(used),
        "ExpressionAttributeNames": {f"#{name}": name for name, _ in used.values()},
        "ExpressionAttributeValues": {f":{name}": value for name, value in used.values()},
    }


def _record(item: Item) -> Record:
    values: dict[str, Any] = {name: _value(item[name]) for name in FIELDS if name in item}
    values["seq"] = int(item[SK]["S"])
    values.setdefault("request_id", "")
    return to_record(tuple(values.get(name) for name in FIELDS))


def _value(held: Mapping[str, Any]) -> Any:
    return json.loads(held["N"]) if "N" in held else held["S"]
