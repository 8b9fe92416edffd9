"""The beam search over models that are tables: against all answers there are, and by its rules."""

from __future__ import annotations

from itertools import product
from math import inf

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from table_models import END, Countdown, Table, rules

from firstlight.runtime.deadline import NEVER
from firstlight.runtime.generation.beam import BeamSearch, Pace, single
from firstlight.runtime.generation.rules import Rules
from firstlight.runtime.generation.wishes import Search
from trying import examples


def searched(table, search, prefix=(), deadline=NEVER, source=(), **more):
    return BeamSearch(table, rules(table.vocabulary, **more), prefix, source, search).run(deadline)


def every_answer(table, length, penalty, prefix=()):
    """All answers there are, best first, as (tokens, score)."""
    found = []
    for size in range(1, length + 1):
        for tokens in product(range(table.vocabulary), repeat=size):
            ends = tokens[-1] == END
            if END in tokens[:-1] or not (ends or size == length):
                continue
            total, row = 0.0, [1, *prefix]
            for token in tokens:
                total += table.normal(row)[token]
                row.append(token)
            kept = list(tokens[:-1] if ends else tokens)
            found.append((total / (len(prefix) + size) ** penalty, kept))
    return sorted(found, key=lambda one: one[0], reverse=True)


@pytest.mark.parametrize("prefix", [(), (2,)])
@pytest.mark.parametrize("penalty", [1.0, 0.0, 2.0, -0.5])
@pytest.mark.parametrize("early", [False, "never"])
def test_wide_enough_it_finds_every_answer_in_order(prefix, penalty, early):
    for seed in range(5):
        table = Table(3, seed)
        search = Search(num_beams=40, max_tokens=3, length_penalty=penalty, early_stopping=early, answers=40)
        found = searched(table, search, prefix)
        expected = every_answer(table, 3, penalty, prefix)
        assert [one.units for one in found] == [tokens for _, tokens in expected]
        assert [one.score for one in found] == pytest.approx([score for score, _ in expected], abs=1e-5)


WISHES = st.builds(
    Search,
    num_beams=st.integers(2, 5),
    max_tokens=st.integers(1, 9),
    min_tokens=st.integers(0, 5),
    length_penalty=st.sampled_from([-1.0, 0.0, 0.6, 1.0, 2.5]),
    early_stopping=st.sampled_from([True, False, "never"]),
    repetition_penalty=st.sampled_from([1.0, 1.3, 0.7]),
    no_repeat_ngram=st.integers(0, 3),
    answers=st.integers(1, 5),
)


@settings(max_examples=examples(120), deadline=None)
@given(WISHES, st.integers(0, 1000), st.lists(st.integers(2, 11), max_size=2))
def test_answers_follow_the_rules(search, seed, prefix):
    table = Table(12, seed)
    found = searched(table, search, prefix, bad=[[3], [4, 5], [END]], suppressed=[6], suppressed_first=[7])
    assert 1 <= len(found) <= min(search.answers, search.num_beams)
    scores = [one.score for one in found]
    assert scores == sorted(scores, reverse=True)
    for one in found:
        row, units = [1, *prefix, *one.units], list(one.units)
        assert END not in units
        assert 3 not in units
        assert 6 not in units
        assert units[:1] != [7]
        assert all(pair != (4, 5) for pair in zip(row[len(prefix) :], units, strict=False))
        size = len(units) + (1 if one.whole else 0)
        assert size <= search.max_tokens
        assert len(units) >= min(search.min_tokens, search.max_tokens)
        runs = [
            tuple(row[at : at + search.no_repeat_ngram])
            for at in range(len(prefix) + 1, len(row) - search.no_repeat_ngram + 1)
        ]
        assert not search.no_repeat_ngram or len(runs) == len(set(runs))
    for asked in table.asked:
        assert len({len(row) for row in asked.rows}) == 1
        assert len(asked.rows) == len(asked.sums)


def test_rows_say_which_rows_they_go_on_from():
    table = Table(8, 3)
    searched(table, Search(num_beams=3, max_tokens=6))
    assert table.asked[0].parents == []
    for before, after in zip(table.asked, table.asked[1:], strict=False):
        assert [before.rows[parent] for parent in after.parents] == [row[:-1] for row in after.rows]


def test_the_last_token_can_be_forced():
    for early in (True, False, "never"):
        search = Search(num_beams=3, max_tokens=4, min_tokens=9, early_stopping=early, answers=3)
        for one in searched(Table(9, 1), search, forced_end=[END]):
            assert len(one.units) == 3
            assert one.whole


def test_where_a_model_can_go_no_further_is_an_end():
    found = searched(Table(9, 1), Search(num_beams=2, max_tokens=50, min_tokens=50), positions=5)
    assert [(len(one.units), one.whole) for one in found] == [(5, True)]
    found = searched(Table(9, 1), Search(num_beams=2, max_tokens=4, min_tokens=50), positions=5)
    assert [(len(one.units), one.whole) for one in found] == [(4, False)]


def test_several_ends_and_runs_of_the_source():
    table = Table(7, 5)
    model = Rules({"start": 1, "end": [0, 2], "vocabulary": 7, "source_ngram": 1})
    search = Search(num_beams=2, max_tokens=6, answers=2)
    for one in BeamSearch(table, model, [], [3, 4], search).run(NEVER):
        assert not {0, 2, 3, 4} & set(one.units)
    assert table.asked[0].count == 6


@pytest.mark.parametrize("seconds", range(2, 12))
def test_in_time_it_gives_the_best_so_far(seconds):
    table = Table(6, 2)
    search = Search(num_beams=3, max_tokens=30, min_tokens=30)
    (found,) = searched(table, search, deadline=Countdown(seconds))
    assert not found.whole
    assert len(found.units) == len(table.asked)
    assert len(table.asked) < seconds
    row = [1, *found.units]
    total = sum(table.normal(row[:at])[row[at]] - 0 for at in range(1, len(row)))
    assert found.score <= 0
    assert not found.units or total <= 0


def test_what_is_complete_goes_before_what_is_not_when_time_is_up():
    search = Search(num_beams=4, max_tokens=30, early_stopping="never", length_penalty=2.0, answers=4)
    cut = searched(Table(4, 1), search, deadline=Countdown(7))
    assert [one.whole for one in cut] == [False] * len(cut)
    assert min(len(one.units) for one in cut) < 5


def test_nothing_may_come():
    (found,) = searched(Table(4), Search(num_beams=2, min_tokens=9), suppressed=[1, 2, 3])
    assert (found.units, found.whole) == ([], True)


def test_pace():
    assert not Pace(NEVER).late()
    countdown = Countdown(4)
    pace = Pace(countdown)
    assert [pace.late(), pace.late()] == [False, True]


def test_single_precision():
    assert single(0.1) == 0.10000000149011612
    assert single(1e300) == inf
    assert single(-1e300) == -inf
    assert single(-inf) == -inf
