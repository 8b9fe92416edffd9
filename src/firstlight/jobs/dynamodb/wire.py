"""Values, keys and updates as DynamoDB's wire has them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from firstlight.jobs.dynamodb.calls import Item
from firstlight.jobs.dynamodb.schema import META, PK, SK, partition


def value(plain: str | float | bytes) -> dict[str, Any]:
    """A value as DynamoDB's wire has it."""
    if isinstance(plain, str):
        return {"S": plain}
    if isinstance(plain, bytes):
        return {"B": plain}
    return {"N": repr(int(plain) if plain == int(plain) else plain)}


def plain(wire: Mapping[str, Any]) -> Any:
    """A value from DynamoDB's wire: text, bytes, an int where it is whole, a float."""
    ((kind, content),) = wire.items()
    if kind != "N":
        return content
    return int(content) if content.lstrip("-").isdigit() else float(content)


def key(job_id: str, sort: str = META) -> Item:
    """The key of an item of a job."""
    return {PK: value(partition(job_id)), SK: value(sort)}


def update(
    sets: Mapping[str, str | float | bytes],
    *,
    adds: Mapping[str, int] | None = None,
    removes: Iterable[str] = (),
    where: Mapping[str, str | float] | None = None,
) -> dict[str, Any]:
    """The arguments of an update.

    Args:
        where: what has to be there, by attribute.
    """
    adds, where, removes = adds or {}, where or {}, list(removes)
    clauses = [
        ("SET", [f"#{name} = :{name}" for name in sets]),
        ("ADD", [f"#{name} :add_{name}" for name in adds]),
        ("REMOVE", [f"#{name}" for name in removes]),
    ]
    values = {f":{name}": value(content) for name, content in sets.items()}
    values |= {f":add_{name}": value(content) for name, content in adds.items()}
    values |= {f":was_{name}": value(content) for name, content in where.items()}
    conditions = ["attribute_exists(pk)", *(f"#{name} = :was_{name}" for name in where)]
    return {
        "UpdateExpression": " ".join(f"{verb} {', '.join(parts)}" for verb, parts in clauses if parts),
        "ConditionExpression": " AND ".join(conditions),
        "ExpressionAttributeNames": {f"#{name}": name for name in (*sets, *adds, *removes, *where)},
        "ExpressionAttributeValues": values,
    }
