"""The first invocation of a new version: slow, and perhaps a failure, before any caller meets it."""

from __future__ import annotations

import base64
import json
import time
from collections.abc import Callable
from dataclasses import dataclass

from firstlight.deploy.aws.errors import AwsError, explained
from firstlight.deploy.aws.session import Session

_NOT_YET = {
    "CodeArtifactUserPendingException",
    "ResourceConflictException",
    "ResourceNotReadyException",
    "SnapStartNotReadyException",
}
"""What Lambda says of a version that it still prepares."""
_BUSY = "TooManyRequestsException"
_PATIENCE_SECONDS, _BUSY_SECONDS = 300.0, 60.0
_PAUSE_SECONDS = 2.0


@dataclass(frozen=True, slots=True)
class Warmed:
    """How a version's first invocation went.

    Attributes:
        part: whose version it is.
        arn: of the version.
        seconds: it took.
        error: what it failed at; empty where it answered.
        log: the end of its log, where it failed.
    """

    part: str
    arn: str
    seconds: float
    error: str = ""
    log: str = ""


def warm(
    session: Session,
    part: str,
    arn: str,
    event: bytes,
    timeout: float,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> Warmed:
    """Invoke a version once and wait for its answer.

    Args:
        event: what it is sent, JSON.
        timeout: of the function, in seconds.

    Raises:
        AwsError: AWS refused, or was not reached.
    """
    client = session.client("lambda", patience=timeout + 60)
    begun = clock()
    while True:
        try:
            answer = client.invoke(FunctionName=arn, Payload=event, LogType="Tail")
            break
        except AwsError as error:
            _check(error, part, clock() - begun)
        sleep(_PAUSE_SECONDS)
    with explained("lambda:InvokeFunction", session.region):
        payload = answer["Payload"].read()
    if not answer.get("FunctionError"):
        return Warmed(part, arn, clock() - begun)
    log = base64.b64decode(answer.get("LogResult", "")).decode("utf-8", "replace")
    return Warmed(part, arn, clock() - begun, _error(payload), log)


def _check(error: AwsError, part: str, seconds: float) -> None:
    """Raise what waiting does not help against (any more)."""
    if error.reason == _BUSY and seconds > _BUSY_SECONDS:
        hint = (
            "all workers of the account are busy, or the budget's switch has turned it off: `aws lambda "
            "delete-function-concurrency` turns it on again"
        )
        raise AwsError(
            f"{part} has no worker to start", hint, reason=_BUSY, operation=error.operation
        ) from error
    if error.reason != _BUSY and (error.reason not in _NOT_YET or seconds > _PATIENCE_SECONDS):
        raise error


def _error(payload: bytes) -> str:
    """What a function's error says, in one line."""
    try:
        said = json.loads(payload)
    except ValueError:
        return payload.decode("utf-8", "replace")[:500] or "the function failed"
    if not isinstance(said, dict):
        return str(said)
    kind, message = said.get("errorType"), said.get("errorMessage")
    return ": ".join(str(word) for word in (kind, message) if word) or "the function failed"
