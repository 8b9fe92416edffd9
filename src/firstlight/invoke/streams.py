"""A streamed answer on its way from a worker to whoever reads it, with the reader's speed as the limit."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable

from firstlight.invoke.connection import Connection
from firstlight.invoke.runtime_messages import Answer

HIGH_WATER = 256 * 1024
"""Bytes that may wait for the reader before the worker is left waiting too."""


class ReplyStream:
    """An asynchronous iterator of bytes. A reader that leaves calls ``aclose``, which ends the function's work.

    Args:
        connection: where the bytes come from; paused while the reader is behind.
        leave: called once when the reader leaves before the end; whoever makes the bytes is to stop.
    """

    def __init__(self, connection: Connection, leave: Callable[[], object]) -> None:
        self._connection = connection
        self._leave = leave
        self._chunks: deque[bytes] = deque()
        self._size = 0
        self._reader: asyncio.Future[None] | None = None
        self._end = asyncio.Event()
        self._left = False
        self._paused = False

    def feed(self, data: bytes) -> None:
        if self._left:
            return
        self._chunks.append(data)
        self._size += len(data)
        if self._size > HIGH_WATER and not self._paused:
            self._paused = True
            self._connection.pause()
        self._wake()

    def finish(self) -> None:
        """Nothing more will come."""
        self._end.set()
        self._wake()

    def leave(self) -> None:
        """Read no more; the work behind the stream is told to end."""
        if self._left:
            return
        self._left = True
        self._chunks.clear()
        self._size = 0
        self._go_on()
        self._wake()
        if not self._end.is_set():
            self._leave()

    def __aiter__(self) -> ReplyStream:
        return self

    async def __anext__(self) -> bytes:
        while not self._chunks:
            if self._end.is_set() or self._left:
                raise StopAsyncIteration
            self._reader = asyncio.get_running_loop().create_future()
            await self._reader
        data = self._chunks.popleft()
        self._size -= len(data)
        if self._size <= HIGH_WATER // 2:
            self._go_on()
        return data

    async def aclose(self) -> None:
        """Leave, and wait until the work has ended, so that what it cost is known."""
        self.leave()
        await self._end.wait()

    def _go_on(self) -> None:
        if self._paused:
            self._paused = False
            self._connection.resume()

    def _wake(self) -> None:
        reader, self._reader = self._reader, None
        if reader is not None and not reader.done():
            reader.set_result(None)


class Streaming:
    """The Runtime API's end of a stream, its ``Sink``.

    Args:
        stream: where the bytes go.
        end: is told how the answer ended.
    """

    def __init__(self, stream: ReplyStream, end: Callable[[Answer], None]) -> None:
        self.feed = stream.feed
        self.end = end
