"""Invocations of AWS Lambda functions: every endpoint is one, and its alias ``live`` is what answers.

All go by InvokeWithResponseStream, as nobody knows beforehand what streams: an answer that is JSON comes back whole,
any other is a stream. It needs ``lambda:InvokeFunction`` on the aliases. Source: Lambda API reference,
"InvokeWithResponseStream". With the standard library alone (``runtime.aws`` says why).
"""

from __future__ import annotations

import asyncio
import base64
import json
import os
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar
from urllib.parse import quote

from firstlight.invoke.eventstream import messages
from firstlight.invoke.lambda_reports import reported
from firstlight.invoke.types import LATEST, REQUEST_LIMIT, Invocation, Reply, Throttled
from firstlight.project.names import LIVE
from firstlight.runtime.aws.calling import Answer, Api, refusal
from firstlight.runtime.aws.errors import CallFailed
from firstlight.runtime.errors import EndpointNotFound, FirstlightError, PayloadTooLarge, WorkerFailed

READ_S = 930.0
"""Seconds that a function may be silent: as long as it may run, and a little more."""
_THREADS = 64
_NOT_YET = frozenset(
    {
        "CodeArtifactUserPendingException",
        "ResourceConflictException",
        "ResourceNotReadyException",
        "SnapStartNotReadyException",
    }
)
"""Refusals of a function that is being made ready, such as one that was put away after two idle weeks."""
PATIENCE_S = 60.0
"""Seconds for which such a function is asked again."""
_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 0.5, 5.0
_AWAKE_S = 300.0
_JSON, _HTTP_INTEGRATION = "application/json", "application/vnd.awslambda.http-integration-response"
_END_OF_PRELUDE = bytes(8)

Found = TypeVar("Found")


class AwsInvoker:
    """Invokes functions (``invoke.types.Invoker``).

    Args:
        functions: name of the Lambda function, by endpoint.
        api: Lambda; made of the environment where none is given.
        clock: monotonic, seconds.
        pause: waits for so many seconds; on a thread.
    """

    def __init__(
        self,
        functions: Mapping[str, str],
        api: Api | None = None,
        clock: Callable[[], float] = time.monotonic,
        pause: Callable[[float], None] = time.sleep,
    ) -> None:
        self._functions = functions
        self._api = api or Api("lambda", os.environ, read_s=READ_S)
        self._clock = clock
        self._pause = pause
        self._threads = ThreadPoolExecutor(_THREADS, thread_name_prefix="lambda")
        self._answered: dict[str, float] = {}

    def status(self) -> dict[str, dict[str, Any]]:
        """By endpoint, whether a worker is likely awake: Lambda does not say, but one that answered stays a while."""
        last = self._clock() - _AWAKE_S
        return {name: {"idle": int(self._answered.get(name, last) > last)} for name in self._functions}

    async def invoke(self, invocation: Invocation) -> Reply:
        """Carry one invocation.

        Raises:
            EndpointNotFound: there is no such function, version or alias.
            PayloadTooLarge, Throttled: from Lambda.
            WorkerFailed: Lambda cannot be reached, refuses, or does not get the function ready.
        """
        function = self._functions.get(invocation.endpoint)
        if function is None:
            raise EndpointNotFound(f"there is no function for the endpoint {invocation.endpoint!r}")
        if len(invocation.payload) > REQUEST_LIMIT:
            raise PayloadTooLarge(
                f"the event has {len(invocation.payload)} bytes, the limit is {REQUEST_LIMIT}"
            )
        stream = _Stream(self._threads, self._clock)
        opening = asyncio.ensure_future(
            _on(self._threads, lambda: stream.open(self._opened(function, invocation)))
        )
        try:
            await asyncio.shield(opening)
        except asyncio.CancelledError:
            opening.add_done_callback(stream.forget)
            raise
        except CallFailed as error:
            raise _explained(error, invocation) from error
        self._answered[invocation.endpoint] = self._clock()
        reply = stream.reply
        if reply.content_type.partition(";")[0] != _JSON:
            reply.stream = stream
            return reply
        try:
            whole = b"".join([piece async for piece in stream])
        except asyncio.CancelledError:
            await stream.aclose()
            raise
        reply.payload = whole or reply.payload
        return reply

    async def close(self) -> None:
        """Let go of the connections."""
        self._threads.shutdown(wait=False, cancel_futures=True)
        self._api.close()

    def _opened(self, function: str, invocation: Invocation) -> Answer:
        """The answer of Lambda, as soon as it begins.

        Raises:
            CallFailed: Lambda refused.
        """
        qualifier = LIVE if invocation.qualifier == LATEST else invocation.qualifier
        query = f"Qualifier={quote(qualifier, safe='')}"
        path = f"/2021-11-15/functions/{function}/response-streaming-invocations"
        headers = _headers(invocation)
        last, seconds = self._clock() + PATIENCE_S, _FIRST_PAUSE_S
        while True:
            answer = self._api.request("POST", path, query, headers, invocation.payload)
            if answer.status == 200:
                return answer
            error = refusal(answer.status, answer.header("x-amzn-errortype"), answer.whole())
            error.retry_after = answer.header("retry-after")
            if error.code not in _NOT_YET or self._clock() + seconds > last:
                raise error
            self._pause(seconds)
            seconds = min(2 * seconds, _LONGEST_PAUSE_S)


class _Stream:
    """The bytes of an answer as they arrive; reading them happens on threads.

    Attributes:
        reply: what the bytes belong to; complete when they have ended.
    """

    reply: Reply

    def __init__(self, threads: ThreadPoolExecutor, clock: Callable[[], float]) -> None:
        self._threads = threads
        self._clock = clock
        self._began = clock()
        self._frames: Iterator[tuple[dict[str, str], bytes]] = iter(())
        self._answer: Answer | None = None
        self._failed_with = ""
        self._held: bytes | None = None
        self._reading = threading.Lock()

    def open(self, answer: Answer) -> None:
        """The answer has begun."""
        self._answer = answer
        self._frames = messages(answer.read)
        self._failed_with = answer.header("x-amz-function-error")
        self.reply = Reply(
            request_id=answer.header("x-amzn-requestid"),
            content_type=answer.header("x-amzn-remapped-content-type"),
            executed_version=answer.header("x-amz-executed-version") or LATEST,
        )
        if self._failed_with:
            self.reply.content_type = _JSON
        elif not self.reply.content_type:  # AWS says it, its emulators do not
            self._held = self._next()
            self.reply.content_type = _kind(self._held or b"")

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self

    async def __anext__(self) -> bytes:
        piece = await _on(self._threads, self._next)
        if piece is None:
            raise StopAsyncIteration
        return piece

    async def aclose(self) -> None:
        """Read no more. The function goes on to its end, as Lambda knows no other."""
        if self._answer is not None:
            self._answer.abort()
            await _on(self._threads, self.drop)

    def forget(self, opening: asyncio.Future[None]) -> None:
        """Whoever had it opened has gone; whether that came to anything is nobody's matter."""
        if not opening.cancelled() and opening.exception() is None:
            self.drop()

    def drop(self) -> None:
        """Let go of the connection, where the stream has not ended."""
        with self._reading:
            if self._answer is not None:
                self._answer.close()
                self._answer = None
                self.reply.outcome = "cancelled"
                self.reply.report.duration_ms = (self._clock() - self._began) * 1000

    def _next(self) -> bytes | None:
        """The next piece; None at the end."""
        with self._reading:
            held, self._held = self._held, None
            if held is not None or self._answer is None:
                return held
            try:
                for headers, payload in self._frames:
                    if headers.get(":event-type") == "PayloadChunk":
                        return payload
                    self._complete(json.loads(payload or b"{}"))
                    self._answer.read(1)
                    self._answer.done()
                    self._answer = None
                    return None
                self._break_off("the answer ended before it was complete")
            except (CallFailed, ValueError) as error:
                self._break_off(str(error))
        return None

    def _complete(self, told: Mapping[str, Any]) -> None:
        """Read the last message."""
        reply = self.reply
        reply.log = base64.b64decode(told.get("LogResult") or "")
        reply.report = reported(reply.log, (self._clock() - self._began) * 1000)
        code = told.get("ErrorCode") or told.get("errorCode") or self._failed_with
        if code:
            reply.function_error, reply.outcome = self._failed_with or "Unhandled", "error"
            reply.payload = _error(str(code), str(told.get("ErrorDetails") or ""))
            if "Task timed out" in str(told.get("ErrorDetails")) or "Sandbox.Timedout" in str(code):
                reply.outcome = "timeout"

    def _break_off(self, why: str) -> None:
        if self._answer is not None:
            self._answer.close()
            self._answer = None
        self.reply.function_error, self.reply.outcome = "Unhandled", "crash"
        self.reply.payload = _error("Function.StreamBroken", why)
        self.reply.report.duration_ms = (self._clock() - self._began) * 1000


async def _on(threads: ThreadPoolExecutor, work: Callable[[], Found]) -> Found:
    return await asyncio.get_running_loop().run_in_executor(threads, work)


def _headers(invocation: Invocation) -> dict[str, str]:
    headers = {"content-type": "application/json", "x-amz-log-type": "Tail"}
    if invocation.client_context is not None:
        headers["x-amz-client-context"] = base64.b64encode(invocation.client_context.encode()).decode()
    if invocation.trace_id is not None:
        headers["x-amzn-trace-id"] = invocation.trace_id.encode("ascii", "ignore").decode()
    return headers


def _kind(beginning: bytes) -> str:
    """The media type of an answer, by how it begins."""
    if _END_OF_PRELUDE in beginning:
        return _HTTP_INTEGRATION
    return "text/event-stream" if beginning.startswith((b"data:", b"event:")) else _JSON


def _error(code: str, details: str) -> bytes:
    """An error as the function's answer has it."""
    try:
        if isinstance(json.loads(details), dict):
            return details.encode("utf-8", "replace")
    except ValueError:
        pass
    return json.dumps({"errorMessage": details or code, "errorType": code}).encode()


def _explained(error: CallFailed, invocation: Invocation) -> FirstlightError:
    """What Lambda's refusal means here."""
    name = invocation.endpoint
    if error.status == 404:
        return EndpointNotFound(f"there is no function for {name}: {error.message}", "deploy it")
    if error.status == 413 or error.code == "RequestTooLargeException":
        return PayloadTooLarge(error.message, f"an event has at most {REQUEST_LIMIT} bytes")
    if error.status == 429:
        after = error.retry_after
        return Throttled(
            f"{name} has no room: {error.message}",
            "try again soon, or ask AWS for more concurrency",
            reason=error.reason or "ConcurrentInvocationLimitExceeded",
            retry_after=int(after) if after.isdecimal() else 1,
        )
    if error.code in _NOT_YET:
        return WorkerFailed(f"{name} was not ready within a minute: {error.message}", "try again soon")
    hint = "docs/router.md lists what it needs" if error.status == 403 else "see the function's log"
    return WorkerFailed(f"{name} could not be invoked: {error}", hint)
