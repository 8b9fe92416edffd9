from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from firstlight.gateway.asgi import Call, ClientGone, dump_json, header_text, parse_json, query_pairs
from firstlight.runtime.errors import InvalidInput, PayloadTooLarge


def call(pieces: list[bytes], headers: list[tuple[bytes, bytes]] | None = None, cut: bool = False) -> Call:
    waiting = list(pieces)

    async def receive() -> dict[str, object]:
        if not waiting:
            return {"type": "http.disconnect"}
        piece = waiting.pop(0)
        return {"type": "http.request", "body": piece, "more_body": bool(waiting) or cut}

    made = Call({"type": "http", "headers": headers or [], "query_string": b""}, receive)
    made.scope["waiting"] = waiting
    return made


@given(st.lists(st.binary(max_size=20), min_size=1))
async def test_a_body_is_what_was_sent_in_whatever_pieces(pieces: list[bytes]) -> None:
    assert await call(pieces).body(10_000) == b"".join(pieces)


async def test_an_announced_length_over_the_limit_is_refused_before_anything_is_read() -> None:
    made = call([b"x" * 11], [(b"content-length", b"11")])
    with pytest.raises(PayloadTooLarge) as raised:
        await made.body(10)
    assert raised.value.size == 11
    assert not raised.value.close
    assert made.scope["waiting"] == [b"x" * 11]


async def test_a_body_of_no_known_length_is_counted_while_it_comes() -> None:
    made = call([b"x" * 6] * 100)
    with pytest.raises(PayloadTooLarge) as raised:
        await made.body(10)
    assert raised.value.close
    assert len(made.scope["waiting"]) == 98


async def test_a_lying_content_length_does_not_get_more_in() -> None:
    with pytest.raises(PayloadTooLarge):
        await call([b"x" * 11], [(b"content-length", b"2")]).body(10)


async def test_a_client_that_leaves_is_noticed() -> None:
    with pytest.raises(ClientGone):
        await call([b"half"], cut=True).body(10)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"NaN",
        b"[Infinity]",
        b"\xff",
        b"\xef\xbb\xbf{}",
        b"{}x",
        b"[" * 100_000,
        b"1" * 5000,
        b"'a'",
    ],
)
def test_what_is_not_json_is_refused(body: bytes) -> None:
    with pytest.raises(ValueError, match=r"."):
        parse_json(body)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


@given(json_values)
def test_json_survives_the_way_out_and_in(value: object) -> None:
    assert parse_json(dump_json(value)) == value == json.loads(dump_json(value))


@given(st.binary())
def test_no_bytes_break_the_json_parser(body: bytes) -> None:
    try:
        expected = json.loads(body.decode("utf-8"))
    except ValueError:
        expected = None
    try:
        assert parse_json(body) == expected or expected != expected
    except ValueError:
        pass


@given(st.binary(max_size=200))
def test_no_bytes_break_the_query_parser(raw: bytes) -> None:
    for name, value in query_pairs(raw):
        assert isinstance(name, str)
        assert isinstance(value, str)


def test_a_query_of_very_many_fields_is_refused() -> None:
    with pytest.raises(InvalidInput):
        query_pairs(b"a=1&" * 500)


@given(st.text())
def test_a_header_is_one_line_of_ascii(text: str) -> None:
    value = header_text(text)
    assert value.isascii()
    assert b"\r" not in value
    assert b"\n" not in value
