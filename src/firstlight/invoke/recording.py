"""One record for every invocation, whatever became of it, committed before its reply leaves.

A caller that goes away never stops the record; it stops the invocation only by ``leave``, or by closing a stream.
"""

from __future__ import annotations

import asyncio
import hashlib
import time
from collections.abc import Coroutine, Mapping
from concurrent.futures import Future
from typing import Any, Protocol

from firstlight.invoke.outcomes import error_type
from firstlight.invoke.types import ByteStream, Invocation, Invoker, Reply, Throttled, WorkerSpec
from firstlight.runtime.errors import EndpointNotFound, FirstlightError, RecordError

_AT_ONCE_BYTES = 16 * 1024
"""Texts beyond this are redacted on another thread, as the event loop has others to serve."""


class Recorder(Protocol):
    """Takes a record without waiting; the future is done when it is safe on disk."""

    def submit(self, record: Mapping[str, Any]) -> Future[None]: ...


class Policy(Protocol):
    """What of the texts is kept: ``none``, ``hash``, ``redacted`` or ``full``."""

    @property
    def store(self) -> str: ...


class LocalInvoker(Invoker, Protocol):
    """An invoker whose endpoints are known here."""

    def function(self, name: str) -> WorkerSpec: ...

    def status(self) -> dict[str, dict[str, Any]]: ...

    def leave(self, request_id: str) -> None: ...

    def replace(self, specs: Mapping[str, WorkerSpec]) -> None: ...


class RecordingInvoker:
    """Carries invocations to another invoker and leaves a record of each.

    A record that cannot be written is a warning in the reply's report, not an error: the answer was paid for.

    Args:
        inner: does the work.
        recorder: keeps the records.
        policy: what of the texts is kept.
    """

    def __init__(self, inner: LocalInvoker, recorder: Recorder, policy: Policy) -> None:
        self._inner = inner
        self._recorder = recorder
        self._policy = policy
        self._tasks: set[asyncio.Task[Any]] = set()
        self.function = inner.function
        self.status = inner.status
        self.leave = inner.leave
        self.replace = inner.replace

    async def invoke(self, invocation: Invocation) -> Reply:
        """As the inner invoker's; the reply, or the end of its stream, waits for the record.

        Raises:
            EndpointNotFound, PayloadTooLarge, Throttled, WorkerFailed.
        """
        task = self.task(self._carry(invocation))
        try:
            return await asyncio.shield(task)
        except asyncio.CancelledError:
            task.add_done_callback(self._leave)
            raise

    async def close(self) -> None:
        """Close the inner invoker, then wait for the records still to be written."""
        await self._inner.close()
        while self._tasks:
            await asyncio.wait(self._tasks)

    async def _carry(self, invocation: Invocation) -> Reply:
        began = time.time()
        try:
            reply = await self._inner.invoke(invocation)
        except EndpointNotFound:
            raise
        except FirstlightError as error:
            await self._keep(self._refusal(invocation, began, error))
            raise
        if reply.stream is not None:
            reply.stream = _RecordedStream(self, invocation, began, reply, reply.stream)
            return reply
        await self.keep_reply(invocation, began, reply, len(reply.payload), reply.payload)
        return reply

    async def keep_reply(
        self, invocation: Invocation, began: float, reply: Reply, size: int, output: bytes
    ) -> None:
        """Write the record of a reply that is complete.

        Args:
            began: seconds since the epoch.
            size: bytes of the answer.
            output: the bytes themselves, as far as the policy asks for them.
        """
        report = reply.report
        failed = reply.function_error is not None
        record = {
            **self._known(invocation, began),
            "status": reply.outcome,
            "error_type": error_type(reply.payload) if failed else None,
            "duration_ms": report.duration_ms,
            "queue_ms": report.queue_ms,
            "init_ms": report.init_ms,
            "cold": report.cold,
            "response_bytes": size,
            "max_memory_mb": report.max_memory_mb,
            "warnings": report.warnings,
            "inputs": await self._text(invocation.payload),
            "outputs": await self._text(output),
        }
        refused = await self._keep(record)
        if refused:
            report.warnings.append(refused)

    def gather(self) -> bool:
        """Whether the bytes of a stream are wanted for its record."""
        return self._policy.store != "none"

    def _leave(self, task: asyncio.Task[Reply]) -> None:
        """The caller went away before there was a reply; where that is a stream now, nobody will read it."""
        if not task.cancelled() and task.exception() is None:
            stream = task.result().stream
            if stream is not None:
                self.task(stream.aclose())

    def task(self, coroutine: Any) -> asyncio.Task[Any]:
        """Run something that is done even when whoever asked for it has gone; ``close`` waits for it."""
        task = asyncio.get_running_loop().create_task(coroutine)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    def _known(self, invocation: Invocation, began: float) -> dict[str, Any]:
        return {
            "request_id": invocation.request_id,
            "time": began,
            "endpoint": invocation.endpoint,
            "wire": invocation.wire,
            "request_bytes": len(invocation.payload),
            "model": self._inner.function(invocation.endpoint).digest or None,
        }

    def _refusal(self, invocation: Invocation, began: float, error: FirstlightError) -> dict[str, Any]:
        """The record of an invocation no worker took; its text is not kept."""
        throttled = isinstance(error, Throttled)
        kind = "TooManyRequests" if throttled else type(error).__name__
        status = "throttled" if throttled else "error"
        return {**self._known(invocation, began), "status": status, "error_type": kind, "cold": False}

    async def _text(self, data: bytes) -> str | None:
        """What the policy keeps of an event or an answer."""
        match self._policy.store:
            case "hash":
                return hashlib.sha256(data).hexdigest()
            case "full":
                return data.decode("utf-8", "replace")
            case "redacted":
                from firstlight.runtime.records.redaction import redact_payload

                if len(data) <= _AT_ONCE_BYTES:
                    return redact_payload(data)
                return await asyncio.to_thread(redact_payload, data)
        return None

    async def _keep(self, record: Mapping[str, Any]) -> str:
        """Wait until the record is committed; a sentence when it could not be."""
        submitted = self._recorder.submit(record)
        try:
            if submitted.done():
                submitted.result()
            else:
                await asyncio.wrap_future(submitted)
        except RecordError as error:
            return f"this invocation was not recorded: {error.message}"
        return ""


class _RecordedStream:
    """A streamed answer whose end waits for its record."""

    def __init__(
        self,
        invoker: RecordingInvoker,
        invocation: Invocation,
        began: float,
        reply: Reply,
        stream: ByteStream,
    ) -> None:
        self._invoker = invoker
        self._invocation = invocation
        self._began = began
        self._reply = reply
        self._inner = stream
        self._size = 0
        self._chunks: list[bytes] = []
        self._kept: asyncio.Task[None] | None = None

    def __aiter__(self) -> _RecordedStream:
        return self

    async def __anext__(self) -> bytes:
        if self._kept is not None:
            raise StopAsyncIteration
        try:
            data = await anext(self._inner)
        except StopAsyncIteration:
            await self._record(self._keep())
            raise
        self._size += len(data)
        if self._invoker.gather():
            self._chunks.append(data)
        return data

    async def aclose(self) -> None:
        """The reader leaves: the function's work is ended, and what it was until then is recorded."""
        await self._record(self._end())

    async def _record(self, work: Coroutine[Any, Any, None]) -> None:
        """Do the work once, also when whoever waits for it gives up."""
        if self._kept is None:
            self._kept = self._invoker.task(work)
        else:
            work.close()
        await asyncio.shield(self._kept)

    async def _end(self) -> None:
        await self._inner.aclose()
        if self._reply.outcome == "ok":
            self._reply.outcome = "cancelled"
        await self._keep()

    async def _keep(self) -> None:
        output = b"".join(self._chunks)
        await self._invoker.keep_reply(self._invocation, self._began, self._reply, self._size, output)
