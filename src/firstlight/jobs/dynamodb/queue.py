"""The queue's half: who may run which job, and until when."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import islice
from typing import Any

from firstlight.jobs.dynamodb.bodies import Bodies
from firstlight.jobs.dynamodb.calls import Item, Refused, Table, new_client
from firstlight.jobs.dynamodb.items import WROTE, both, job_of, place
from firstlight.jobs.dynamodb.schema import (
    ARRIVAL,
    BOTH,
    BY_STATUS,
    IN_HAND,
    NEXT,
    PK,
    QUEUE,
    SK,
    WHAT,
    WHEN,
    id_of,
    moment,
    seconds,
)
from firstlight.jobs.dynamodb.wire import key, update, value
from firstlight.jobs.fields import BODIES, text
from firstlight.jobs.types import Job, Status


class DynamoQueue:
    """See ``jobs.types.JobQueue``.

    Args:
        table: the table's name.
        client: a boto3 client of DynamoDB; None makes one of what the environment says.
        clock: tells how old what an interrupted writer left is, and the order of arrival.
    """

    def __init__(self, table: str, client: Any = None, clock: Callable[[], float] = time.time) -> None:
        self._table = Table(new_client() if client is None else client, table)
        self._bodies = Bodies(self._table, clock)

    def claim(self, owner: str, now: float, lease_s: float, room: Mapping[str, int]) -> Sequence[Job]:
        lease = now + lease_s
        taken: list[tuple[str, Job]] = []
        for endpoint, count in room.items():
            if count > 0:
                waiting = self._next(QUEUE + endpoint, now, count)
                claims = (self._claimed(found, owner, lease) for found in waiting)
                taken += islice(((when, job) for when, job in claims if job is not None), count)
        return [job for _, job in sorted(taken, key=lambda turn: turn[0])]

    def renew(self, owner: str, job_ids: Sequence[str], lease_until: float) -> Sequence[str]:
        return [job_id for job_id in job_ids if not self._renewed(owner, text(job_id), lease_until)]

    def recover(self, now: float, gone: Sequence[str] = ()) -> Sequence[Job]:
        found = list(self._next(IN_HAND, now))
        if gone:
            late = {found_one[PK]["S"] for found_one in found}
            found += [
                held for held in self._in_hand() if held["owner"]["S"] in gone and held[PK]["S"] not in late
            ]
        put_back = [self._put_back(held, now, gone) for held in found]
        return [job for _, job in sorted((turn for turn in put_back if turn), key=lambda turn: turn[0])]

    def owners(self) -> Sequence[str]:
        return sorted({held["owner"]["S"] for held in self._in_hand()})

    def next_due(self, now: float, endpoints: Sequence[str]) -> float | None:
        soonest = None
        for endpoint in endpoints:
            for found in self._find(NEXT, "#what = :what", {WHAT: QUEUE + endpoint}, Limit=1):
                due = seconds(found[WHEN]["S"])
                soonest = due if soonest is None else min(due, soonest)
                break
            if soonest is not None and soonest <= now:
                break  # one waits; whether another one waits longer makes no difference
        return soonest

    def depth(self) -> Mapping[str, int]:
        waiting: dict[str, int] = {}
        for found in self._find(BY_STATUS, "#status = :status", {"status": str(Status.STARTING)}):
            waiting[found["endpoint"]["S"]] = waiting.get(found["endpoint"]["S"], 0) + 1
        return waiting

    def _find(self, index: str, condition: str, where: Mapping[str, str], **more: Any) -> Iterator[Item]:
        """What an index holds, in its order; it follows the table within a moment."""
        return self._table.query(
            IndexName=index,
            KeyConditionExpression=condition,
            ExpressionAttributeNames={f"#{name}": name for name in where},
            ExpressionAttributeValues={f":{name}": value(content) for name, content in where.items()},
            **more,
        )

    def _next(self, what: str, now: float, at_once: int = 100) -> Iterator[Item]:
        """What ``next`` has under this word up to now."""
        where = {WHAT: what, WHEN: moment(now + 1e-6)}
        return self._find(NEXT, "#what = :what AND #when < :when", where, Limit=at_once)

    def _in_hand(self) -> Iterator[Item]:
        return self._find(NEXT, "#what = :what", {WHAT: IN_HAND})

    def _claimed(self, found: Item, owner: str, lease: float) -> tuple[str, Job | None]:
        """A job that is this owner's now, unless somebody was faster, and its turn."""
        pk, queue, turn = found[PK]["S"], found[WHAT]["S"], found[WHEN]["S"]
        word = secrets.token_hex(8)
        status = str(Status.PROCESSING)
        sets: dict[str, str | float | bytes] = {
            "status": status,
            BOTH: f"{queue.removeprefix(QUEUE)}#{status}",
            "owner": text(owner),
            "lease": lease,
            WHAT: IN_HAND,
            WHEN: moment(lease),
            WROTE: word,
        }
        arguments = update(sets, adds={"attempts": 1, "revision": 1}, where={WHAT: queue, WHEN: turn})
        item = self._written(id_of(pk), word, arguments)
        return turn, self._whole(item) if item is not None else None

    def _put_back(self, held: Item, now: float, gone: Sequence[str]) -> tuple[str, Job] | None:
        """A job that is in the queue again, and its turn; None where its owner had it after all."""
        item = self._table.get({PK: held[PK], SK: held[SK]})
        if item is None:
            return None
        job = job_of(item, {})
        if job.status != Status.PROCESSING or (job.lease > now and job.owner not in gone):
            return None
        waiting = replace(job, status=Status.STARTING, owner="", lease=0.0)
        word = secrets.token_hex(8)
        where: dict[str, str | float] = {"status": str(job.status), "owner": job.owner, "lease": job.lease}
        turn = place(waiting, item[ARRIVAL]["S"])
        sets: dict[str, str | float | bytes] = {"status": str(waiting.status), "owner": "", "lease": 0.0}
        sets |= {BOTH: both(waiting), WROTE: word, **turn}
        arguments = update(sets, adds={"interrupted": 1, "revision": 1}, where=where)
        after = self._written(job.id, word, arguments)
        whole = None if after is None else self._whole(after)
        return (str(turn[WHEN]), whole) if whole is not None else None

    def _written(self, job_id: str, word: str, arguments: Mapping[str, Any]) -> Item | None:
        """A job's item after an update; None where its condition does not hold."""
        more = {"ReturnValues": "ALL_NEW", "ReturnValuesOnConditionCheckFailure": "ALL_OLD"}
        try:
            item: Item = self._table.call("update_item", Key=key(job_id), **arguments, **more)["Attributes"]
        except Refused as refused:
            if refused.item.get(WROTE) != value(word):
                return None
            return refused.item  # written by an earlier try whose answer was lost
        return item

    def _renewed(self, owner: str, job_id: str, lease: float) -> bool:
        where = {"owner": text(owner), "status": str(Status.PROCESSING)}
        try:
            self._table.call(
                "update_item", Key=key(job_id), **update({"lease": lease, WHEN: moment(lease)}, where=where)
            )
        except Refused:
            return False
        return True

    def _whole(self, item: Item) -> Job | None:
        """The job of an item with its bodies; None where the item is not the newest any more."""
        parts = self._bodies.read(item, BODIES)
        return None if parts is None else job_of(item, parts)
