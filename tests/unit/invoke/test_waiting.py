from __future__ import annotations

import asyncio

import pytest

from firstlight.invoke import scaling
from firstlight.invoke.assignments import Assignment
from firstlight.invoke.types import Invocation, Throttled, WorkerSpec
from firstlight.invoke.waiting import Waiting


async def queue_of(*sizes: int) -> tuple[Waiting, list[Assignment]]:
    waiting, loop = Waiting(), asyncio.get_running_loop()
    made = [
        Assignment(Invocation("f", b"x" * size, request_id=str(place)), loop.create_future())
        for place, size in enumerate(sizes)
    ]
    for assignment in made:
        waiting.add(assignment)
    return waiting, made


async def test_first_come_first_served_and_leaving():
    waiting, made = await queue_of(1, 2, 3)
    assert waiting.leave("1") is made[1]
    assert waiting.leave("1") is None
    assert [waiting.next() for _ in range(len(waiting))] == [made[0], made[2]]


async def test_room(monkeypatch):
    monkeypatch.setattr(scaling, "QUEUE_BYTES", 10)
    waiting, _ = await queue_of(4, 4)
    spec = WorkerSpec("f", concurrency=2)
    waiting.check(2, spec, 3, None)
    for size, most in ((3, 3), (1, 2)):
        with pytest.raises(Throttled) as caught:
            waiting.check(size, spec, most, None)
        assert caught.value.reason == "ConcurrentInvocationLimitExceeded"
    waiting.next()
    waiting.check(3, spec, 2, None)
    waiting.leave("1")
    waiting.check(100, spec, 1, None)


async def test_what_is_off():
    waiting, made = await queue_of(1)
    with pytest.raises(Throttled, match="turned off") as caught:
        waiting.check(1, WorkerSpec("f", concurrency=0), 5, None)
    assert caught.value.reason == "ReservedFunctionConcurrentInvocationLimitExceeded"
    waiting.refuse(caught.value)
    assert made[0].waiter.exception() is caught.value
    assert not waiting
