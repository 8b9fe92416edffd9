"""Events to values and values to bytes, compared with what ``json`` does."""

import json
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from firstlight.runtime import marshal
from firstlight.runtime.faults import Fault

TEXT = st.text(st.characters(), max_size=12)
SCALARS = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | TEXT
VALUES = st.recursive(
    SCALARS,
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.tuples(inner)
        | st.dictionaries(TEXT | st.integers(), inner, max_size=4)
    ),
    max_leaves=12,
)


@given(VALUES)
def test_answers_are_what_json_writes(value: object) -> None:
    body, content_type = marshal.body(value)
    assert content_type == "application/json"
    assert json.loads(body) == json.loads(json.dumps(value))
    assert marshal.event(body, content_type) == json.loads(body)


@given(st.text(st.characters(codec="utf-8")))
def test_text_is_utf_8(text: str) -> None:
    assert marshal.body(text)[0] == json.dumps(text, ensure_ascii=False).encode()


@given(st.decimals(allow_nan=False, allow_infinity=False), TEXT)
def test_decimals_keep_their_digits(number: Decimal, text: str) -> None:
    read = json.loads(marshal.body({"n": [number], "t": text})[0], parse_float=Decimal, parse_int=Decimal)
    assert read == {"n": [number], "t": text}


@given(st.binary(max_size=40) | VALUES.map(lambda value: json.dumps(value).encode()))
def test_events_are_what_json_reads(payload: bytes) -> None:
    try:
        expected = json.loads(payload.decode())
    except ValueError:
        with pytest.raises(Fault) as caught:
            marshal.event(payload, "application/json")
        assert caught.value.kind == "Runtime.UnmarshalError"
    else:
        read = marshal.event(payload, "application/json; charset=utf-8")
        assert json.dumps(read) == json.dumps(expected)


def test_other_types_pass_untouched() -> None:
    assert marshal.event(b"{}", "text/csv") == b"{}"
    assert marshal.body(b"\xff") == (b"\xff", "application/unknown")


@pytest.mark.parametrize("value", [{1}, [object()], {(1,): 2}, [Decimal("1"), {2}], iter([])])
def test_what_json_cannot_carry(value: object) -> None:
    with pytest.raises(Fault, match="Unable to marshal response: ") as caught:
        marshal.body(value)
    with pytest.raises(TypeError) as told:
        json.dumps(
            value,
            default=lambda part: str(part) if isinstance(part, Decimal) else json.JSONEncoder().default(part),
        )
    assert caught.value.message.endswith(str(told.value))


@pytest.mark.parametrize(
    ("kind", "advice"),
    [
        ("ndarray", "tolist"),
        ("float32", "item"),
        ("int64", "item"),
        ("coroutine", "awaited"),
    ],
)
def test_a_type_that_is_not_json_comes_with_advice(kind: str, advice: str) -> None:
    with pytest.raises(Fault) as caught:
        marshal.body({"score": type(kind, (), {})()})
    assert caught.value.kind == "Runtime.MarshalError"
    assert advice in caught.value.hint


def test_a_key_that_is_not_json_needs_no_advice() -> None:
    with pytest.raises(Fault) as caught:
        marshal.body({(1, 2): 3})
    assert not caught.value.hint
