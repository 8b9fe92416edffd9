"""One token after another: greedy, drawn, in time."""

from __future__ import annotations

from collections import Counter
from math import exp, inf

import pytest
from hypothesis import given
from hypothesis import strategies as st
from table_models import END, Countdown, Table, rules

from firstlight.runtime.deadline import NEVER
from firstlight.runtime.generation.chain import Chain, drawn, mixed, uniform
from firstlight.runtime.generation.wishes import Search


def chain(table, search, prefix=(), number=0, **more):
    return Chain(table, rules(table.vocabulary, **more), prefix, (), search, number)


def test_the_likeliest_token_comes_next():
    for seed in range(20):
        table = Table(7, seed)
        answer = chain(table, Search(max_tokens=9), (3,))
        row = [1, 3]
        for token in answer.tokens(NEVER):
            assert token == max(range(7), key=table.logits(row).__getitem__)
            row.append(token)
        assert answer.whole == (len(row) < 11)
        if answer.whole:
            assert max(range(7), key=table.logits(row).__getitem__) == END


def test_penalties_are_of_logits_not_of_probabilities():
    table = Table(5, 1)
    list(chain(table, Search(max_tokens=4, repetition_penalty=1.5)).tokens(NEVER))
    assert {asked.normalise for asked in table.asked} == {False}
    assert {asked.penalty for asked in table.asked} == {1.5}


def test_rules_hold():
    table = Table(6, 4)
    answer = chain(table, Search(max_tokens=6, min_tokens=6, no_repeat_ngram=1), bad=[[4]])
    units = list(answer.tokens(NEVER))
    assert len(units) == len(set(units))
    assert not {END, 1, 4} & set(units)


def test_the_last_token_can_be_forced():
    answer = chain(Table(6), Search(max_tokens=3, min_tokens=3), forced_end=[5, END])
    assert len(list(answer.tokens(NEVER))) == 2
    assert answer.whole


def test_where_a_model_can_go_no_further_is_an_end():
    answer = chain(Table(6), Search(max_tokens=30, min_tokens=30), positions=4)
    assert len(list(answer.tokens(NEVER))) == 4
    assert answer.whole


@pytest.mark.parametrize("seconds", [1, 2, 5])
def test_it_stops_in_time(seconds):
    answer = chain(Table(6), Search(max_tokens=30, min_tokens=30))
    assert len(list(answer.tokens(Countdown(seconds)))) < seconds
    assert not answer.whole


def test_drawn_answers_differ_by_seed_and_number_and_not_otherwise():
    search = [Search(max_tokens=8, temperature=1.0, top_k=50, seed=seed) for seed in (1, 1, 2)]
    found = [list(chain(Table(9), one).tokens(NEVER)) for one in search]
    assert found[0] == found[1] != found[2]
    other = list(chain(Table(9), search[0], number=1).tokens(NEVER))
    assert other != found[0]


def test_an_answer_drawn_in_two_pieces_is_the_whole_one():
    search = Search(max_tokens=8, min_tokens=8, temperature=1.0, top_k=0, seed=5)
    whole = list(chain(Table(9), search).tokens(NEVER))
    table = Table(9)
    assert list(chain(table, search).tokens(Countdown(5))) == whole[: len(table.asked)]


@pytest.mark.parametrize(("top_k", "count"), [(0, 9), (4, 4), (50, 9)])
def test_as_many_candidates_as_are_drawn_from(top_k, count):
    table = Table(9)
    list(chain(table, Search(max_tokens=1, temperature=0.5, top_k=top_k)).tokens(NEVER))
    assert table.asked[0].count == count


LOGITS = [3.0, 2.5, 1.0, 0.0, -1.0]
CANDIDATES = [(logit, 0, 10 + place) for place, logit in enumerate(LOGITS)]


@pytest.mark.parametrize(
    ("temperature", "top_p", "kept"), [(1.0, 1.0, 5), (0.5, 0.9, 2), (2.0, 0.99, 5), (1.0, 0.0, 1)]
)
def test_tokens_are_drawn_as_often_as_they_are_likely(temperature, top_p, kept):
    search = Search(temperature=temperature, top_p=top_p)
    weights = [exp(logit / temperature) for logit in LOGITS[:kept]]
    many = 20_000
    counts = Counter(drawn(CANDIDATES, search, uniform(3, place)) for place in range(many))
    for place, weight in enumerate(weights):
        expected = weight / sum(weights)
        spread = (expected * (1 - expected) / many) ** 0.5
        assert abs(counts[10 + place] / many - expected) <= 5 * spread + 1e-12
    assert sum(counts.values()) == many
    assert set(counts) <= {10 + place for place in range(kept)}


def test_what_may_not_come_is_not_drawn():
    barred = [(1.0, 0, 7), (-inf, 0, 8)]
    assert {drawn(barred, Search(temperature=9.0), number / 10) for number in range(10)} == {7}


@given(st.integers(0, 1 << 64), st.integers(0, 1 << 40))
def test_numbers_lie_between_0_and_1(seed, place):
    assert 0 <= uniform(seed, place) < 1
    assert mixed(seed, place) != mixed(seed, place + 1)
