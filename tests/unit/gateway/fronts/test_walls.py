"""The wall ends what the caller waits for; the function goes on."""

from __future__ import annotations

import asyncio
import gc
from typing import Any

import pytest

from firstlight.gateway.fronts.front import Walls
from firstlight.invoke.types import Invocation, Reply
from gateways import TableInvoker, report

SHORT = Walls(rest=0.01, http=0.01, stream=0.01)


class Slow(TableInvoker):
    """Answers when it is let."""

    def __init__(self) -> None:
        super().__init__()
        self.let = asyncio.Event()
        self.done: list[str] = []
        self.closed_streams = 0

    async def invoke(self, invocation: Invocation) -> Reply:
        self.seen.append(invocation)
        await self.let.wait()
        self.done.append(invocation.endpoint)
        reply = Reply(invocation.request_id, b"{}", report=report())
        if self.table.get("fails"):
            raise RuntimeError("after the wall")
        if self.table.get("stream"):
            reply.stream = Unread(self)
        return reply


class Unread:
    """A stream that counts who closes it."""

    def __init__(self, invoker: Slow) -> None:
        self.invoker = invoker

    def __aiter__(self) -> Unread:
        return self

    async def __anext__(self) -> bytes:
        raise StopAsyncIteration

    async def aclose(self) -> None:
        self.invoker.closed_streams += 1


@pytest.fixture
def invoker() -> Slow:
    return Slow()


@pytest.mark.parametrize(
    ("path", "front", "status", "body"),
    [
        ("/rest-api/qa/x", {}, 504, b'{"message":"Endpoint request timed out"}'),
        ("/rest-api/qa/x", {"stream": True}, 504, b'{"message":"Endpoint request timed out"}'),
        ("/http-api/qa/x", {}, 503, b'{"message":"Service Unavailable"}'),
        ("/lambda-url/qa/x", {}, 502, b"Internal Server Error"),
    ],
)
async def test_the_wall(
    serving: Any, invoker: Slow, path: str, front: dict[str, Any], status: int, body: bytes
) -> None:
    response = await serving(SHORT, **front)("GET", path)
    assert (response.status, response.body) == (status, body)
    assert invoker.done == []
    invoker.let.set()
    while not invoker.done:
        await asyncio.sleep(0)


async def test_nobody_reads_a_stream_that_comes_after_the_wall(serving: Any, invoker: Slow) -> None:
    invoker.table["stream"] = True
    response = await serving(SHORT, kind="url", stream=True)("GET", "/lambda-url/qa/x")
    assert response.status == 502
    invoker.let.set()
    while not invoker.closed_streams:
        await asyncio.sleep(0)
    assert invoker.done == ["qa"]


async def test_nobody_hears_of_an_error_after_the_wall(
    serving: Any, invoker: Slow, caplog: pytest.LogCaptureFixture
) -> None:
    invoker.table["fails"] = True
    assert (await serving(SHORT)("GET", "/rest-api/qa/x")).status == 504
    invoker.let.set()
    while not invoker.done:
        await asyncio.sleep(0)
    for _ in range(10):
        await asyncio.sleep(0)
    gc.collect()  # an error that nobody looked at would be reported now
    assert "never retrieved" not in caplog.text


def test_the_walls_are_those_of_aws() -> None:
    assert Walls() == Walls(rest=29.0, http=30.0, stream=900.0)


async def test_stream_mode_has_no_29_seconds(serving: Any, invoker: Slow) -> None:
    invoker.let.set()
    invoker.table["stream"] = True
    walls = Walls(rest=0.0, stream=900.0)
    client = serving(walls, stream=True)
    response = await client("GET", "/rest-api/qa/x")
    assert (response.status, response.json()) == (
        502,
        {"message": "Internal server error"},
    )  # no prelude, not 504
