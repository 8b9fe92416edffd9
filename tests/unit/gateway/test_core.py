from __future__ import annotations

import asyncio
from typing import Any

import pytest

from firstlight.gateway.core import Gateway, timing_headers
from firstlight.invoke.types import Invocation, Reply
from firstlight.runtime.errors import TooManyRequests
from gateways import TableInvoker, report, streamed


async def test_a_stream_counts_when_it_ends(project: Any, invoker: TableInvoker) -> None:
    gateway = Gateway(project, invoker)
    invoker.table["qa"] = streamed(b"a", b"b")
    reply = await gateway.invoke(Invocation("qa", b"{}"))
    assert gateway.metrics.invocations == {}
    assert gateway.metrics.in_flight == {"qa": 1}
    assert reply.stream is not None
    assert [piece async for piece in reply.stream] == [b"a", b"b"]
    assert gateway.metrics.invocations == {("qa", "ok"): 1}
    assert gateway.metrics.in_flight == {"qa": 0}


async def test_a_caller_that_gives_up_is_counted(project: Any) -> None:
    started = asyncio.Event()

    class Slow(TableInvoker):
        async def invoke(self, invocation: Invocation) -> Reply:
            started.set()
            await asyncio.Event().wait()
            raise AssertionError

    gateway = Gateway(project, Slow())
    task = asyncio.create_task(gateway.invoke(Invocation("qa", b"{}")))
    await started.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert gateway.metrics.invocations == {("qa", "cancelled"): 1}
    assert gateway.metrics.in_flight == {"qa": 0}


@pytest.mark.parametrize("late", [Reply("r", b"1"), None, TooManyRequests("busy")])
async def test_a_caller_that_gives_up_on_an_invoker_that_goes_on(project: Any, late: Any) -> None:
    started, goes_on = asyncio.Event(), asyncio.Event()

    class Slow(TableInvoker):
        async def invoke(self, invocation: Invocation) -> Reply:
            started.set()
            await goes_on.wait()
            return await super().invoke(invocation)

    invoker = Slow()
    invoker.table["qa"] = late or streamed(b"a", b"b")
    gateway = Gateway(project, invoker)
    task = asyncio.create_task(gateway.invoke(Invocation("qa", b"{}"), stops=True))
    await started.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert gateway.metrics.in_flight == {"qa": 1}
    goes_on.set()
    while gateway.metrics.in_flight["qa"]:
        await asyncio.sleep(0)
    assert sum(gateway.metrics.invocations.values()) == 1


def test_timing_headers_stay_headers_whatever_a_worker_notes() -> None:
    odd = report(
        timings={"engine": 1.0, "bad name\r\n": 2.0, "é": 3.0}, warnings=["x\r\ny é " + "z" * 9000] * 30
    )
    headers = dict(timing_headers(odd))
    assert b"engine;dur=1.00" in headers[b"server-timing"]
    for value in headers.values():
        assert value.isascii()
        assert b"\n" not in value
        assert len(value) < 16_000


async def test_the_app_closes_its_invoker(project: Any, invoker: TableInvoker) -> None:
    from firstlight.gateway.app import create_app

    app = create_app(project, invoker)
    async with app.router.lifespan_context(app):
        assert not invoker.closed
    assert invoker.closed
