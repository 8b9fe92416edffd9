"""Many clients at the edge: who is let in, who has to go."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from firstlight.gateway.edge import limits, writing
from firstlight.gateway.edge.limits import Limits
from unit.gateway.edge.talking import post, serving


async def test_a_newcomer_takes_the_place_of_who_is_idle_longest() -> None:
    async with serving(connections=2) as served:
        first, second = await served.connect(), await served.connect()
        for client in (first, second):
            client.say(post("/a"))
            await client.answer()
        third = await served.connect()
        third.say(post("/a"))
        assert (await third.answer())[0] == 200
        second.say(post("/b"))
        assert (await second.answer())[2] == b"POST /b "
        with pytest.raises((ConnectionError, asyncio.IncompleteReadError)):
            await first.say(post("/c")).answer()


async def test_those_who_never_finish_a_head_keep_nobody_out() -> None:
    async with serving(connections=10) as served:
        for _ in range(50):
            (await served.connect()).say(b"GET / HTTP/1.1\r\nA: ")
        client = await served.connect()
        client.say(post("/a"))
        assert (await client.answer())[0] == 200


async def test_where_all_are_being_answered_a_newcomer_is_told() -> None:
    async with serving(connections=1) as served:
        busy = await served.connect()
        busy.say(post("/slow"))
        await served.app.waiting.wait()
        late = await served.connect()
        assert (await late.answer())[0] == 503
        served.app.go.set()
        assert (await busy.answer())[0] == 200


async def test_a_shutdown_lets_the_running_answer_end() -> None:
    async with serving() as served:
        idle, busy = await served.connect(), await served.connect()
        idle.say(post("/a"))
        await idle.answer()
        busy.say(post("/slow"))
        await served.app.waiting.wait()
        for connection in tuple(served.edge._connections):
            connection.shutdown()
        assert await idle.rest() == b""
        served.app.go.set()
        status, headers, _ = await busy.answer()
        assert (status, headers["connection"]) == (200, "close")
        assert await busy.rest() == b""


def test_how_many_there_may_be(monkeypatch: Any) -> None:
    import resource

    assert Limits(connections=7).most() == 7
    for soft, most in ((1024, 768), (10, 16), (resource.RLIM_INFINITY, limits._MOST)):
        monkeypatch.setattr(resource, "getrlimit", lambda _, soft=soft: (soft, soft))
        assert Limits().most() == most


@pytest.mark.parametrize("header", [(b"a", b"b\r\nc: d"), (b"a\nb", b"c"), (b"a", b"b\rc"), (b"a", b"\0")])
def test_a_header_cannot_end_its_line(header: tuple[bytes, bytes]) -> None:
    with pytest.raises(ValueError, match="line end"):
        writing.head(200, b"", [header])


def test_the_first_line() -> None:
    assert writing.head(200, b"date: x\r\n", [(b"a", b"b")]) == b"HTTP/1.1 200 OK\r\ndate: x\r\na: b\r\n\r\n"
    assert writing.head(599, b"", []) == b"HTTP/1.1 599 \r\n\r\n"
