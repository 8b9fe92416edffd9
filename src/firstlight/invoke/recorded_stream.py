"""A streamed answer whose end waits for its record."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import TYPE_CHECKING, Any

from firstlight.invoke.types import ByteStream, Invocation, Reply

if TYPE_CHECKING:
    from firstlight.invoke.recording import RecordingInvoker


class RecordedStream:
    """The bytes of a reply, recorded once they have ended or their reader has left.

    Args:
        invoker: keeps the record.
        invocation: what was asked.
        began: seconds since the epoch.
        reply: what the stream belongs to.
        stream: the bytes.
    """

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

    def __aiter__(self) -> RecordedStream:
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
