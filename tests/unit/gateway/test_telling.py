from __future__ import annotations

import json
import time
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as some

from firstlight.gateway.events import NotEvents
from firstlight.gateway.streams import HTTP_INTEGRATION
from firstlight.gateway.telling import Telling, text_of, told
from firstlight.jobs.current import Running
from firstlight.jobs.types import Job, Kind
from gateways import generated


def running() -> Running:
    job = Job("j", Kind.REQUEST, "stories", b"", 0.0)
    return Running(job, 0, time.time, lambda *_: None, lambda *_: None)


def cut(raw: bytes, places: list[int]) -> list[bytes]:
    marks = sorted({place % (len(raw) + 1) for place in places} | {0, len(raw)})
    return [raw[start:end] for start, end in pairwise(marks)]


EVENTS = b"".join(f"data:{json.dumps(event)}\n\n".encode() for event in generated("a ", "lämp", "🔥"))


@pytest.mark.parametrize(
    ("kind", "raw", "text"),
    [
        ("text/event-stream", EVENTS, "a lämp🔥"),
        ("text/event-stream", b"data: mine\n\nid: 3\n\n", "data: mine\n\nid: 3\n\n"),
        ("text/plain", "läßt 🔥".encode(), "läßt 🔥"),
        (HTTP_INTEGRATION, b'{"statusCode": 200}' + bytes(8) + "läßt".encode(), "läßt"),
        (HTTP_INTEGRATION, b'{"statusCode": 200}', ""),
    ],
)
@given(places=some.lists(some.integers(0, 10_000), max_size=12))
def test_the_text_is_told_wherever_the_bytes_were_cut(
    kind: str, raw: bytes, text: str, places: list[int]
) -> None:
    job = running()
    telling = Telling(job, kind)
    for piece in cut(raw, places):
        telling(piece)
    assert job.partial == text


@given(
    some.lists(some.binary(max_size=40), max_size=10),
    some.sampled_from(["text/event-stream", "x", HTTP_INTEGRATION]),
)
def test_any_bytes_are_told_somehow(pieces: list[bytes], kind: str) -> None:
    telling = Telling(running(), kind)
    for piece in pieces:
        telling(piece)


def test_what_never_becomes_an_event_is_not_held_for_ever() -> None:
    job = running()
    telling = Telling(job, "text/event-stream")
    for _ in range(300):
        telling(b"x" * 1000)
    assert job.partial == "x" * 300_000


async def test_the_stream_is_as_it_was_and_closes_its_source() -> None:
    closed = []

    async def source() -> Any:
        try:
            yield b"one "
            yield b"two"
        finally:
            closed.append(True)

    job = running()
    stream = told(job, source(), "text/plain")
    assert await anext(stream) == b"one "
    await stream.aclose()
    assert (job.partial, closed) == ("one ", [True])


def test_events_of_another_kind() -> None:
    assert text_of({"token": {"text": "x", "special": True}}) == ""
    with pytest.raises(NotEvents):
        text_of({"a": 1})
