from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from firstlight.trace.answers import differences, shown, stable

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=4), inner, max_size=4),
    max_leaves=12,
)


@given(VALUES)
def test_a_value_is_equal_to_itself(value):
    assert differences(value, value) == []


@given(VALUES, VALUES)
def test_it_does_not_matter_which_comes_first(one, other):
    assert bool(differences(one, other)) == bool(differences(other, one))


@pytest.mark.parametrize(
    ("one", "other", "found"),
    [
        ({"a": 1}, {"a": 2}, ["$.a"]),
        ({"a": 1}, {"a": True}, ["$.a"]),
        ({"a": 1, "b": 2}, {"a": 1}, ["$.b"]),
        ([1, 2], [1, 2, 3], ["$"]),
        ({"a": [{"b": 0.5}, {"b": 0.25}]}, {"a": [{"b": 0.5}, {"b": 0.26}]}, ["$.a[1].b"]),
        (0.5, 0.50001, []),
        (0.5, 0.501, ["$"]),
        (1_000_000, 1_000_001, ["$"]),
        (0, 1e-9, []),
        (math.nan, math.nan, []),
        (math.nan, 1.0, ["$"]),
        (math.inf, math.inf, []),
        ("a", ["a"], ["$"]),
        (None, False, ["$"]),
    ],
)
def test_where_values_differ(one, other, found):
    assert differences(one, other) == found


def test_what_differs_anyway_is_left_out():
    assert stable(["$.a", "$.b[0].c", "$.bb"], ["$.a", "$.b"]) == ["$.bb"]
    assert stable(["$.a"], ["$.a.time"]) == []
    assert stable(["$.a[10]"], ["$.a[1]"]) == ["$.a[10]"]


def test_a_value_is_shown_in_a_line():
    answer = {"json": {"a": [1, {"b": "x" * 200}]}}
    assert shown(answer, "$.json.a[0]") == "1"
    assert shown(answer, "$.json.a[5]") == "nothing"
    assert shown(answer, "$.json.z.y") == "nothing"
    assert len(shown(answer, "$.json.a[1].b")) == 80
