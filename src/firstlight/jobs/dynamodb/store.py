"""Jobs in one DynamoDB table: the keys are in ``schema``."""

from __future__ import annotations

import heapq
import secrets
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from itertools import islice
from typing import Any

from firstlight.jobs.dynamodb.bodies import Kept, is_large
from firstlight.jobs.dynamodb.calls import Item, Refused
from firstlight.jobs.dynamodb.events import Events
from firstlight.jobs.dynamodb.items import LISTED, WROTE, change_of, expiry, item_of, job_of
from firstlight.jobs.dynamodb.queue import DynamoQueue
from firstlight.jobs.dynamodb.schema import (
    ARRIVAL,
    BOTH,
    BY_BOTH,
    BY_STATUS,
    KEPT,
    META,
    PK,
    SK,
    TTL,
    partition,
)
from firstlight.jobs.dynamodb.wire import key, plain, update, value
from firstlight.jobs.fields import all_of, bodies, changed, place_of, text
from firstlight.jobs.types import Job, JobEvent, Page, Status
from firstlight.runtime.errors import JobError

_TRIES = 4
"""How often a job is read anew when it was changed between two reads of its parts."""
_AT_ONCE = 25
"""Jobs that a sweep deletes together."""


class DynamoJobs(DynamoQueue):
    """Keeps jobs and hands them out: see ``jobs.types.JobStore`` and ``JobQueue``. Any number of threads may use it.

    Lists, counts and claims go by indexes that follow the table within a moment; what a claim takes it checks again.

    Args:
        table: the table's name (``create_table`` makes it).
        client: a boto3 client of DynamoDB; None makes one of what the environment says.
        clock: tells how old what an interrupted writer left is, and the order of arrival; seconds since the epoch.

    Raises:
        MissingExtra: boto3 is not installed.
        JobError: no client can be made; every method: DynamoDB cannot be reached or refuses.
    """

    def __init__(self, table: str, client: Any = None, clock: Callable[[], float] = time.time) -> None:
        super().__init__(table, client, clock)
        self._clock = clock
        self._events = Events(self._table, self._bodies)
        self._arriving = threading.Lock()
        self._last = 0

    def put(self, job: Job) -> Job | None:
        """Keep a new job; the one that has its id already, None where it is new."""
        parts = {name: body for name, body in bodies(all_of(job)).items() if body}
        for _ in range(_TRIES):
            if is_large(parts) and (there := self.get(job.id)):
                return there
            if self._put(job, self._bodies.write(text(job.id), parts)):
                return None
            if there := self.get(job.id):
                return there
        raise JobError(f"the job {job.id} is being deleted", "try again")

    def get(self, job_id: str) -> Job | None:
        """The whole job."""
        for _ in range(_TRIES):
            item = self._table.get(key(text(job_id)))
            if item is None:
                return None
            if job := self._whole(item):
                return job
        return None  # its pieces are gone: it is being deleted

    def list(
        self,
        *,
        endpoint: str | None = None,
        status: Status | None = None,
        limit: int = 50,
        cursor: str | None = None,
    ) -> Page:
        """Jobs, the newest first, without their bodies.

        Raises:
            InvalidInput: the cursor is none of this store's.
        """
        newest = self._newest(endpoint, status, place_of(cursor), max(limit, 0) + 1)
        found = {item[PK]["S"]: item for item in islice(newest, max(limit, 0) + 1)}
        page = [{PK: item[PK], SK: item[SK]} for item in list(found.values())[: max(limit, 0)]]
        names = {f"#{name}": name for name in LISTED}
        projection = {"ProjectionExpression": ", ".join(names), "ExpressionAttributeNames": names}
        items = self._table.get_all(page, **projection)
        jobs = [job for job in (job_of(item, {}) for item in items) if status in (None, job.status)]
        more = bool(page) and len(found) > len(page)
        return Page(jobs, str(int(found[page[-1][PK]["S"]][ARRIVAL]["S"])) if more else None)

    def change(self, job: Job, **fields: Any) -> Job | None:
        """The changed job; None where it was changed since it was read.

        Raises:
            TypeError: a field that does not exist or cannot change.
        """
        after, values = changed(job, fields)
        parts = bodies(values)
        before = None
        if is_large(parts) or (after.status == Status.STARTING and {"status", "due"} & fields.keys()):
            before = self._table.get(key(text(job.id)))
            if before is None or plain(before["revision"]) != job.revision:
                return None
        ttl = expiry(after.keep_until) if after.status.final and after.keep_until is not None else None
        kept = self._bodies.write(text(job.id), parts, ttl=ttl)
        sets, removes = change_of(after, values, "status" in fields, before)
        before = self._change(job, kept, {**sets, **kept.attributes}, [*removes, *kept.gone], before)
        if before is None:
            return None
        self._bodies.forget(before, kept)
        if ttl is not None:
            self._expire(text(job.id), ttl)
        # The lease may have been renewed since the job was read: that is no change of it.
        return after if "lease" in values else replace(after, lease=float(plain(before["lease"])))

    def append(self, job_id: str, events: Sequence[JobEvent]) -> None:
        """Keep events of a job; of a job that is not there, none."""
        names = {"ProjectionExpression": "pk, #ttl", "ExpressionAttributeNames": {"#ttl": TTL}}
        if not events or (item := self._table.get(key(text(job_id)), **names)) is None:
            return
        self._events.append(text(job_id), events, plain(item[TTL]) if TTL in item else None)

    def events(self, job_id: str, after: int = 0) -> Sequence[JobEvent]:
        """Its events in order, those with a greater number than ``after``."""
        return self._events.after(text(job_id), after)

    def sweep(self, now: float) -> int:
        """Delete the final jobs whose time has passed, and what interrupted writers left; how many jobs there were."""
        self._bodies.sweep(now)
        keys = [{PK: found[PK], SK: found[SK]} for found in self._next(KEPT, now)]
        return sum(
            self._delete(keys[start : start + _AT_ONCE], now) for start in range(0, len(keys), _AT_ONCE)
        )

    def close(self) -> None:
        """Nothing is held: whoever made the client closes it."""

    def _put(self, job: Job, kept: Kept) -> bool:
        word = secrets.token_hex(8)
        arguments = {
            "Item": item_of(job, self._arrival(), {**kept.attributes, WROTE: word}),
            "ConditionExpression": "attribute_not_exists(pk)",
            "ReturnValuesOnConditionCheckFailure": "ALL_OLD",
        }
        try:
            self._bodies.commit(kept, "Put", arguments)
        except Refused as refused:
            return refused.item.get(WROTE) == value(word)  # an earlier try's answer was lost
        return True

    def _arrival(self) -> str:
        """The next place in the order of arrival."""
        with self._arriving:
            self._last = max(self._last + 1, int(self._clock() * 1e9))
            return f"{self._last:020d}"

    def _newest(
        self, endpoint: str | None, status: Status | None, before: int | None, limit: int
    ) -> Iterator[Item]:
        """Keys of jobs, the last to come first; one that changes meanwhile may come twice."""
        index, name, prefix = (
            (BY_STATUS, "status", "") if endpoint is None else (BY_BOTH, BOTH, f"{text(endpoint)}#")
        )
        bound = {} if before is None else {ARRIVAL: f"{before:020d}"}
        condition = f"#{name} = :{name}" + (f" AND #{ARRIVAL} < :{ARRIVAL}" if bound else "")
        found = [
            self._find(index, condition, {name: prefix + one, **bound}, ScanIndexForward=False, Limit=limit)
            for one in ([status] if status else Status)
        ]
        return heapq.merge(*found, key=lambda item: str(item[ARRIVAL]["S"]), reverse=True)

    def _change(
        self,
        job: Job,
        kept: Kept,
        sets: dict[str, str | float | bytes],
        removes: Sequence[str],
        before: Item | None,
    ) -> Item | None:
        """The item as it was before; None where it was changed since it was read."""
        word = secrets.token_hex(8)
        arguments = update({**sets, WROTE: word}, removes=removes, where={"revision": job.revision})
        more = {"ReturnValues": "ALL_OLD", "ReturnValuesOnConditionCheckFailure": "ALL_OLD"}
        try:
            answer = self._bodies.commit(kept, "Update", {"Key": key(text(job.id)), **arguments, **more})
        except Refused as refused:
            return refused.item if refused.item.get(WROTE) == value(word) else None
        return answer.get("Attributes", before)

    def _parts(self, job_id: str) -> Sequence[Item]:
        """The keys of what there is of a job beside itself, and when DynamoDB deletes it."""
        found = self._table.query(
            KeyConditionExpression="pk = :pk",
            ExpressionAttributeValues={":pk": value(partition(job_id))},
            ProjectionExpression="pk, sk, #ttl",
            ExpressionAttributeNames={"#ttl": TTL},
            ConsistentRead=True,
        )
        return [item for item in found if item[SK]["S"] != META]

    def _expire(self, job_id: str, ttl: int) -> None:
        """Have DynamoDB delete all of a job, should no sweep do it."""
        for part in self._parts(job_id):
            if TTL not in part:
                try:
                    self._table.call("update_item", Key={PK: part[PK], SK: part[SK]}, **update({TTL: ttl}))
                except Refused:
                    continue  # deleted meanwhile

    def _delete(self, keys: Sequence[Item], now: float) -> int:
        """Delete jobs, themselves last: what interrupts it leaves jobs that the next sweep finds."""
        jobs = [job_of(item, {}) for item in self._table.get_all(keys)]
        over = [
            job.id
            for job in jobs
            if job.status.final and job.keep_until is not None and job.keep_until <= now
        ]
        parts = [{PK: part[PK], SK: part[SK]} for job_id in over for part in self._parts(job_id)]
        self._table.write_all(deletes=parts)
        self._table.write_all(deletes=map(key, over))
        return len(over)
