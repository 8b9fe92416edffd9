"""A client that goes away: the work behind its answer ends, whichever wire it came by."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator, Callable
from typing import Any

import pytest

from firstlight.gateway.app import create_app
from firstlight.gateway.asgi import Call, ClientGone
from firstlight.gateway.streams import HTTP_INTEGRATION, Piped
from firstlight.invoke.types import Invocation, Reply
from firstlight.project import Project
from gateways import Client, TableInvoker, generated, report, speaking, token, with_stories

CHAT = {"model": "stories", "messages": [{"role": "user", "content": "hi"}]}
STREAMS = [
    ("/v1/chat/completions", {**CHAT, "stream": True}, "text/event-stream"),
    (
        "/v1/completions",
        {"model": "stories", "prompt": ["a", "b"], "n": 2, "stream": True},
        "text/event-stream",
    ),
    ("/models/stories", {"inputs": "hi", "stream": True}, "text/event-stream"),
    ("/2021-11-15/functions/stories/response-streaming-invocations", {"inputs": "hi"}, "text/event-stream"),
    ("/hello/x", {"inputs": "hi", "stream": True}, HTTP_INTEGRATION),
    ("/hello/x", {}, "text/plain"),
]
WHOLE = [
    ("/v1/chat/completions", CHAT),
    ("/v1/completions", {"model": "stories", "prompt": ["a", "b"], "n": 2}),
    ("/models/stories", {"inputs": "hi"}),
    ("/v1/embeddings", {"model": "embeddings", "input": ["a"] * 100}),
]


class Endless:
    """Replies with streams that never end by themselves, and knows how many were begun and how many were closed."""

    def __init__(self, kind: str) -> None:
        self.kind = kind
        self.begun = 0
        self.closed = 0

    def __call__(self, invocation: Invocation) -> Reply:
        reply = Reply(invocation.request_id, content_type=self.kind, report=report())
        reply.stream = self._pieces(reply)
        self.begun += 1
        return reply

    async def _pieces(self, reply: Reply) -> AsyncGenerator[bytes]:
        try:
            if self.kind == HTTP_INTEGRATION:
                yield b'{"statusCode": 200}' + bytes(8)
            while True:
                yield f"data:{json.dumps(token('x'))}\n\n".encode()
                await asyncio.sleep(0)
        finally:
            self.closed += 1
            reply.outcome = "cancelled"


@pytest.fixture
def app(project: Project, invoker: TableInvoker) -> Any:
    return with_stories(create_app(project, invoker))


@pytest.mark.parametrize(("path", "body", "kind"), STREAMS)
async def test_in_the_middle_of_a_stream(
    app: Any, invoker: TableInvoker, path: str, body: dict[str, Any], kind: str
) -> None:
    endless = invoker.table["stories"] = invoker.table["hello"] = Endless(kind)
    leaves, pieces = asyncio.Event(), []

    def got(piece: bytes) -> None:
        pieces.append(piece)
        if len(pieces) > 20:
            leaves.set()

    response = await Client(app)("POST", path, body, leaves=leaves, got=got)
    assert response.status == 200
    assert response.pieces[-1] != b""
    assert endless.begun == endless.closed > 0
    metrics = app.state.gateway.metrics
    assert {status for _, status in metrics.invocations} == {"cancelled"}
    assert set(metrics.in_flight.values()) == {0}


@pytest.mark.parametrize(("path", "body"), WHOLE[:3])
async def test_while_a_whole_answer_is_made(
    app: Any, invoker: TableInvoker, path: str, body: dict[str, Any]
) -> None:
    endless = invoker.table["stories"] = Endless("text/event-stream")
    leaves = asyncio.Event()
    asking = asyncio.create_task(Client(app)("POST", path, body, leaves=leaves))
    while not endless.begun:
        await asyncio.sleep(0)
    leaves.set()
    assert (await asking).status == 0
    assert endless.begun == endless.closed > 0
    assert set(app.state.gateway.metrics.in_flight.values()) == {0}


@pytest.mark.parametrize(("path", "body"), [*((path, body) for path, body, _ in STREAMS[:3]), *WHOLE])
async def test_before_there_is_anything(project: Project, path: str, body: dict[str, Any]) -> None:
    class Slow(TableInvoker):
        """Answers when it is told that nobody waits any more."""

        def __init__(self) -> None:
            super().__init__()
            self.running: dict[str, asyncio.Event] = {}

        async def invoke(self, invocation: Invocation) -> Reply:
            left = self.running[invocation.request_id] = asyncio.Event()
            await left.wait()
            return Reply(invocation.request_id, outcome="cancelled", report=report())

        def leave(self, request_id: str) -> None:
            self.running[request_id].set()

    invoker, leaves = Slow(), asyncio.Event()
    app = with_stories(create_app(project, invoker))
    asking = asyncio.create_task(Client(app)("POST", path, body, leaves=leaves))
    while not invoker.running:
        await asyncio.sleep(0)
    leaves.set()
    assert (await asking).status == 0
    assert all(left.is_set() for left in invoker.running.values())
    metrics = app.state.gateway.metrics
    while any(metrics.in_flight.values()):
        await asyncio.sleep(0)
    assert sum(metrics.invocations.values()) == len(invoker.running)
    assert {status for _, status in metrics.invocations} == {"cancelled"}


async def test_a_function_runs_to_its_end_when_the_caller_of_invoke_leaves(
    app: Any, invoker: TableInvoker
) -> None:
    invoker.table["stories"] = {"a": 1}
    leaves = asyncio.Event()
    leaves.set()
    path = "/2015-03-31/functions/stories/invocations"
    response = await Client(app)("POST", path, {"inputs": "hi"}, leaves=leaves)
    assert response.json() == {"a": 1}


async def test_one_of_several_generations_fails_and_the_others_end(app: Any, invoker: TableInvoker) -> None:
    endless = Endless("text/event-stream")
    error = b'{"errorType":"E","errorMessage":"it broke","status":500}'
    broken = speaking([token("x")], function_error="Unhandled", payload=error)
    replies: list[Callable[[Invocation], Reply]] = [endless, broken, endless]

    def answer(invocation: Invocation) -> Reply:
        return replies.pop()(invocation)

    invoker.table["stories"] = answer
    response = await Client(app)("POST", "/v1/chat/completions", {**CHAT, "n": 3})
    assert (response.status, response.json()["error"]["message"]) == (500, "it broke")
    assert endless.closed == endless.begun == 2


def call_of(leaves: asyncio.Event) -> Call:
    async def receive() -> Any:
        await leaves.wait()
        return {"type": "http.disconnect"}

    return Call({"type": "http", "headers": []}, receive)


async def test_work_goes_on_while_the_client_is_there() -> None:
    async def work() -> int:
        await asyncio.sleep(0)
        return 5

    assert await call_of(asyncio.Event()).while_present(work()) == 5


async def test_work_that_fails_fails() -> None:
    async def work() -> None:
        raise ValueError

    with pytest.raises(ValueError):  # noqa: PT011
        await call_of(asyncio.Event()).while_present(work())


async def test_work_is_cancelled_when_the_client_leaves_and_has_ended_then() -> None:
    leaves, ended = asyncio.Event(), asyncio.Event()

    async def work() -> None:
        try:
            leaves.set()
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(0)
            ended.set()

    with pytest.raises(ClientGone):
        await call_of(leaves).while_present(work())
    assert ended.is_set()


async def test_work_is_cancelled_when_the_server_gives_up() -> None:
    started, ended = asyncio.Event(), asyncio.Event()

    async def work() -> None:
        try:
            started.set()
            await asyncio.Event().wait()
        finally:
            ended.set()

    task = asyncio.create_task(call_of(asyncio.Event()).while_present(work()))
    await started.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert ended.is_set()


async def test_a_stream_that_nobody_began_to_read_closes_its_source() -> None:
    closed = []

    class Source:
        async def aclose(self) -> None:
            closed.append(True)

    async def pieces() -> AsyncGenerator[bytes]:
        yield b"never"

    await Piped(pieces(), Source()).aclose()
    assert closed == [True]


async def test_an_answer_that_breaks_off_closes_its_stream(app: Any, invoker: TableInvoker) -> None:
    invoker.table["hello"] = speaking(generated("x"), function_error="Unhandled", payload=b"{}")
    response = await Client(app)("POST", "/hello/x", {})
    assert response.pieces[-1] != b""
    assert app.state.gateway.metrics.in_flight == {"hello": 0}
