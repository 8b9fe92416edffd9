"""Retries that join the invocation their first attempt began."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator, AsyncIterator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from firstlight.gateway import joining
from firstlight.gateway.app import create_app
from firstlight.gateway.joining import Asked, Joins
from firstlight.invoke.types import Invocation, Reply, Throttled
from firstlight.project import Project
from firstlight.runtime.errors import Conflict
from gateways import Client, TableInvoker, generated, speaking, streamed, with_stories
from trying import examples


class Work:
    """Carries invocations when it is told to go on, and counts them."""

    def __init__(self) -> None:
        self.begun: list[Invocation] = []
        self.closed = 0
        self.streams = False
        self.error: Exception | None = None
        self._go = asyncio.Event()

    async def __call__(self, invocation: Invocation) -> Reply:
        self.begun.append(invocation)
        await self._go.wait()
        if self.error is not None:
            raise self.error
        reply = Reply(invocation.request_id, b'"done"')
        if self.streams:
            reply.stream = self._pieces()
        return reply

    def finish(self) -> None:
        self._go.set()

    async def running(self, count: int = 1) -> None:
        while len(self.begun) < count:
            await asyncio.sleep(0)

    async def _pieces(self) -> AsyncGenerator[bytes]:
        yield b"piece"


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def work() -> Work:
    return Work()


@pytest.fixture
def clock() -> Clock:
    return Clock()


def key(call: str = "call", name: str = "qa", number: int = 1) -> joining.Key:
    return (call.encode(), name, "$LATEST", False, number)


def invocation(payload: bytes = b"{}") -> Invocation:
    return Invocation("qa", payload)


async def settle() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


@contextlib.asynccontextmanager
async def tasks() -> AsyncIterator[list[asyncio.Task[Any]]]:
    """Tasks that are over when this is left."""
    started: list[asyncio.Task[Any]] = []
    yield started
    for task in started:
        task.cancel()
    await asyncio.gather(*started, return_exceptions=True)


@pytest.mark.parametrize("leave", [None, lambda request_id: None])
async def test_a_retry_waits_for_what_runs(work: Work, leave: Any) -> None:
    joins = Joins()
    first = asyncio.create_task(joins.invoke(key(), invocation(), work, leave))
    await work.running()
    retry = asyncio.create_task(joins.invoke(key(), invocation(), work, leave))
    await settle()
    work.finish()
    one, two = await asyncio.gather(first, retry)
    assert len(work.begun) == 1
    assert one == two
    assert one is not two


async def test_an_answer_is_given_again_for_a_minute(work: Work, clock: Clock) -> None:
    joins = Joins(clock)
    work.finish()
    first = await joins.invoke(key(), invocation(), work)
    clock.now += 59.9
    assert await joins.invoke(key(), invocation(), work) == first
    clock.now += 0.1
    assert (await joins.invoke(key(), invocation(), work)).request_id != first.request_id
    assert len(work.begun) == 2


@pytest.mark.parametrize(
    ("other", "payload"),
    [
        (key("another"), b"{}"),
        (key(name="echo"), b"{}"),
        (key(number=2), b"{}"),
        (key(), b"[]"),
    ],
)
async def test_what_differs_runs_by_itself(work: Work, other: joining.Key, payload: bytes) -> None:
    joins = Joins()
    first = asyncio.create_task(joins.invoke(key(), invocation(), work))
    await work.running()
    second = asyncio.create_task(joins.invoke(other, invocation(payload), work))
    await work.running(2)
    work.finish()
    one, two = await asyncio.gather(first, second)
    assert one.request_id != two.request_id
    assert (await joins.invoke(other, invocation(payload), work)).request_id == two.request_id


async def test_answers_are_kept_within_a_bound_in_bytes(work: Work) -> None:
    joins = Joins(keep_bytes=10_000)
    work.finish()
    for number in range(20):
        await joins.invoke(key(str(number)), invocation(b"x" * 1000), work)
        assert joins._bytes <= 10_000
    assert len(joins._kept) == 4
    await joins.invoke(key("19"), invocation(b"x" * 1000), work)
    assert len(work.begun) == 20
    await joins.invoke(key("0"), invocation(b"x" * 1000), work)
    assert len(work.begun) == 21
    await joins.invoke(key("large"), invocation(b"x" * 20_000), work)
    assert (joins._bytes, joins._kept) == (0, {})


async def test_a_refusal_is_everybodys_and_forgotten(work: Work) -> None:
    joins = Joins()
    work.error = Throttled("busy", reason="x")
    first = asyncio.create_task(joins.invoke(key(), invocation(), work))
    await work.running()
    retry = asyncio.create_task(joins.invoke(key(), invocation(), work))
    await settle()
    work.finish()
    results = await asyncio.gather(first, retry, return_exceptions=True)
    assert [type(result) for result in results] == [Throttled, Throttled]
    work.error = None
    assert (await joins.invoke(key(), invocation(), work)).payload == b'"done"'
    assert len(work.begun) == 2


async def test_a_retry_begins_anew_when_what_ran_was_cancelled(work: Work) -> None:
    joins = Joins()
    first = asyncio.create_task(joins.invoke(key(), invocation(), work))
    await work.running()
    retry = asyncio.create_task(joins.invoke(key(), invocation(), work))
    await settle()
    first.cancel()
    await work.running(2)
    work.finish()
    assert (await retry).payload == b'"done"'
    assert len(work.begun) == 2


@pytest.mark.parametrize("leave", [None, lambda request_id: None])
async def test_a_stream_goes_to_the_attempt_that_came_last(work: Work, leave: Any) -> None:
    joins = Joins()
    work.streams = True
    async with tasks() as started:
        for _ in range(3):
            started.append(asyncio.create_task(joins.invoke(key(), invocation(), work, leave)))
            await settle()
        work.finish()
        results = await asyncio.gather(*started, return_exceptions=True)
    assert [type(result) for result in results] == [Conflict, Conflict, Reply]
    assert results[2].stream is not None
    again = await joins.invoke(key(), invocation(), work, leave)
    assert len(work.begun) == 2
    assert again.stream is not None


async def test_work_is_ended_when_no_retry_came_and_begins_anew_for_a_late_one(work: Work) -> None:
    left: list[str] = []
    joins = Joins(linger_s=0.0)
    first = asyncio.create_task(joins.invoke(key(), invocation(), work, left.append))
    await work.running()
    first.cancel()
    await settle()
    assert left == [work.begun[0].request_id]
    retry = asyncio.create_task(joins.invoke(key(), invocation(), work, left.append))
    await work.running(2)
    work.finish()
    assert (await retry).request_id == work.begun[1].request_id
    assert len(left) == 1


async def test_an_answer_that_was_cut_off_is_not_given_again() -> None:
    async def carry(sent: Invocation) -> Reply:
        return Reply(sent.request_id, outcome="cancelled")

    joins = Joins()
    first = await joins.invoke(key(), invocation(), carry)
    assert (await joins.invoke(key(), invocation(), carry)).request_id != first.request_id


async def test_work_goes_on_for_the_retry_that_came_in_time(work: Work) -> None:
    left: list[str] = []
    joins = Joins(linger_s=0.0)
    first = asyncio.create_task(joins.invoke(key(), invocation(), work, left.append))
    await work.running()
    retry = asyncio.create_task(joins.invoke(key(), invocation(), work, left.append))
    await settle()
    first.cancel()
    await settle()
    assert left == []
    work.finish()
    assert (await retry).payload == b'"done"'


async def test_a_stream_that_nobody_waits_for_any_more_is_closed(work: Work) -> None:
    closed = asyncio.Event()

    class Closes:
        async def aclose(self) -> None:
            closed.set()

    async def carry(sent: Invocation) -> Reply:
        await work(sent)
        return Reply(sent.request_id, stream=Closes())  # type: ignore[arg-type]

    joins = Joins()
    first = asyncio.create_task(joins.invoke(key(), invocation(), carry, lambda request_id: None))
    await work.running()
    first.cancel()
    await settle()
    work.finish()
    await closed.wait()


def test_a_request_says_what_its_attempts_share() -> None:
    joining.announce({b"amz-sdk-invocation-id": b"sdk", b"idempotency-key": b"own"})
    told = joining.asked.get()
    assert told is not None
    assert told.call == b"sdk"
    joining.announce({b"idempotency-key": b"own"})
    told = joining.asked.get()
    assert told is not None
    assert (told.key(invocation()), told.key(invocation())) == (key("own"), key("own", number=2))
    joining.announce({})
    assert joining.asked.get() is None
    assert Asked(b"x").call == b"x"


HEADERS = {"idempotency-key": "one"}


async def test_a_whole_answer_is_not_a_stream(project: Project, invoker: TableInvoker) -> None:
    """Asked for in two ways it is two calls: who wants all of it cannot be handed the rest of a stream."""
    invoker.table["hello"] = streamed(b"1", b"2")
    client = Client(create_app(project, invoker))
    path = "/2021-11-15/functions/hello/response-streaming-invocations"
    framed = await client("POST", path, "{}", HEADERS)
    assert b"PayloadChunk" in framed.body
    for _ in range(2):
        whole = await client("POST", "/2015-03-31/functions/hello/invocations", "{}", HEADERS)
        assert whole.body == b"12"
    assert len(invoker.seen) == 2


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/2015-03-31/functions/hello/invocations", {"a": 1}),
        ("/models/hello", {"inputs": "a"}),
        ("/hello/x", {"a": 1}),
        ("/go", {"text": "a", "functionARN": "hello"}),
    ],
)
async def test_every_wire_takes_an_idempotency_key(
    project: Project, invoker: TableInvoker, path: str, body: Any
) -> None:
    invoker.table["hello"] = {"statusCode": 200, "body": "hi"}
    client = Client(create_app(project, invoker))
    first = await client("POST", path, body, HEADERS)
    retry = await client("POST", path, body, HEADERS)
    assert first.status == retry.status == 200
    assert first.body == retry.body
    assert len(invoker.seen) == 1
    await client("POST", path, body)
    await client("POST", path, body)
    assert len(invoker.seen) == 3


async def test_several_answers_of_one_request_are_several_invocations(
    project: Project, invoker: TableInvoker
) -> None:
    invoker.table["stories"] = speaking(generated("a"))
    client = Client(with_stories(create_app(project, invoker)))
    body = {"model": "stories", "prompt": "x", "n": 3}
    assert len((await client("POST", "/v1/completions", body, HEADERS)).json()["choices"]) == 3
    assert len(invoker.seen) == 3


class Slow(TableInvoker):
    """Answers when it is told to; knows who was left."""

    def __init__(self) -> None:
        super().__init__()
        self.goes_on = asyncio.Event()
        self.left: list[str] = []

    async def invoke(self, invocation: Invocation) -> Reply:
        self.seen.append(invocation)
        await self.goes_on.wait()
        self.seen.pop()
        return await super().invoke(invocation)

    def leave(self, request_id: str) -> None:
        self.left.append(request_id)


async def test_generating_work_survives_its_client_for_a_retry(project: Project) -> None:
    invoker, leaves = Slow(), asyncio.Event()
    invoker.table["stories"] = [{"generated_text": "once"}]
    app = with_stories(create_app(project, invoker))
    body = {"inputs": "hi"}
    first = asyncio.create_task(Client(app)("POST", "/models/stories", body, HEADERS, leaves=leaves))
    while not invoker.seen:
        await asyncio.sleep(0)
    leaves.set()
    assert (await first).status == 0
    retry = asyncio.create_task(Client(app)("POST", "/models/stories", body, HEADERS))
    await settle()
    invoker.goes_on.set()
    assert (await retry).json() == [{"generated_text": "once"}]
    assert len(invoker.seen) == 1
    assert invoker.left == []


STEPS = st.lists(
    st.tuples(
        st.sampled_from(["call", "call", "leave", "finish", "refuse", "stream", "later"]),
        st.integers(0, 2),
        st.booleans(),
    ),
    max_size=25,
)


class Story:
    """Joins, the calls that run, and those who asked for them."""

    def __init__(self) -> None:
        self.clock = Clock()
        self.joins = Joins(self.clock, keep_bytes=5000, linger_s=0.0)
        self.running: dict[int, asyncio.Future[Reply]] = {}
        self.calls: dict[str, int] = {}
        self.callers: list[asyncio.Task[Reply]] = []

    async def carry(self, sent: Invocation) -> Reply:
        call, ends = int(sent.payload), asyncio.get_running_loop().create_future()
        assert call not in self.running
        self.running[call] = ends
        self.calls[sent.request_id] = call
        try:
            return await ends
        finally:
            if self.running.get(call) is ends:
                del self.running[call]

    def leave(self, request_id: str) -> None:
        """The work ends: the reply comes when that is done, and is nobody's."""
        ends = self.running.pop(self.calls[request_id])
        ends.set_result(Reply(request_id, outcome="cancelled"))

    async def step(self, what: str, number: int, stops: bool) -> None:
        if what == "call":
            sent = Invocation("qa", str(number).encode())
            leave = self.leave if stops else None
            calling = self.joins.invoke(key(str(number)), sent, self.carry, leave)
            self.callers.append(asyncio.create_task(calling))
        elif what == "leave":
            for caller in self.callers[number : number + 1]:
                caller.cancel()
        elif what == "later":
            self.clock.now += 30.0
        else:
            self.end(number, what)
        await settle()
        kept = self.joins._kept.values()
        assert self.joins._bytes == sum(shared.size for shared in kept) <= 5000
        assert self.joins._running.keys() == {key(str(call)) for call in self.running}

    def end(self, call: int, what: str = "finish") -> None:
        reply = Reply(str(call), b"x" * 500)
        waiter = self.running.get(call)
        if what == "stream":
            reply.stream = Work()._pieces()
        if waiter is not None and what == "refuse":
            waiter.set_exception(Throttled("busy", reason="x"))
        elif waiter is not None:
            waiter.set_result(reply)

    async def told(self) -> list[Any]:
        """What everybody was answered, once all that runs has ended."""
        while self.running:
            for call in tuple(self.running):
                self.end(call)
            await settle()
        async with asyncio.timeout(5):
            return await asyncio.gather(*self.callers, return_exceptions=True)


@settings(max_examples=examples(60), deadline=None)
@given(STEPS)
def test_whatever_comes_in_whatever_order(steps: list[tuple[str, int, bool]]) -> None:
    """One call runs once at a time, nobody waits for ever, and the bound in bytes holds."""

    async def tell() -> None:
        story = Story()
        for what, number, stops in steps:
            await story.step(what, number, stops)
        results = await story.told()
        assert {type(result) for result in results} <= {Reply, Throttled, Conflict, asyncio.CancelledError}
        assert not any(isinstance(result, Reply) and result.outcome == "cancelled" for result in results)
        streams = [result.stream for result in results if isinstance(result, Reply) and result.stream]
        assert len({id(stream) for stream in streams}) == len(streams)

    asyncio.run(tell())
