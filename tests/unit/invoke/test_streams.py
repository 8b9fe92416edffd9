"""A stream between a fast worker and a slow reader."""

from __future__ import annotations

import asyncio

import pytest

from firstlight.invoke.streams import HIGH_WATER, ReplyStream


class Source:
    """Counts how often it was paused and resumed, and how often its reader left."""

    def __init__(self) -> None:
        self.paused = 0
        self.left = 0

    def leave(self) -> None:
        self.left += 1

    def pause(self) -> None:
        self.paused += 1

    def resume(self) -> None:
        self.paused -= 1


@pytest.fixture
def source() -> Source:
    return Source()


@pytest.fixture
def stream(source: Source) -> ReplyStream:
    return ReplyStream(source, source.leave)  # type: ignore[arg-type]


async def test_pieces_in_order(stream: ReplyStream) -> None:
    reading = asyncio.create_task(anext(stream))
    await asyncio.sleep(0)
    stream.feed(b"a")
    assert await reading == b"a"
    stream.feed(b"b")
    stream.feed(b"c")
    stream.finish()
    assert [piece async for piece in stream] == [b"b", b"c"]
    with pytest.raises(StopAsyncIteration):
        await anext(stream)


async def test_a_slow_reader_pauses_the_worker(stream: ReplyStream, source: Source) -> None:
    for _ in range(4):
        stream.feed(b"x" * (HIGH_WATER // 2))
    assert source.paused == 1
    for _ in range(3):
        await anext(stream)
    assert source.paused == 0


async def test_a_reader_that_leaves_holds_nothing_up(stream: ReplyStream, source: Source) -> None:
    stream.feed(b"x" * (HIGH_WATER + 1))
    reading = asyncio.create_task(anext(stream))
    await reading
    waiting = asyncio.create_task(anext(stream, None))
    await asyncio.sleep(0)
    leaving = asyncio.create_task(stream.aclose())
    assert await waiting is None
    stream.feed(b"x" * (HIGH_WATER + 1))
    assert source.paused == 0
    assert [piece async for piece in stream] == []
    assert (source.left, leaving.done()) == (1, False)
    stream.finish()
    await leaving
    await stream.aclose()
    assert source.left == 1


async def test_a_reader_that_leaves_after_the_end_stops_nothing(stream: ReplyStream, source: Source) -> None:
    stream.feed(b"a")
    stream.finish()
    await stream.aclose()
    assert source.left == 0
    assert [piece async for piece in stream] == []
