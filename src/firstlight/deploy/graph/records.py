"""The table of records: endpoints write it and cannot read it, the router reads it and cannot write it."""

from __future__ import annotations

from firstlight.deploy.graph.rights import allow
from firstlight.deploy.types import Att, Resource, Sub, Value
from firstlight.runtime.records.dynamodb import BY_REQUEST, NAMES, TTL, partition
from firstlight.runtime.records.dynamodb_store import schema

PART = "records"
TABLE = "RecordsTable"


def table() -> Resource:
    """The table."""
    return Resource(
        TABLE,
        "AWS::DynamoDB::Table",
        {**schema(), "TimeToLiveSpecification": {"AttributeName": TTL, "Enabled": True}},
        PART,
        "a record of every invocation, deleted by ttl; on demand; outlives the stack",
        keep=True,
    )


def writing(endpoint: str) -> list[dict[str, Value]]:
    """The rights of an endpoint, as docs/records-store.md has them: to put its own records.

    Nothing else: not to read them, not to have what it overwrites returned, not another endpoint's.
    """
    return [
        allow(
            ("dynamodb:PutItem",),
            (Att(TABLE, "Arn"),),
            {
                "ForAllValues:StringEquals": {"dynamodb:LeadingKeys": [partition(endpoint), NAMES]},
                "StringEqualsIfExists": {"dynamodb:ReturnValues": "NONE"},
            },
        )
    ]


def reading() -> list[dict[str, Value]]:
    """The rights of the router: to read records."""
    return [
        allow(
            ("dynamodb:GetItem", "dynamodb:Query"),
            (Att(TABLE, "Arn"), Sub(f"${{{TABLE}.Arn}}/index/{BY_REQUEST}")),
        )
    ]
