"""Who is told how a job ended, and in which words: Lambda's destinations and dead-letter queues, and webhooks.

The record of a destination is version 1.0 of Lambda's (developer guide, "Capturing records of Lambda asynchronous
invocations"); a dead letter is the event itself with the three attributes that an SQS message of Lambda has.
"""

from __future__ import annotations

import json
from typing import Any

from firstlight.invoke.types import LATEST, function_arn
from firstlight.jobs import rules
from firstlight.jobs.rendering import moment, problem
from firstlight.jobs.types import Condition, Job, Kind, Request
from firstlight.project import Asynchronous

HOOKS = "@hooks"
"""The queue of what is to be told; no endpoint can have the name."""

COMPLETED = "completed"
_MESSAGE_LIMIT = 1024
"""Bytes of a dead letter's error message."""


def hooks(job: Job, policy: Asynchronous, now: float) -> list[Job]:
    """The jobs that tell of another job's end, one for each that is to be told.

    Args:
        job: as it ended.
    """
    wanted: dict[str, str] = {}
    if job.kind is Kind.EVENT and job.condition is Condition.SUCCESS:
        wanted = {"on_success": policy.on_success or ""}
    elif job.kind is Kind.EVENT and job.condition is not Condition.NONE:
        wanted = {"on_failure": policy.on_failure or "", "dead_letter": policy.dead_letter or ""}
    if job.webhook is not None and COMPLETED in job.webhook.events:
        wanted[COMPLETED] = job.webhook.url
    return [_hook(job, what, where, now) for what, where in wanted.items() if where and what not in job.told]


def record(job: Job) -> dict[str, Any]:
    """The record of a destination."""
    shown: dict[str, Any] = {
        "version": "1.0",
        "timestamp": moment(job.completed),
        "requestContext": {
            "requestId": job.id,
            "functionArn": qualified_arn(job),
            "condition": job.condition.value,
            "approximateInvokeCount": rules.invoke_count(job),
        },
        "requestPayload": _parsed(job.payload),
    }
    result = job.result
    if result is None or job.condition is Condition.ZERO_CONCURRENCY:
        return shown
    reached = result.status == 200
    version = {"executedVersion": result.executed_version} if reached else {}
    error = {"functionError": result.function_error} if result.function_error else {}
    shown["responseContext"] = {"statusCode": result.status, **version, **error}
    if reached:
        shown["responsePayload"] = _parsed(result.body)
    return shown


def dead_letter(job: Job) -> tuple[bytes, dict[str, str]]:
    """The event, and the attributes ``RequestID``, ``ErrorCode`` and ``ErrorMessage``."""
    message = (problem(job) or "").encode()[:_MESSAGE_LIMIT].decode("utf-8", "ignore")
    code = {}
    if job.condition is not Condition.ZERO_CONCURRENCY and job.result is not None:
        code = {"ErrorCode": str(job.result.status)}
        message = "Rate Exceeded." if job.result.status == 429 else message
    return job.payload, {"RequestID": job.id, **code, "ErrorMessage": message}


def sqs_message(hook_id: str, body: bytes, attributes: dict[str, str]) -> dict[str, Any]:
    """A dead letter as SQS's ReceiveMessage gives it."""
    kinds = {"ErrorCode": "Number"}
    return {
        "MessageId": hook_id,
        "Body": body.decode("utf-8", "replace"),
        "MessageAttributes": {
            name: {"DataType": kinds.get(name, "String"), "StringValue": value}
            for name, value in attributes.items()
        },
    }


def sqs_event(hook_id: str, body: bytes, attributes: dict[str, str], source: str) -> dict[str, Any]:
    """A dead letter as a function that reads the queue gets it.

    Args:
        source: name of the endpoint that failed.
    """
    message = sqs_message(hook_id, body, attributes)
    given = {
        name: {"stringValue": value["StringValue"], "dataType": value["DataType"]}
        for name, value in message["MessageAttributes"].items()
    }
    arn = function_arn(f"{source}-dead-letter").replace(":lambda:", ":sqs:").replace(":function:", ":")
    about = {"messageId": hook_id, "body": message["Body"], "messageAttributes": given}
    return {"Records": [{**about, "eventSource": "aws:sqs", "eventSourceARN": arn}]}


def qualified_arn(job: Job) -> str:
    """The function's ARN with its qualifier, which records name also where it is ``$LATEST``."""
    return f"{function_arn(job.endpoint)}:{job.qualifier or LATEST}"


def _hook(job: Job, what: str, where: str, now: float) -> Job:
    about = json.dumps({"job": job.id, "what": what}).encode()
    hook_id = f"{job.id}.{what}"
    return Job(hook_id, Kind.HOOK, HOOKS, about, now, due=now, request=Request("POST", where))


def _parsed(body: bytes) -> Any:
    """JSON as it is; what is none as text."""
    try:
        return json.loads(body) if body else None
    except (ValueError, RecursionError):
        return body.decode("utf-8", "replace")
