from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from typing import Any

import pytest

from firstlight.gateway.core import Gateway
from firstlight.gateway.failures import FunctionFailed
from firstlight.gateway.generations import Event, Generation, merged
from firstlight.invoke.types import Invocation
from firstlight.project import Project
from firstlight.runtime.errors import FirstlightError
from gateways import TableInvoker, failed, generated, speaking, streamed, token


async def counted(first: int, steps: int, ended: list[int] | None = None) -> AsyncGenerator[Event]:
    try:
        for number in range(first, first + steps):
            await asyncio.sleep(0)
            yield {"n": number}
    finally:
        if ended is not None:
            ended.append(first)


@pytest.mark.parametrize("sources", [1, 3])
async def test_all_events_arrive_each_in_the_order_of_its_source(sources: int) -> None:
    found: dict[int, list[int]] = {number: [] for number in range(sources)}
    async for number, event in merged([counted(100 * source, 200) for source in range(sources)]):
        found[number].append(event["n"])
    assert found == {number: list(range(100 * number, 100 * number + 200)) for number in range(sources)}


@pytest.mark.parametrize("sources", [1, 3])
async def test_a_reader_that_leaves_ends_all_of_them(sources: int) -> None:
    ended: list[int] = []
    coming = merged([counted(source, 10_000, ended) for source in range(sources)])
    for _ in range(sources * 5):
        await anext(coming)
    await coming.aclose()
    assert sorted(ended) == list(range(sources))


@pytest.mark.parametrize("error", [FirstlightError("no"), ValueError("a bug")])
async def test_a_failure_ends_all_of_them(error: Exception) -> None:
    ended: list[int] = []

    async def failing() -> AsyncGenerator[Event]:
        yield {"n": 0}
        raise error

    coming = merged([counted(5, 10_000, ended), failing()])
    with pytest.raises(FirstlightError):
        async for _ in coming:
            pass
    assert ended == [5]


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        (failed("E", "boom"), "boom"),
        ({"a": 1}, "the answer was not a stream"),
        (speaking([]), "the answer ended early"),
        (speaking([token("x")]), "the answer ended early"),
        (streamed(b"data:{}\n\ndata:", content_type="text/event-stream"), "ended within an event"),
        (streamed(b"<html>\n\n", content_type="text/html"), "which is no event"),
        (
            streamed(b'data:{"a":', function_error="Unhandled", payload=b'{"errorMessage":"timed out"}'),
            "timed out",
        ),
    ],
)
async def test_what_is_no_answer_is_an_error(project: Project, answer: Any, message: str) -> None:
    invoker = TableInvoker()
    invoker.table["qa"] = answer
    gateway = Gateway(project, invoker)
    with pytest.raises(FunctionFailed, match=message):
        async for _ in Generation(gateway, Invocation("qa", b"{}")).events():
            pass
    assert gateway.metrics.in_flight == {"qa": 0}


async def test_an_answer(project: Project) -> None:
    invoker = TableInvoker()
    invoker.table["qa"] = speaking(generated("a", "b"))
    generation = Generation(Gateway(project, invoker), Invocation("qa", b"{}", request_id="r"))
    assert [event["token"]["text"] async for event in generation.events()] == ["a", "b", ""]
    assert generation.reply is not None
    assert generation.reply.request_id == "r"
