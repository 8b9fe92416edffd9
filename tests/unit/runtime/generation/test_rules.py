"""Which tokens may not come, against the plain reading of each rule."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from firstlight.runtime.errors import BundleError
from firstlight.runtime.generation.rules import Rules
from firstlight.runtime.generation.wishes import Search

ROW = st.lists(st.integers(0, 3), max_size=9)


def banned(row, search=None, source=(), begun=1, **settings):
    rules = Rules({"start": 0, "vocabulary": 9, "end": [8], **settings})
    return rules.bound(search or Search(), begun, source).banned([row])


@given(ROW, st.integers(1, 4))
def test_no_run_comes_twice(row, size):
    row = [0, *row]
    runs = {tuple(row[at : at + size]) for at in range(len(row) - size + 1)}
    expected = {token for token in range(4) if len(row) + 1 >= size and tuple([*row, token][-size:]) in runs}
    assert {token for _, token in banned(row, Search(no_repeat_ngram=size))} == expected


@given(ROW, ROW, st.integers(1, 4))
def test_no_run_of_the_source_comes(source, row, size):
    row = [0, *row]
    runs = {tuple(source[at : at + size]) for at in range(len(source) - size + 1)}
    expected = {token for token in range(4) if tuple([*row, token][-size:]) in runs}
    assert {token for _, token in banned(row, source=source, source_ngram=size)} == expected


@given(ROW, st.lists(st.lists(st.integers(0, 3), min_size=1, max_size=3), max_size=4))
def test_bad_words(row, words):
    row = [0, *row]
    expected = {
        one[-1] for one in words if len(one) <= len(row) and row[len(row) - len(one) + 1 :] == one[:-1]
    }
    assert {token for _, token in banned(row, bad=[*words, [8]])} == expected


def test_lengths_and_first_tokens():
    assert banned([0, 5], Search(min_tokens=1), begun=2) == [(0, 8)]
    assert banned([0, 5, 5], Search(min_tokens=1), begun=2) == []
    assert banned([0, 5], begun=2, suppressed_first=[3], suppressed=[4]) == [(0, 4), (0, 3)]
    assert banned([0, 5, 5], begun=2, suppressed_first=[3]) == []


def test_every_row_has_its_own():
    rules = Rules({"start": 0, "vocabulary": 9, "bad": [[1, 2]]})
    assert rules.bound(Search(), 1, ()).banned([[0, 1], [1, 0], [0, 1]]) == [(0, 2), (2, 2)]


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"start": 0},
        {"start": -1, "vocabulary": 3},
        {"start": "0", "vocabulary": 3},
        {"start": True, "vocabulary": 3},
        {"start": 0, "vocabulary": 3, "end": 2},
        {"start": 0, "vocabulary": 3, "end": ["2"]},
        {"start": 0, "vocabulary": 3, "bad": [3]},
        {"start": 0, "vocabulary": 3, "positions": None},
    ],
)
def test_settings_that_are_wrong(settings):
    with pytest.raises(BundleError, match=r"bundle\.json"):
        Rules(settings)
