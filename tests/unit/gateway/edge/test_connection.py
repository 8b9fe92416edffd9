"""One client at the edge: what it may send, how long it may take, and what it gets."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trying import examples
from unit.gateway.edge.talking import post, serving

CHUNKED = b"POST /a HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"


async def test_one_answer_after_the_other_on_one_connection() -> None:
    async with serving() as served:
        client = await served.connect()
        for number in range(3):
            client.say(post(f"/{number}?a=%20", b"body"))
            status, headers, body = await client.answer()
            assert (status, body) == (200, b"POST /%d body" % number)
            assert headers == {"date": "today", "x-a": "1", "content-length": "12"}
        scope = served.app.seen[0]
        assert (scope["query_string"], scope["raw_path"], scope["http_version"]) == (b"a=%20", b"/0", "1.1")
        assert scope["headers"][0] == (b"host", b"x")
        assert scope["server"][0] == scope["client"][0] == "127.0.0.1"


@pytest.mark.parametrize(("target", "path"), [
    ("/a%2Fb", "/a/b"), ("http://x/a?b", "/a"), ("http://x", "/"), ("*", "*"), ("/a#b", "/a"),
    ("/%ff", "/\ufffd"),
])  # fmt: skip
async def test_the_ways_to_write_an_address(target: str, path: str) -> None:
    async with serving() as served:
        client = await served.connect()
        client.say(f"OPTIONS {target} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
        assert (await client.answer())[0] == 200
        assert served.app.seen[0]["path"] == path


async def test_requests_that_do_not_wait_are_answered_in_order() -> None:
    async with serving() as served:
        client = await served.connect()
        client.say(b"".join(post(f"/{number}", b"b" * number) for number in range(20)))
        for number in range(20):
            assert (await client.answer())[2] == b"POST /%d %s" % (number, b"b" * number)


async def test_a_large_body_behind_a_slow_request() -> None:
    async with serving(at_once=10) as served:
        client = await served.connect()
        client.say(post("/slow"), post("/a", b"x" * 300_000), post("/b", b"y"))
        await served.app.waiting.wait()
        served.app.go.set()
        assert (await client.answer())[2] == b"POST /slow "
        assert len((await client.answer())[2]) == 300_008
        assert (await client.answer())[2] == b"POST /b y"


async def test_nothing_is_done_for_what_comes_after_the_last_answer() -> None:
    async with serving() as served:
        client = await served.connect()
        client.say(post("/last") + post("/a") * 3)
        assert (await client.rest()).endswith(b"last")
        assert [scope["path"] for scope in served.app.seen] == ["/last"]


async def test_more_requests_than_are_queued_are_not_answered() -> None:
    async with serving(queued=3) as served:
        client = await served.connect()
        client.say(post("/slow") + post("/a") * 10)
        await served.app.waiting.wait()
        served.app.go.set()
        assert (await client.rest()).count(b"HTTP/1.1 200") == 4


@settings(max_examples=examples(60), deadline=None)
@given(st.lists(st.integers(1, 200), max_size=30))
def test_how_the_bytes_are_cut_changes_nothing(cuts: list[int]) -> None:
    said = (
        post("/a", b"body")
        + CHUNKED
        + b"3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n"
        + b"GET /c HTTP/1.1\r\nHost: x\r\n\r\n"
    )

    async def talk() -> list[bytes]:
        async with serving() as served:
            client, rest = await served.connect(), said
            for cut in cuts:
                client.say(rest[:cut])
                rest = rest[cut:]
                await asyncio.sleep(0)
            client.say(rest)
            return [(await client.answer())[2] for _ in range(3)]

    assert asyncio.run(talk()) == [b"POST /a body", b"POST /a abcde", b"GET /c "]


async def test_who_has_said_all_and_reads_on_is_answered() -> None:
    async with serving(probe_s=60) as served:
        client = await served.connect()
        client.say(post("/slow", b"x")).writer.write_eof()
        await served.app.waiting.wait()
        served.app.go.set()
        assert (await client.rest()).endswith(b"connection: close\r\n\r\nPOST /slow x")
        assert not served.app.left.is_set()


async def test_who_says_nothing_more_is_asked_whether_it_is_there() -> None:
    async with serving(probe_s=0.0) as served:
        client = await served.connect()
        client.say(post("/slow")).writer.write_eof()
        assert (await client.answer())[0] == 100
        served.app.go.set()
        while (status := (await client.answer())[0]) == 100:
            pass
        assert status == 200


async def test_who_has_left_altogether_is_noticed() -> None:
    async with serving(probe_s=0.0) as served:
        client = await served.connect()
        client.say(post("/slow"))
        await served.app.waiting.wait()
        client.writer.close()
        await served.app.left.wait()


async def test_who_leaves_in_the_middle_of_a_body() -> None:
    async with serving(at_once=0) as served:
        client = await served.connect()
        client.say(b"POST /a HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\nabc").writer.write_eof()
        assert await client.rest() == b""
        await served.app.left.wait()


async def test_a_body_is_asked_for_only_by_who_wants_it() -> None:
    async with serving() as served:
        client = await served.connect()
        head, body = post("/a", b"body", "Expect: 100-continue").split(b"\r\n\r\n")
        client.say(head + b"\r\n\r\n")
        assert (await client.answer())[0] == 100
        client.say(body)
        assert (await client.answer())[2] == b"POST /a body"
        client.say(head.replace(b"/a", b"/early") + b"\r\n\r\n")
        assert (await client.answer())[0] == 413


async def test_a_refused_body_is_thrown_away_and_the_next_request_answered() -> None:
    async with serving(at_once=10) as served:
        client = await served.connect()
        client.say(post("/early", b"x" * 1_000_000), post("/a"))
        assert (await client.answer())[0] == 413
        assert (await client.answer())[2] == b"POST /a "


@pytest.mark.parametrize("path", ["/stream", "/half", "/broken"])
async def test_the_ends_of_an_answer(path: str, caplog: Any) -> None:
    caplog.set_level(logging.CRITICAL)
    async with serving() as served:
        client = await served.connect()
        client.say(post(path))
        if path == "/half":
            assert b"0\r\n\r\n" not in await client.rest()
            return
        status, _, body = await client.answer()
        assert (status, body) == ((200, b"one two") if path == "/stream" else (500, b"Internal Server Error"))


async def test_http_1_0_is_answered_and_left() -> None:
    async with serving() as served:
        client = await served.connect()
        client.say(b"POST /stream HTTP/1.0\r\n\r\n")
        assert (await client.rest()).endswith(b"connection: close\r\n\r\none two")


async def test_head_has_no_body() -> None:
    async with serving() as served:
        client = await served.connect()
        client.say(b"HEAD /a HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        received = await client.rest()
        assert b"content-length: 8" in received
        assert received.endswith(b"\r\n\r\n")


async def test_an_upgrade_is_not_taken() -> None:
    async with serving() as served:
        client = await served.connect()
        client.say(b"GET /a HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\nmore")
        assert (await client.rest()).endswith(b"GET /a ")


REFUSED = [
    (b"\x16\x03\x01 not HTTP\r\n\r\n", 400),
    (b"GET / HTTP/1.1\r\nno colon\r\n\r\n", 400),
    (b"POST / HTTP/1.1\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n", 400),
    (b"POST / HTTP/1.1\r\nContent-Length: -1\r\n\r\n", 400),
    (b"GET /" + b"a" * 2000 + b" HTTP/1.1\r\n\r\n", 414),
    (b"GET / HTTP/1.1\r\n" + b"A: b\r\n" * 20 + b"\r\n", 431),
    (b"GET / HTTP/1.1\r\nA: " + b"b" * 3000 + b"\r\n\r\n", 431),
]


@pytest.mark.parametrize(("said", "status"), REFUSED)
async def test_what_is_no_request_or_too_much_of_one(said: bytes, status: int) -> None:
    async with serving(url=1000, head=2000, fields=10) as served:
        for pieces in ([said], [said[at : at + 700] for at in range(0, len(said), 700)]):
            client = await served.connect()
            for piece in pieces:
                client.say(piece)
                await asyncio.sleep(0.001)
            received = await client.rest()
            assert received.startswith(b"HTTP/1.1 %d " % status), received[:100]
            assert b"connection: close" in received
        assert served.app.seen == []


@pytest.mark.parametrize(("begun", "status"), [(b"GET /", 414), (b"GET / HTTP/1.1\r\nA: ", 431)])
async def test_a_head_that_never_ends(begun: bytes, status: int) -> None:
    async with serving(url=1000, head=2000) as served:
        client = await served.connect()
        client.say(begun)
        answering = asyncio.ensure_future(client.answer())
        while not answering.done():
            client.say(b"a" * 500)
            await asyncio.sleep(0.001)
        assert answering.result()[0] == status


async def test_garbage_behind_a_request_costs_only_the_connection() -> None:
    async with serving() as served:
        client = await served.connect()
        client.say(post("/slow") + b"\x00\x01\x02\r\n\r\n")
        await served.app.waiting.wait()
        served.app.go.set()
        assert (await client.rest()).endswith(b"POST /slow ")


@pytest.mark.parametrize(("said", "status"), [
    (b"", b""), (b"GET / HT", b"HTTP/1.1 408"), (post("/a", b"abc")[:-1], b"HTTP/1.1 408"),
    (CHUNKED + b"3\r\nab", b"HTTP/1.1 408"),
])  # fmt: skip
async def test_who_takes_too_long(said: bytes, status: bytes) -> None:
    async with serving(head_s=0.01, body_s=0.01) as served:
        client = await served.connect()
        client.say(said)
        assert (await client.rest())[:12] == status
        if CHUNKED in said:
            await served.app.left.wait()


async def test_a_head_that_trickles_has_one_time_limit() -> None:
    async with serving(head_s=0.05, body_s=60.0) as served:
        client = await served.connect()
        client.say(b"GET / HTTP/1.1\r\n")
        answering = asyncio.ensure_future(client.answer())
        while not answering.done():
            client.say(b"a: b\r\n")
            await asyncio.sleep(0.001)
        assert answering.result()[0] in (408, 431)


async def test_an_idle_connection_is_closed_and_a_busy_one_is_not() -> None:
    async with serving(idle_s=0.01, head_s=0.01, body_s=0.01) as served:
        idle, busy = await served.connect(), await served.connect()
        busy.say(post("/slow"))
        idle.say(post("/a"))
        assert (await idle.answer())[0] == 200
        assert await idle.rest() == b""
        served.app.go.set()
        assert (await busy.answer())[0] == 200


async def test_a_reader_that_does_not_read_is_dropped() -> None:
    async with serving(write_s=0.02) as served:
        client = await served.connect()
        client.writer.transport.pause_reading()
        client.say(post("/large"))
        while not served.app.seen or served.edge._connections:
            await asyncio.sleep(0.001)
        client.writer.transport.resume_reading()
        size = 0
        with contextlib.suppress(ConnectionError):
            while piece := await client.reader.read(1 << 20):
                size += len(piece)
        assert size < 30_000_000


async def test_who_does_not_read_its_answers_gets_no_more_of_them_made() -> None:
    async with serving() as served:
        client = await served.connect()
        client.writer.transport.pause_reading()
        client.say(post("/large") * 3, post("/large"))
        while not served.app.seen or not next(iter(served.edge._connections)).clogged:
            await asyncio.sleep(0.001)
        for _ in range(100):  # turns of the event loop, in any of which a second answer could have begun
            await asyncio.sleep(0)
        assert len(served.app.seen) == 1
        client.writer.transport.resume_reading()
        for _ in range(4):
            assert len((await client.answer())[2]) == 30_000_000
        client.say(post("/a"))
        assert (await client.answer())[2] == b"POST /a "


async def test_who_goes_on_sending_after_a_refusal_is_cut_off() -> None:
    async with serving(linger=100_000) as served:
        client = await served.connect()
        client.say(b"nonsense\r\n\r\n")
        with pytest.raises(ConnectionError):
            await client.endlessly(b"x" * 10_000)
        assert served.app.seen == []
