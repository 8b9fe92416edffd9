"""One record for every invocation, whatever became of it, committed before its reply leaves.

A caller that goes away never stops the record; it stops the invocation only by ``leave``, or by closing a stream.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from concurrent.futures import Future
from typing import Any, Protocol

from firstlight.invoke.assignments import Waiter
from firstlight.invoke.outcomes import error_type
from firstlight.invoke.provisioning import Provisioned
from firstlight.invoke.recorded_stream import RecordedStream
from firstlight.invoke.types import Invocation, Invoker, Reply, Throttled, WorkerSpec
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

    def submit(self, invocation: Invocation, waiter: Waiter) -> None: ...

    def leave(self, request_id: str, kill_after_s: float | None = None) -> None: ...

    def replace(self, specs: Mapping[str, WorkerSpec]) -> None: ...

    def provisioned(self, name: str) -> Provisioned: ...


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
        self.provisioned = inner.provisioned

    async def invoke(self, invocation: Invocation) -> Reply:
        """As the inner invoker's; the reply, or the end of its stream, waits for the record.

        Raises:
            EndpointNotFound, PayloadTooLarge, Throttled, WorkerFailed.
        """
        waiter = _Waiter(self, invocation)
        try:
            self._inner.submit(invocation, waiter)
        except EndpointNotFound:
            raise
        except FirstlightError as error:
            await self._keep(self._refusal(invocation, waiter.began, error))
            raise
        return await waiter.caller

    async def close(self) -> None:
        """Close the inner invoker, then wait for the records still to be written."""
        await self._inner.close()
        while self._tasks:
            await asyncio.wait(self._tasks)

    def take(self, waiter: _Waiter, reply: Reply) -> None:
        """Record a reply and hand it on; one that streams is recorded at its end."""
        invocation, began = waiter.invocation, waiter.began
        if reply.stream is not None:
            reply.stream = RecordedStream(self, invocation, began, reply, reply.stream)
            waiter.hand_on(reply)
            return
        if self._takes_long(max(len(invocation.payload), len(reply.payload))):
            self.task(self._take_later(waiter, reply))
            return
        texts = self._text(invocation.payload), self._text(reply.payload)
        submitted = self._recorder.submit(self._record(invocation, began, reply, len(reply.payload), texts))
        if submitted.done():
            _warn(reply, submitted.exception())
            waiter.hand_on(reply)
        else:
            self.task(self._hand_on_once(submitted, waiter, reply))

    def refuse(self, waiter: _Waiter, error: Exception) -> None:
        """Record that no worker could take an invocation, and say so."""
        self.task(self._refuse(waiter, error))

    async def keep_reply(
        self, invocation: Invocation, began: float, reply: Reply, size: int, output: bytes
    ) -> None:
        """Write the record of a reply that is complete.

        Args:
            began: seconds since the epoch.
            size: bytes of the answer.
            output: the bytes themselves, as far as the policy asks for them.
        """
        if self._takes_long(max(len(invocation.payload), len(output))):
            redacting = (asyncio.to_thread(self._text, text) for text in (invocation.payload, output))
            inputs, outputs = await asyncio.gather(*redacting)
        else:
            inputs, outputs = self._text(invocation.payload), self._text(output)
        _warn(reply, await self._keep(self._record(invocation, began, reply, size, (inputs, outputs))))

    def gather(self) -> bool:
        """Whether the bytes of a stream are wanted for its record."""
        return self._policy.store != "none"

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
            "model": self._digest(invocation.pool),
        }

    def _digest(self, pool: str) -> str | None:
        """What answered; unknown where it was taken away while it did."""
        try:
            return self._inner.function(pool).digest or None
        except EndpointNotFound:
            return None

    def _refusal(self, invocation: Invocation, began: float, error: FirstlightError) -> dict[str, Any]:
        """The record of an invocation no worker took; its text is not kept."""
        throttled = isinstance(error, Throttled)
        kind = "TooManyRequests" if throttled else type(error).__name__
        status = "throttled" if throttled else "error"
        return {**self._known(invocation, began), "status": status, "error_type": kind, "cold": False}

    def _record(
        self,
        invocation: Invocation,
        began: float,
        reply: Reply,
        size: int,
        texts: tuple[str | None, str | None],
    ) -> dict[str, Any]:
        report = reply.report
        return {
            **self._known(invocation, began),
            "status": reply.outcome,
            "error_type": error_type(reply.payload) if reply.function_error is not None else None,
            "duration_ms": report.duration_ms,
            "queue_ms": report.queue_ms,
            "init_ms": report.init_ms,
            "cold": report.cold,
            "response_bytes": size,
            "max_memory_mb": report.max_memory_mb,
            "warnings": report.warnings or None,
            "inputs": texts[0],
            "outputs": texts[1],
        }

    def _takes_long(self, size: int) -> bool:
        return size > _AT_ONCE_BYTES and self._policy.store == "redacted"

    def _text(self, data: bytes) -> str | None:
        """What the policy keeps of an event or an answer."""
        store = self._policy.store
        if store == "none":
            return None
        from firstlight.runtime.records import texts

        return texts.kept(store, data)

    async def _take_later(self, waiter: _Waiter, reply: Reply) -> None:
        await self.keep_reply(waiter.invocation, waiter.began, reply, len(reply.payload), reply.payload)
        waiter.hand_on(reply)

    async def _hand_on_once(self, submitted: Future[None], waiter: _Waiter, reply: Reply) -> None:
        _warn(reply, await _kept(submitted))
        waiter.hand_on(reply)

    async def _refuse(self, waiter: _Waiter, error: Exception) -> None:
        if isinstance(error, FirstlightError) and not isinstance(error, EndpointNotFound):
            await self._keep(self._refusal(waiter.invocation, waiter.began, error))
        if not waiter.caller.done():
            waiter.caller.set_exception(error)

    async def _keep(self, record: Mapping[str, Any]) -> BaseException | None:
        """Wait until the record is committed; why it could not be."""
        return await _kept(self._recorder.submit(record))


class _Waiter:
    """Takes a reply from the inner invoker, whether or not its caller is still there.

    Args:
        invoker: keeps the record.
        invocation: what was asked.

    Attributes:
        caller: is done when the reply is recorded; cancelled where the caller went away.
        began: seconds since the epoch.
    """

    __slots__ = ("_invoker", "_taken", "began", "caller", "invocation")

    def __init__(self, invoker: RecordingInvoker, invocation: Invocation) -> None:
        self._invoker = invoker
        self._taken = False
        self.invocation = invocation
        self.began = time.time()
        self.caller: asyncio.Future[Reply] = asyncio.get_running_loop().create_future()

    def done(self) -> bool:
        return self._taken

    def cancelled(self) -> bool:
        """Never: a caller that goes away does not stop the record."""
        return False

    def set_result(self, reply: Reply) -> None:
        self._taken = True
        try:
            self._invoker.take(self, reply)
        except Exception as error:  # the pool that hands over the reply is not who can do anything about it
            if not self.caller.done():
                self.caller.set_exception(error)

    def set_exception(self, error: Exception) -> None:
        self._taken = True
        self._invoker.refuse(self, error)

    def hand_on(self, reply: Reply) -> None:
        """Give the reply to its caller; a stream that nobody will read is closed."""
        if not self.caller.done():
            self.caller.set_result(reply)
        elif reply.stream is not None:
            self._invoker.task(reply.stream.aclose())


async def _kept(submitted: Future[None]) -> BaseException | None:
    """Wait until a record is committed; why it could not be."""
    if not submitted.done():
        await asyncio.wait((asyncio.wrap_future(submitted),))
    return submitted.exception()


def _warn(reply: Reply, error: BaseException | None) -> None:
    """A record that was not written is a warning: the answer was paid for."""
    if isinstance(error, RecordError):
        reply.report.warnings.append(f"this invocation was not recorded: {error.message}")
    elif error is not None:
        raise error
