"""The log of a worker: cut into invocations, forwarded whole, its end kept."""

from __future__ import annotations

import asyncio
import os

from hypothesis import given
from hypothesis import strategies as st

from firstlight.invoke.logs import RATE_BYTES, TAIL_BYTES, LogPipe

texts = st.lists(st.text(st.characters(codec="utf-8", exclude_characters="\r"), max_size=40), max_size=8)


@given(texts)
def test_all_that_is_written_is_forwarded_in_whole_lines(written: list[str]) -> None:
    async def scenario() -> None:
        lines: list[tuple[str, str, str]] = []
        pipe = LogPipe("f", lambda *line: lines.append(line))
        pipe.begin("r", "START\n")
        for text in written:
            os.write(pipe.writer, text.encode())
            pipe.drain()
        tail = pipe.end("END\n")
        pipe.close()
        text = "".join(written)
        expected = "START\n" + text + ("\n" if text and not text.endswith("\n") else "") + "END\n"
        assert "".join(told for _, _, told in lines) == expected
        assert all(
            told.endswith("\n") and (endpoint, request) == ("f", "r") for endpoint, request, told in lines
        )
        assert tail == expected.encode()

    asyncio.run(scenario())


async def test_the_tail_and_the_buffer_are_bounded() -> None:
    pipe = LogPipe("f", lambda *_: None)
    pipe.begin("r", "START\n")
    for _ in range(40):
        os.write(pipe.writer, b"x" * 32768)
        pipe.drain()
    assert len(pipe._line) <= 2 * 65536
    assert len(pipe.end("END\n")) == TAIL_BYTES
    pipe.close()


async def test_each_invocation_has_its_own_part() -> None:
    lines: list[tuple[str, str, str]] = []
    pipe = LogPipe("f", lambda *line: lines.append(line))
    os.write(pipe.writer, b"init\n")
    pipe.begin("a", "START a\n")
    os.write(pipe.writer, b"one")
    pipe.drain()
    assert pipe.end("END a\n") == b"init\nSTART a\none\nEND a\n"
    os.write(pipe.writer, b"between\n")
    pipe.begin("b", "START b\n")
    assert pipe.end("END b\n") == b"between\nSTART b\nEND b\n"
    assert [request for _, request, _ in lines] == ["", "a", "a", "a", "", "b", "b"]
    pipe.close()


async def test_what_is_left_is_read_after_the_worker_has_ended() -> None:
    lines: list[str] = []
    pipe = LogPipe("f", lambda *line: lines.append(line[2]))
    os.write(pipe.writer, b"last words")
    pipe.close_writer()
    pipe.close()
    pipe.close()
    assert lines == ["last words\n"]


async def test_more_than_may_be_forwarded_in_a_second_is_counted_and_left_out() -> None:
    now = 100.0
    lines: list[str] = []
    pipe = LogPipe("f", lambda *line: lines.append(line[2]), lambda: now)
    pipe.begin("r", "START\n")
    for _ in range(40):
        os.write(pipe.writer, b"x" * 65535 + b"\n")
        pipe.drain()
    assert sum(map(len, lines)) < RATE_BYTES + 1000
    now += 1
    os.write(pipe.writer, b"the last words\n")
    pipe.drain()
    said = f"{24 * 65536} bytes are left out here: a worker may log {RATE_BYTES} in a second\n"
    assert lines[-2:] == [said, "the last words\n"]
    assert pipe.end("END\n").endswith(b"x\nthe last words\nEND\n")
    pipe.close()
