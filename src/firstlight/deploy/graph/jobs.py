"""Jobs: a table, a queue, what could not be done, and the function that works the queue off."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from firstlight.build.pack.router import JOBS_HANDLER
from firstlight.deploy.graph.endpoints import aliases
from firstlight.deploy.graph.environment import of_jobs
from firstlight.deploy.graph.functions import LONGEST, Wanted, function
from firstlight.deploy.graph.rights import allow, deny, document
from firstlight.deploy.graph.site import JOBS, Site
from firstlight.deploy.types import Att, Output, Ref, Resource, Sub, Value
from firstlight.jobs.dynamodb.table import definition

PART = "jobs"
TABLE, QUEUE, DEAD = "JobsTable", "JobsQueue", "JobsDeadLetters"
_MEMORY = 256
_ATTEMPTS = 3
_FORTNIGHT = 14 * 24 * 3600
_SMALL_ACCOUNT = 100
"""Workers an account has at least once AWS has raised a new one's 10."""


def resources(site: Site) -> Iterator[Resource]:
    """All that jobs need."""
    yield _table()
    yield _queue(DEAD, "jobs that failed for good, for two weeks", {"MessageRetentionPeriod": _FORTNIGHT})
    redrive: Value = {"deadLetterTargetArn": Att(DEAD, "Arn"), "maxReceiveCount": _ATTEMPTS}
    # AWS asks for six times the function's timeout: a batch that is being worked on is not handed out again.
    waiting = {
        "VisibilityTimeout": 6 * LONGEST,
        "MessageRetentionPeriod": _FORTNIGHT,
        "RedrivePolicy": redrive,
    }
    yield _queue(
        QUEUE, f"jobs that wait; hidden for {6 * LONGEST:,} s once taken, {_ATTEMPTS} attempts", waiting
    )
    yield _encrypted_only(QUEUE)
    yield _encrypted_only(DEAD)
    yield from _worker(site)
    workers = 2 if site.account.concurrency < _SMALL_ACCOUNT else 10
    yield Resource(
        "JobsSource",
        "AWS::Lambda::EventSourceMapping",
        {
            "EventSourceArn": Att(QUEUE, "Arn"),
            "FunctionName": Ref("JobsAlias"),
            "BatchSize": 1,
            "FunctionResponseTypes": ["ReportBatchItemFailures"],
            "ScalingConfig": {"MaximumConcurrency": workers},
        },
        PART,
        f"hands jobs to the function, one at a time to each of {workers} workers",
    )


def outputs() -> Iterator[Output]:
    """Names for those who look after the queue."""
    yield Output("JobsTable", Ref(TABLE), "table of jobs")
    yield Output("JobsQueue", Ref(QUEUE), "queue of jobs that wait")
    yield Output("JobsDeadLetters", Ref(DEAD), "queue of jobs that failed for good")


def keeping() -> list[dict[str, Value]]:
    """The rights on the table, as docs/jobs-store.md has them."""
    actions = ("GetItem", "BatchGetItem", "Query", "PutItem", "UpdateItem", "DeleteItem", "BatchWriteItem")
    return [
        allow(
            [f"dynamodb:{action}" for action in actions],
            (Att(TABLE, "Arn"), Sub(f"${{{TABLE}.Arn}}/index/*")),
        )
    ]


def putting() -> list[dict[str, Value]]:
    """The rights of the router: to keep jobs and to queue them."""
    return [*keeping(), allow(("sqs:SendMessage",), (Att(QUEUE, "Arn"),))]


def _worker(site: Site) -> Iterator[Resource]:
    receiving = (
        "ReceiveMessage",
        "DeleteMessage",
        "ChangeMessageVisibility",
        "GetQueueAttributes",
        "SendMessage",
    )
    rights = {
        "invoking": [allow(("lambda:InvokeFunction",), aliases(site))],
        "jobs": [*keeping(), allow([f"sqs:{action}" for action in receiving], (Att(QUEUE, "Arn"),))],
    }
    yield from function(
        site,
        Wanted(
            part=PART,
            head="Jobs",
            name=site.names.function(JOBS),
            description=f"works off the jobs of {site.names.prefix}",
            artifact=site.artifacts["router"],
            memory=_MEMORY,
            timeout=LONGEST,
            environment=of_jobs(site),
            rights=rights,
            handler=JOBS_HANDLER,
        ),
    )


def _table() -> Resource:
    properties: dict[str, Any] = {
        **definition(),
        "TimeToLiveSpecification": {"AttributeName": "ttl", "Enabled": True},
    }
    return Resource(
        TABLE,
        "AWS::DynamoDB::Table",
        properties,
        PART,
        "jobs, what they were asked and answered; on demand; outlives the stack",
        keep=True,
    )


def _queue(logical_id: str, why: str, properties: Mapping[str, Value]) -> Resource:
    return Resource(logical_id, "AWS::SQS::Queue", {**properties, "SqsManagedSseEnabled": True}, PART, why)


def _encrypted_only(queue: str) -> Resource:
    unencrypted = deny(("sqs:*",), (Att(queue, "Arn"),), {"Bool": {"aws:SecureTransport": "false"}})
    return Resource(
        f"{queue}Policy",
        "AWS::SQS::QueuePolicy",
        {"Queues": [Ref(queue)], "PolicyDocument": document({**unencrypted, "Principal": "*"})},
        PART,
        "nobody reaches the queue without TLS",
    )
