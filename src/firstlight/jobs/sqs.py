"""Jobs whose queue is SQS: the table of ``jobs.dynamodb`` keeps them, a message of SQS wakes whoever runs them.

A message says no more than which job, ``{"job": "..."}``; all that is true of a job is in the table, so a message that
comes twice, late or for nothing does no harm. One that is lost does none for long: ``tend`` sends it again.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from firstlight.jobs.dynamodb.calls import Refused
from firstlight.jobs.dynamodb.items import job_of
from firstlight.jobs.dynamodb.plain import PlainClient
from firstlight.jobs.dynamodb.schema import PK, QUEUE, SK, id_of
from firstlight.jobs.dynamodb.store import DynamoJobs
from firstlight.jobs.dynamodb.wire import key, value
from firstlight.jobs.fields import text
from firstlight.jobs.types import Job, Status
from firstlight.runtime.aws.calling import Api
from firstlight.runtime.aws.errors import CallFailed
from firstlight.runtime.errors import JobError

LONGEST_DELAY_S = 900
"""Seconds that SQS keeps a message back at most; a job that waits longer is sent again then."""
_SOON_S = 1.0
_LATE_S = 1800.0
"""Seconds after which a job that waits is taken for one whose message was lost. One that waits in a long queue gets a
second message then, which does no harm."""
_TRIES, _FIRST_PAUSE_S = 4, 0.1


class SqsJobs(DynamoJobs):
    """Keeps jobs in a table and says in a queue that they wait.

    Args:
        table: the table's name.
        queue: the queue's URL.
        client: a client of DynamoDB, boto3's or ``dynamodb.plain``'s; None makes one of what the environment says.
        sqs: SQS; made of the environment where none is given.
        clock: seconds since the epoch.

    Raises:
        JobError: every method: AWS cannot be reached or refuses.
    """

    def __init__(
        self,
        table: str,
        queue: str,
        client: Any = None,
        sqs: Api | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        super().__init__(table, client or PlainClient(Api("dynamodb", os.environ)), clock)
        self._queue = Queue(queue, sqs)
        self._now = clock

    def put(self, job: Job) -> Job | None:
        """Keep a new job; the one that has its id already, None where it is new.

        One that waits and was never begun is sent once more: the message of an earlier try may be what failed.
        """
        there = super().put(job)
        if there is None or (there.status is Status.STARTING and not there.attempts):
            self._queue.send(job.id, (there or job).due - self._now())
        return there

    def change(self, job: Job, **fields: Any) -> Job | None:
        """The changed job; None where it was changed since it was read."""
        after = super().change(job, **fields)
        if after is not None and "status" in fields and after.status is Status.STARTING:
            self._queue.send(after.id, after.due - self._now())
        return after

    def recover(self, now: float, gone: Sequence[str] = ()) -> Sequence[Job]:
        """Put jobs back whose lease has ended."""
        back = super().recover(now, gone)
        for job in back:
            self._queue.send(job.id)
        return back

    def take(
        self, job_id: str, owner: str, now: float, lease_s: float, room: Mapping[str, int]
    ) -> Job | float | None:
        """One job by its id, as ``claim`` takes it.

        Args:
            room: by endpoint, how many at most; an endpoint that is not named has room.

        Returns:
            the job, which is this owner's now; when it may be (seconds since the epoch); None where there is nothing
            to do any more.
        """
        item = self._table.get(key(text(job_id)))
        job = None if item is None else job_of(item, {})
        if item is None or job is None or job.status.final:
            return None
        if job.status is Status.PROCESSING:
            if job.lease > now:
                return job.lease
            self._put_back(item, now, ())
            item = self._table.get(key(text(job_id)))
            if item is None:
                return None
        if job.due > now:
            return job.due
        if room.get(job.endpoint, 1) <= 0:
            return now
        _, taken = self._claimed(item, owner, now + lease_s)
        return taken if taken is not None else now + _SOON_S

    def later(self, job_id: str, moment: float) -> None:
        """Have a job looked at again at a time."""
        self._queue.send(job_id, moment - self._now())

    def secret(self, made: Callable[[], str]) -> str:
        """The secret by which webhooks are signed; kept when it is first asked for.

        Args:
            made: makes a new one.
        """
        place = {PK: value("SECRET"), SK: value("WEBHOOKS")}
        item = self._table.get(place)
        if item is None:
            new = made()
            try:
                self._table.call(
                    "put_item",
                    Item={**place, "secret": value(new)},
                    ConditionExpression="attribute_not_exists(pk)",
                )
            except Refused:
                item = self._table.get(place)
            else:
                return new
        if item is None:
            raise JobError("the secret of webhooks was deleted just now", "try again")
        return str(item["secret"]["S"])

    def tend(self, now: float) -> int:
        """Put back what nobody runs any more, send what was forgotten, delete what is over; how many were sent."""
        sent = {job.id for job in self.recover(now)}
        for endpoint in self.depth():
            late = {id_of(found[PK]["S"]) for found in self._next(QUEUE + endpoint, now - _LATE_S)}
            for job_id in sorted(late - sent):
                self._queue.send(job_id)
            sent |= late
        self.sweep(now)
        return len(sent)


class Queue:
    """One queue of SQS, to which messages are sent.

    Args:
        url: its URL.
        api: SQS; made of the environment where none is given.
    """

    def __init__(self, url: str, api: Api | None = None) -> None:
        self._url = url
        self._api = api or Api("sqs", os.environ)

    def send(self, job_id: str, seconds: float = 0.0) -> None:
        """Say that a job waits. A message that arrives twice does no harm, so that a lost answer is asked for again.

        Args:
            seconds: not before.

        Raises:
            JobError: it could not be said.
        """
        delay = max(0, min(int(seconds + 0.999), LONGEST_DELAY_S))
        content = {"QueueUrl": self._url, "MessageBody": json.dumps({"job": job_id}), "DelaySeconds": delay}
        for turn in range(_TRIES):
            try:
                self._api.call("AmazonSQS.SendMessage", content)
                return
            except CallFailed as error:
                passing = error.code == "NoAnswer" or error.status >= 500 or error.status == 429
                if turn + 1 == _TRIES or not passing:
                    said = f"job {job_id} waits, but the queue could not be told: {error}"
                    raise JobError(said, _hint(error.code)) from error
            time.sleep(_FIRST_PAUSE_S * 2**turn)


def _hint(code: str) -> str:
    if "NonExistentQueue" in code or "QueueDoesNotExist" in code:
        return "deploy again"
    if code.startswith("AccessDenied"):
        return "docs/router.md lists the actions that are needed"
    return "check the region, the credentials and the network" if code == "NoAnswer" else ""


def job_named(body: str) -> str | None:
    """The job that a message names; None where it is none of ours."""
    try:
        told = json.loads(body)
    except ValueError:
        return None
    named = told.get("job") if isinstance(told, dict) else None
    return named if isinstance(named, str) and named else None
