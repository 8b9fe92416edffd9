"""How the table is made."""

from __future__ import annotations

from typing import Any

from firstlight.jobs.dynamodb.calls import Table
from firstlight.jobs.dynamodb.schema import (
    ARRIVAL,
    BOTH,
    BY_BOTH,
    BY_STATUS,
    NEXT,
    PK,
    SK,
    TEXT_KEYS,
    TTL,
    WHAT,
    WHEN,
)


def create_table(client: Any, table: str) -> None:
    """Make the table and wait until it can be used; one that is there is left as it is.

    Args:
        client: a boto3 client of DynamoDB.

    Raises:
        JobError: DynamoDB refused.
    """
    calls = Table(client, table)
    if calls.create(**definition()):
        calls.call("update_time_to_live", TimeToLiveSpecification={"Enabled": True, "AttributeName": TTL})


def definition() -> dict[str, Any]:
    """Keys, indexes and billing of the table, as CreateTable and CloudFormation take them."""
    return {
        "AttributeDefinitions": [{"AttributeName": name, "AttributeType": "S"} for name in TEXT_KEYS],
        "KeySchema": _keys(PK, SK),
        "GlobalSecondaryIndexes": [
            _index(NEXT, WHAT, WHEN, "owner"),
            _index(BY_BOTH, BOTH, ARRIVAL),
            _index(BY_STATUS, "status", ARRIVAL, "endpoint"),
        ],
        "BillingMode": "PAY_PER_REQUEST",
    }


def _keys(partition_key: str, sort_key: str) -> list[dict[str, str]]:
    return [
        {"AttributeName": partition_key, "KeyType": "HASH"},
        {"AttributeName": sort_key, "KeyType": "RANGE"},
    ]


def _index(name: str, partition_key: str, sort_key: str, *others: str) -> dict[str, Any]:
    kind = {"ProjectionType": "INCLUDE", "NonKeyAttributes": list(others)}
    projection = kind if others else {"ProjectionType": "KEYS_ONLY"}
    return {"IndexName": name, "KeySchema": _keys(partition_key, sort_key), "Projection": projection}
