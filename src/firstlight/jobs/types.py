"""What a job is, and the ports of what keeps jobs.

A job is an Event invocation, or an HTTP request to an inference route whose answer is fetched later. Adapters of both
ports: ``sqlite`` on one machine, ``dynamodb`` (SQS takes the queue's part there). Both are synchronous: whoever is on
an event loop calls them on another thread. Times are seconds since the epoch.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Protocol

from firstlight.invoke.types import LATEST

EVENT_LIMIT = 1_048_576
"""Bytes of the event of an asynchronous invocation (AWS Lambda quotas, 1 MB since 2025)."""


class Status(StrEnum):
    """Where a job is, in the words of Cog and Replicate."""

    STARTING = "starting"
    PROCESSING = "processing"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELED = "canceled"

    @property
    def final(self) -> bool:
        """Whether nothing more will happen to the job."""
        return self not in (Status.STARTING, Status.PROCESSING)


class Kind(StrEnum):
    """What a job carries.

    An event for a function (Invoke with InvocationType Event), an HTTP request, or word of how another job ended.
    """

    EVENT = "event"
    REQUEST = "request"
    HOOK = "hook"


class Condition(StrEnum):
    """Why an asynchronous invocation ended, in the words of Lambda's destination records."""

    SUCCESS = "Success"
    RETRIES_EXHAUSTED = "RetriesExhausted"
    AGE_EXCEEDED = "EventAgeExceeded"
    ZERO_CONCURRENCY = "ZeroReservedConcurrency"
    RECURSIVE = "RecursiveInvocation"
    NONE = ""


@dataclass(frozen=True, slots=True)
class Request:
    """The HTTP request a job answers; its body is the job's payload. ``headers`` holds no secrets, names lower case."""

    method: str
    path: str
    query: str = ""
    headers: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Result:
    """What came of a job.

    Args:
        status: the HTTP status the answer would have had; 200 for a function error, as on Lambda.
        body: the answer: the function's JSON, or the body of the HTTP response.
        function_error: ``Unhandled`` or ``Handled`` where the function failed.
        metrics: figures of the last attempt: ``duration_ms``, ``billed_ms``, ``queue_ms``, ``init_ms``, ...
        log: the last 4 KB of the last attempt's log.
        headers: of an HTTP response, those that belong to the answer; ``content_type`` apart, names lower case.
    """

    status: int = 200
    body: bytes = b""
    content_type: str = "application/json"
    function_error: str | None = None
    executed_version: str = LATEST
    metrics: Mapping[str, Any] = field(default_factory=dict)
    log: str = ""
    headers: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Webhook:
    """Who is told: an http(s) URL, and of what (``start``, ``output``, ``logs``, ``completed``)."""

    url: str
    events: tuple[str, ...] = ("start", "output", "logs", "completed")


@dataclass(frozen=True, slots=True)
class Job:
    """One job as it is kept. A changed job is a new value (``JobStore.change``).

    Args:
        id: the request id of an Event invocation; of other jobs what the client chose, or a random one.
        endpoint: whose queue it is in.
        payload: the event, or the body of the request.
        created: when it was taken.
        fingerprint: hash of what was asked for, so that a second PUT of the same id can be told from another one.
        due: not to be begun before.
        give_up: not to be begun after (the maximum age of an event); None for no limit.
        attempts: how often it was begun, ``interrupted`` of them ended with the server and not with an answer.
        failures: attempts that the function answered with an error: what Lambda's retries are counted by.
        held_back: attempts that were throttled or met an error of the server's own: what its backoff is counted by.
        owner: the process that runs it, until ``lease``; empty when none does.
        told: names of the deliveries that were made (webhook events, destinations), so that none is left out after a
            restart and, as far as can be known, none is made twice.
        partial: what there is of an answer that is not complete.
        keep_until: when a final job is deleted; None while it is not final.
        revision: counts the changes; ``change`` compares it.
    """

    id: str
    kind: Kind
    endpoint: str
    payload: bytes
    created: float
    qualifier: str = LATEST
    request: Request | None = None
    trace_id: str | None = None
    fingerprint: str = ""
    status: Status = Status.STARTING
    due: float = 0.0
    give_up: float | None = None
    attempts: int = 0
    interrupted: int = 0
    failures: int = 0
    held_back: int = 0
    owner: str = ""
    lease: float = 0.0
    started: float | None = None
    completed: float | None = None
    condition: Condition = Condition.NONE
    error: str = ""
    partial: str = ""
    result: Result | None = None
    webhook: Webhook | None = None
    told: tuple[str, ...] = ()
    keep_until: float | None = None
    revision: int = 0


@dataclass(frozen=True, slots=True)
class JobEvent:
    """Something that happened to a job; ``number`` counts from 1 within the job.

    ``kind`` is ``start``, ``output``, ``log``, ``metric`` or ``completed``.
    """

    number: int
    kind: str
    data: Mapping[str, Any]
    time: float


@dataclass(frozen=True, slots=True)
class Page:
    """Jobs, the newest first, without their payloads, partial answers and results' bodies.

    ``next`` is the cursor of the next page.
    """

    jobs: Sequence[Job]
    next: str | None = None


class JobStore(Protocol):
    """Keeps jobs. What a method returned from survives the end of the process at any moment.

    Raises:
        JobError: what keeps the jobs cannot be read or written.
    """

    def put(self, job: Job) -> Job | None:
        """Keep a new job, to be claimed from ``job.due`` on; the job that has its id already, None where it is new."""

    def get(self, job_id: str) -> Job | None: ...

    def list(
        self,
        *,
        endpoint: str | None = None,
        status: Status | None = None,
        limit: int = 50,
        cursor: str | None = None,
    ) -> Page: ...

    def change(self, job: Job, **fields: Any) -> Job | None:
        """The job with these fields changed and its revision raised; None where it was changed since it was read.

        A status other than ``processing`` frees it from its owner: ``starting`` puts it back into the queue.
        """

    def append(self, job_id: str, events: Sequence[JobEvent]) -> None:
        """Keep events of a job; one whose number is there already is left as it is."""

    def events(self, job_id: str, after: int = 0) -> Sequence[JobEvent]:
        """Its events in order, those with a greater number than ``after``."""

    def sweep(self, now: float) -> int:
        """Delete the final jobs whose time has passed, with their events; how many there were."""

    def close(self) -> None: ...


class JobQueue(Protocol):
    """Hands out the jobs that are due: within an endpoint the one that was taken first comes first.

    A job is in nobody else's hands until its lease ends. One whose owner is gone is handed out again.
    """

    def claim(self, owner: str, now: float, lease_s: float, room: Mapping[str, int]) -> Sequence[Job]:
        """Take due jobs: they are ``processing`` now, ``attempts`` raised, ``owner`` and ``lease`` set.

        Args:
            room: by endpoint, how many at most; an endpoint that is not named gets none taken.
        """

    def renew(self, owner: str, job_ids: Sequence[str], lease_until: float) -> Sequence[str]:
        """Keep jobs; returns the ids of those that are not this owner's any more."""

    def recover(self, now: float, gone: Sequence[str] = ()) -> Sequence[Job]:
        """Put jobs back whose lease has ended, or whose owner is known to be gone; ``interrupted`` is raised."""

    def owners(self) -> Sequence[str]:
        """Who has jobs in hand."""

    def next_due(self, now: float, endpoints: Sequence[str]) -> float | None:
        """When the next job of these endpoints can be claimed: ``now`` or earlier where one waits; None for never."""

    def depth(self) -> Mapping[str, int]:
        """By endpoint, how many jobs are not begun."""
