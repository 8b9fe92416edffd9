"""What goes into an invoker and what comes out of it, whichever adapter carries it.

Limits are AWS Lambda's: 6 MB for the event of a RequestResponse invocation, 6 MB + 100 bytes for its answer.
"""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Coroutine, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from firstlight.runtime.errors import TooManyRequests

if TYPE_CHECKING:
    from firstlight.isolation import Walls

REQUEST_LIMIT = 6_291_456
"""Bytes of an event, RequestResponse (AWS Lambda quotas, "Invocation payload")."""

RESPONSE_LIMIT = 6_291_556
"""Bytes of a buffered answer: 6 MiB and 100 bytes (the Runtime API's own check)."""

STREAM_LIMIT = 200 * 1024 * 1024
"""Bytes of a streamed answer (AWS Lambda quotas, "response streaming payload")."""

LATEST = "$LATEST"
REGION = "us-east-1"
ACCOUNT = "000000000000"


def function_arn(endpoint: str, qualifier: str = LATEST, region: str = REGION) -> str:
    """The ARN a local endpoint goes by; the qualifier is named only when it is not ``$LATEST``."""
    arn = f"arn:aws:lambda:{region}:{ACCOUNT}:function:{endpoint}"
    return arn if qualifier == LATEST else f"{arn}:{qualifier}"


def pool_name(endpoint: str, version: str = LATEST) -> str:
    """What the workers of an endpoint go by; those of a published version are ``name:1``."""
    return endpoint if version == LATEST else f"{endpoint}:{version}"


def new_request_id() -> str:
    """A random request id, as Lambda makes one for every invocation."""
    digits = os.urandom(16).hex()
    variant = "89ab"[
        int(digits[16], 16) & 3
    ]  # RFC 9562, version 4; uuid.uuid4() is four times as long on the way
    return f"{digits[:8]}-{digits[8:12]}-4{digits[13:16]}-{variant}{digits[17:20]}-{digits[20:]}"


def new_trace_id(now: float) -> str:
    """An X-Ray trace header of a trace that nobody samples, as Lambda makes one where the caller sends none.

    Args:
        now: seconds since the epoch.
    """
    digits = os.urandom(20).hex()
    return f"Root=1-{int(now):08x}-{digits[:24]};Parent={digits[24:]};Sampled=0"


class Throttled(TooManyRequests):
    """The queue of an endpoint is full, or its concurrency is 0.

    Args:
        reason: Lambda's word for it (the ``Reason`` of TooManyRequestsException).
        retry_after: seconds after which it is worth asking again (the ``Retry-After`` header).
    """

    def __init__(self, message: str, hint: str = "", *, reason: str, retry_after: int = 1) -> None:
        super().__init__(message, hint)
        self.reason = reason
        self.retry_after = retry_after


@dataclass(frozen=True, slots=True)
class Invocation:
    """One call of an endpoint.

    Args:
        endpoint: its name.
        payload: the event, bytes of JSON, at most ``REQUEST_LIMIT``.
        request_id: what the logs and the record call it.
        client_context: JSON text (not base64), as ``Lambda-Runtime-Client-Context`` carries it.
        trace_id: value of ``X-Amzn-Trace-Id``.
        tail: whether the caller wants the end of the log (``X-Amz-Log-Type: Tail``).
        wire: the protocol it came by, for the record: ``lambda``, ``huggingface``, ``openai``, ``route``, ...
        qualifier: what the caller asked for, ``$LATEST``, a version or an alias; part of the function's ARN.
        version: the version that answers.
    """

    endpoint: str
    payload: bytes
    request_id: str = field(default_factory=new_request_id)
    qualifier: str = LATEST
    client_context: str | None = None
    trace_id: str | None = None
    tail: bool = False
    wire: str = "lambda"
    version: str = LATEST

    @property
    def pool(self) -> str:
        """Whose workers take it: the endpoint's, or those of one of its versions."""
        return pool_name(self.endpoint, self.version)


@dataclass(slots=True)
class Report:
    """What one invocation cost, as in Lambda's REPORT line. Times in milliseconds, memory in MB.

    ``queue_ms`` is the time before a worker took it, a cold start included; ``init_ms`` is None for a warm worker, and
    for one that was restored from a snapshot in ``restore_ms`` (SnapStart).
    ``timings`` are the worker's own notes (``preprocess``, ``engine``, ...; ``load`` and ``import`` when it was cold),
    and so are ``counts`` (``prompt_tokens``, ``generated_tokens``).
    """

    duration_ms: float = 0.0
    billed_ms: int = 0
    memory_mb: int = 0
    max_memory_mb: int = 0
    init_ms: float | None = None
    restore_ms: float | None = None
    queue_ms: float = 0.0
    cold: bool = False
    timings: dict[str, float] = field(default_factory=dict)
    counts: dict[str, int] = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)


class ByteStream(Protocol):
    """The bytes of a streamed reply, as they are made."""

    def __aiter__(self) -> AsyncIterator[bytes]: ...

    def __anext__(self) -> Coroutine[Any, Any, bytes]: ...

    def aclose(self) -> Coroutine[Any, Any, None]:
        """Read no more: the function's work is ended, and the reply's report is complete when this returns."""


@dataclass(slots=True)
class Reply:
    """What came back.

    A streamed reply has ``stream`` and an empty ``payload``; ``log``, ``report`` and, where the function broke off,
    ``function_error`` and ``payload`` (the error as JSON) are complete once the stream has ended or was closed.
    ``log`` is the last 4 KB of the invocation's log, START and REPORT lines included.
    ``outcome`` says it in one word for the record: ``ok``, ``error``, ``timeout``, ``crash``, or ``cancelled`` where
    the caller went away and the work was ended.
    """

    request_id: str
    payload: bytes = b""
    stream: ByteStream | None = None
    content_type: str = "application/json"
    function_error: str | None = None
    executed_version: str = LATEST
    log: bytes = b""
    report: Report = field(default_factory=Report)
    outcome: str = "ok"


class Invoker(Protocol):
    """Carries an invocation to where the endpoint's code runs.

    Raises:
        EndpointNotFound, Throttled (a TooManyRequests), PayloadTooLarge. All that the function itself does wrong is a
        Reply whose ``function_error`` is set.
    """

    async def invoke(self, invocation: Invocation) -> Reply: ...

    async def close(self) -> None: ...


@dataclass(frozen=True, slots=True)
class WorkerSpec:
    """How to start the workers of an endpoint; equal specs may share workers.

    Args:
        endpoint: its name; the function's name too.
        bundle: folder of a bundle, for a model endpoint.
        task: another task than the bundle's own that its weights serve.
        script: a user's Python file, for a script endpoint.
        handler: ``module.function`` where neither is given, found from ``cwd``.
        memory_mb: limit of one worker's resident memory.
        timeout_s: limit of one invocation in seconds.
        concurrency: workers at most; 0 turns the endpoint off.
        env: the endpoint's own environment variables.
        cwd: working directory and ``LAMBDA_TASK_ROOT``; default the bundle's, or the script's, folder.
        digest: identity of the content (a bundle's digest, a script's hash), so that new content is a new spec.
        command: full command line to start instead of our worker (another Runtime API client, such as awslambdaric).
        walls: what its workers run within (``walled``); None runs them as they are.
        version: ``$LATEST``, or the number of a published version.
        provisioned: workers that are kept ready, whether or not there is work.
        snap_start: workers are forked from one that is initialised, where that is safe.
    """

    endpoint: str
    bundle: Path | None = None
    task: str | None = None
    script: Path | None = None
    handler: str | None = None
    memory_mb: int = 1769
    timeout_s: float = 30.0
    concurrency: int = 1
    env: Mapping[str, str] = field(default_factory=dict)
    cwd: Path | None = None
    digest: str = ""
    command: tuple[str, ...] | None = None
    walls: Walls | None = None
    version: str = LATEST
    provisioned: int = 0
    snap_start: bool = False
