"""What happened to a job, one item an event."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from firstlight.jobs.dynamodb.bodies import Bodies, Kept
from firstlight.jobs.dynamodb.calls import Refused, Table
from firstlight.jobs.dynamodb.items import PARTICULARS, event_item, event_key, event_of
from firstlight.jobs.dynamodb.schema import EVENT, partition
from firstlight.jobs.dynamodb.wire import value
from firstlight.jobs.fields import encoded_event
from firstlight.jobs.types import JobEvent

_INLINE_BYTES = 256 << 10
"""An event's particulars up to this are in its item."""
_TOGETHER = 10
"""Events in one transaction, which holds 4 MB."""


class Events:
    """Keeps and reads events of jobs."""

    def __init__(self, table: Table, bodies: Bodies) -> None:
        self._table = table
        self._bodies = bodies

    def append(self, job_id: str, events: Sequence[JobEvent], ttl: int | None) -> None:
        """Keep events; one whose number is there already is left as it is.

        Args:
            ttl: when DynamoDB may delete them; None while that is not known.
        """
        for start in range(0, len(events), _TOGETHER):
            puts = [self._put(job_id, event, ttl) for event in events[start : start + _TOGETHER]]
            if len(puts) > 1 and all(kept.note is None for kept, _ in puts):
                try:
                    self._table.transact(*(("Put", put) for _, put in puts))
                except Refused:
                    pass  # one of them is there: each for itself
                else:
                    continue
            for kept, put in puts:
                try:
                    self._bodies.commit(kept, "Put", put)
                except Refused:
                    continue

    def after(self, job_id: str, number: int) -> list[JobEvent]:
        """Events in order, those with a greater number."""
        found = self._table.query(
            KeyConditionExpression="pk = :pk AND sk BETWEEN :first AND :last",
            ExpressionAttributeValues={
                ":pk": value(partition(job_id)),
                ":first": value(event_key(max(0, number) + 1)),
                ":last": value(f"{EVENT}~"),
            },
            ConsistentRead=True,
        )
        read = [(item, self._bodies.read(item, (PARTICULARS,))) for item in found]
        return [event_of(item, parts[PARTICULARS]) for item, parts in read if parts]

    def _put(self, job_id: str, event: JobEvent, ttl: int | None) -> tuple[Kept, dict[str, Any]]:
        parts = {PARTICULARS: encoded_event(event).encode()}
        kept = self._bodies.write(job_id, parts, inline=_INLINE_BYTES, ttl=ttl)
        item = event_item(job_id, event, kept.attributes, ttl)
        return kept, {"Item": item, "ConditionExpression": "attribute_not_exists(pk)"}
