"""A job and its events as items of the table."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from firstlight.jobs.dynamodb.calls import Item
from firstlight.jobs.dynamodb.schema import (
    ARRIVAL,
    BOTH,
    EVENT,
    IN_HAND,
    KEPT,
    PK,
    QUEUE,
    SK,
    TTL,
    WHAT,
    WHEN,
    id_of,
    moment,
)
from firstlight.jobs.dynamodb.wire import key, plain, value
from firstlight.jobs.fields import FLAT, all_of, event_from, flat, job_from
from firstlight.jobs.types import Job, JobEvent, Status

WROTE = "wrote"
"""A random word of the last conditional write, so that one which is repeated after a lost answer knows itself."""
PARTICULARS = "particulars"
"""The body of an event."""
LISTED = (PK, SK, *(name for name in FLAT if name != "id"))
"""What a list of jobs reads of each."""
_SPARE_S = 86400
"""DynamoDB itself deletes what no sweep did after this time."""


def event_key(number: int) -> str:
    """The sort key of an event; they sort by number."""
    return f"{EVENT}{number:010d}"


def item_of(job: Job, arrival: str, more: Mapping[str, str | bytes]) -> Item:
    """The item of a new job.

    Args:
        arrival: its place in the order of arrival.
        more: other attributes, its bodies or where they are for example.
    """
    known = {
        name: content for name, content in flat(all_of(job)).items() if name != "id" and content is not None
    }
    known |= {BOTH: both(job), ARRIVAL: arrival, **place(job, arrival)}
    return key(job.id) | {name: value(content) for name, content in {**known, **more}.items()}


def job_of(item: Item, parts: Mapping[str, bytes]) -> Job:
    """The job of an item, with its bodies."""
    known = dict.fromkeys(FLAT) | {name: plain(wire) for name, wire in item.items() if name in FLAT}
    return job_from({**known, "id": id_of(item[PK]["S"])}, parts)


def both(job: Job) -> str:
    """What ``by_both`` finds a job by."""
    return f"{job.endpoint}#{job.status}"


def place(job: Job, arrival: str) -> dict[str, str | int]:
    """Where ``next`` has a job: in its queue, in hand, kept for a time; nowhere."""
    if job.status == Status.STARTING:
        return {WHAT: QUEUE + job.endpoint, WHEN: f"{moment(job.due)}#{arrival}"}
    if job.status == Status.PROCESSING:
        return {WHAT: IN_HAND, WHEN: moment(job.lease)}
    if job.keep_until is None:
        return {}
    return {WHAT: KEPT, WHEN: moment(job.keep_until), TTL: expiry(job.keep_until)}


def change_of(
    after: Job, values: Mapping[str, Any], moved: bool, before: Item | None
) -> tuple[dict[str, str | float | bytes], list[str]]:
    """What a change sets and what it removes, beside bodies.

    Args:
        values: the fields that change.
        moved: whether the status is one of them.
        before: the item, where its place in the queue changes.
    """
    known = flat(values)
    sets: dict[str, Any] = {name: content for name, content in known.items() if content is not None}
    removes = [name for name, content in known.items() if content is None]
    if moved:
        sets[BOTH] = both(after)
    if before is not None and after.status == Status.STARTING:
        sets |= place(after, before[ARRIVAL]["S"])
    elif after.status.final or moved or "lease" in values:
        sets |= place(after, "") if after.status != Status.STARTING else {}
    if after.status.final or moved:
        removes += [name for name in (WHAT, WHEN, TTL) if name not in sets]
    return sets, removes


def expiry(keep_until: float) -> int:
    """When DynamoDB may delete what is kept until then: later than a sweep does."""
    return int(keep_until) + _SPARE_S


def event_item(job_id: str, event: JobEvent, more: Mapping[str, str | bytes], ttl: int | None) -> Item:
    """The item of an event; ``more`` is its body, or where it is."""
    known: dict[str, Any] = {"kind": event.kind, "happened": event.time, **more}
    if ttl is not None:
        known[TTL] = ttl
    return key(job_id, event_key(event.number)) | {name: value(content) for name, content in known.items()}


def event_of(item: Item, particulars: bytes) -> JobEvent:
    """The event of an item."""
    number = int(item[SK]["S"].removeprefix(EVENT))
    return event_from(number, item["kind"]["S"], particulars.decode(), float(item["happened"]["N"]))
