"""A streamed answer on its way from a worker to whoever reads it, with the reader's speed as the limit."""

from __future__ import annotations

import asyncio
from collections import deque

from firstlight.invoke.connection import Connection

HIGH_WATER = 256 * 1024
"""Bytes that may wait for the reader before the worker is left waiting too."""


class ReplyStream:
    """An asynchronous iterator of bytes. A reader that leaves calls ``aclose``: the function still runs to its end.

    Args:
        connection: where the bytes come from; paused while the reader is behind.
    """

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._chunks: deque[bytes] = deque()
        self._size = 0
        self._reader: asyncio.Future[None] | None = None
        self._over = False
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
        self._over = True
        self._wake()

    def __aiter__(self) -> ReplyStream:
        return self

    async def __anext__(self) -> bytes:
        while not self._chunks:
            if self._over or self._left:
                raise StopAsyncIteration
            self._reader = asyncio.get_running_loop().create_future()
            await self._reader
        data = self._chunks.popleft()
        self._size -= len(data)
        if self._size <= HIGH_WATER // 2:
            self._go_on()
        return data

    async def aclose(self) -> None:
        """Read no more: what comes is thrown away."""
        self._left = True
        self._chunks.clear()
        self._size = 0
        self._go_on()
        self._wake()

    def _go_on(self) -> None:
        if self._paused:
            self._paused = False
            self._connection.resume()

    def _wake(self) -> None:
        reader, self._reader = self._reader, None
        if reader is not None and not reader.done():
            reader.set_result(None)
