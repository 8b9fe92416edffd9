"""One request at a time through an app, on a loop that runs only while somebody waits."""

from __future__ import annotations

import asyncio

import pytest

from firstlight.gateway.aws.answering import Answering, BrokenOff
from firstlight.gateway.aws.door import Door
from firstlight.gateway.huggingface import explain
from front_events import url_event

START = {"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/plain")]}


@pytest.fixture
def loop():
    made = asyncio.new_event_loop()
    yield made
    made.run_until_complete(made.shutdown_default_executor())
    made.close()


def piece(body, more=True):
    return {"type": "http.response.body", "body": body, "more_body": more}


def answer(loop, app, event=None, streams=True):
    return Answering(app, loop, lambda: streams)(event or url_event(), None)


def test_pieces_leave_before_the_next_is_made(loop):
    made = []

    async def app(scope, receive, send):
        await send(START)
        for word in (b"one", b"two"):
            made.append(word)
            await send(piece(word))
            await asyncio.sleep(0)
            await waits.wait()
        await send(piece(b"", more=False))

    waits = asyncio.Event()
    found = answer(loop, app)
    pieces = found["body"]
    assert (found["statusCode"], found["headers"]) == (200, {"content-type": "text/plain"})
    assert next(pieces) == b"one"
    assert made == [b"one"]
    loop.call_soon(waits.set)
    assert list(pieces) == [b"two"]


def test_the_body_is_there_and_a_front_that_reads_whole_gets_it_whole(loop):
    async def app(scope, receive, send):
        message = await receive()
        await send(START)
        await send(piece(message["body"]))
        await send(piece(b"!", more=False))

    assert answer(loop, app, url_event(body="hi"), streams=False) == {
        "statusCode": 200,
        "headers": {"content-type": "text/plain"},
        "body": "hi!",
        "isBase64Encoded": False,
    }


def test_work_ends_with_its_reader(loop):
    ended = []

    async def app(scope, receive, send):
        await receive()
        await send(START)
        await send(piece(b"one"))
        ended.append((await receive())["type"])

    pieces = answer(loop, app)["body"]
    assert next(pieces) == b"one"
    pieces.close()
    assert ended == ["http.disconnect"]


def test_work_that_floods_ends_with_its_reader_too(loop):
    async def app(scope, receive, send):
        await send(START)
        while True:
            await send(piece(b"x" * 10))

    pieces = answer(loop, app)["body"]
    assert next(pieces) == b"x" * 10
    leaving = asyncio.all_tasks(loop)
    pieces.close()
    assert all(task.done() for task in leaving)


def test_an_answer_that_breaks_off_says_so(loop):
    async def app(scope, receive, send):
        await send(START)
        await send(piece(b"one"))

    pieces = answer(loop, app)["body"]
    assert next(pieces) == b"one"
    with pytest.raises(BrokenOff):
        next(pieces)


def test_an_app_that_fails_or_says_nothing_fails_the_invocation(loop):
    async def fails(scope, receive, send):
        raise KeyError("no")

    async def silent(scope, receive, send):
        return

    with pytest.raises(KeyError):
        answer(loop, fails)
    with pytest.raises(BrokenOff):
        answer(loop, silent)


def test_a_ping_runs_nothing(loop):
    assert Answering(None, loop)({"source": "aws.scheduler"}, None) == {"warm": True}


@pytest.mark.parametrize(("site", "status"), [("cross-site", 403), ("same-origin", 200), (None, 200)])
def test_the_door_refuses_what_browsers_send_for_other_sites(loop, site, status):
    async def inside(scope, receive, send):
        assert scope["app"] == "the app"
        await send(START)
        await send(piece(b"in", more=False))

    event = url_event(headers={"sec-fetch-site": site, "origin": "https://d1.cloudfront.net"} if site else {})
    found = answer(loop, Door("the app", inside, explain), event, streams=False)
    assert found["statusCode"] == status
    assert found["headers"]["x-content-type-options"] == "nosniff"
