"""JSON without the json package, compared with the json package."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import firstlight
from firstlight.runtime import jsons

SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters(), max_size=10)
VALUES = st.recursive(
    SCALARS,
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=6) | st.integers(), inner, max_size=4)
    ),
    max_leaves=12,
)
SPACE = st.text(" \t\r\n", max_size=3)


@given(VALUES)
def test_dumps(value: object) -> None:
    assert jsons.dumps(value) == json.dumps(value)
    assert jsons.dumps(value, ascii_only=False) == json.dumps(value, ensure_ascii=False)


@given(SPACE, VALUES, SPACE)
def test_loads(before: str, value: object, after: str) -> None:
    text = before + json.dumps(value) + after
    assert repr(jsons.loads(text)) == repr(json.loads(text))
    assert repr(jsons.loads(text.encode())) == repr(json.loads(text))


@given(
    st.text('{}[]":,0123.eE+-tfn \\u', max_size=12)
    | st.text(max_size=8)
    | VALUES.map(lambda v: json.dumps(v)[:-1])
)
def test_what_is_not_json_is_the_same_error(text: str) -> None:
    assert outcome(jsons.loads, text) == outcome(json.loads, text)


def outcome(loads: Callable[[str], object], text: str) -> str:
    try:
        return repr(loads(text))
    except ValueError as error:
        return f"{type(error)}: {error}"


@given(st.binary(max_size=20))
def test_any_bytes_are_json_or_a_value_error(data: bytes) -> None:
    try:
        value = jsons.loads(data)
    except ValueError:
        return
    assert repr(value) == repr(json.loads(data.decode("utf-8-sig")))


@pytest.mark.parametrize("value", [{1}, object(), {(1, 2): 3}, b"x"])
def test_what_has_no_json_form(value: object) -> None:
    with pytest.raises(TypeError) as expected:
        json.dumps(value)
    with pytest.raises(TypeError) as caught:
        jsons.dumps(value)
    assert str(caught.value) == str(expected.value)


def test_a_value_that_contains_itself() -> None:
    loop: list[object] = []
    loop.append(loop)
    with pytest.raises(ValueError, match="Circular"):
        jsons.dumps(loop)


def test_errors_are_right_before_json_was_ever_imported() -> None:
    code = """
import sys
sys.path.insert(0, sys.argv[1])
from firstlight.runtime import jsons
assert jsons.loads('{"a": [1]}') == {"a": [1]} and "json" not in sys.modules
try:
    jsons.loads('{"a" 1}')
except ValueError as error:
    print(type(error).__name__, error)
"""
    home = str(Path(firstlight.__file__).parents[1])
    done = subprocess.run(
        [sys.executable, "-I", "-S", "-c", code, home], capture_output=True, text=True, check=True
    )
    assert done.stdout == "JSONDecodeError Expecting ':' delimiter: line 1 column 6 (char 5)\n"
