"""The pruned search against the plain one: every span, sorted."""

from random import Random

from hypothesis import given
from hypothesis import strategies as st

from firstlight.runtime.tasks.spans import Spans

LOGITS = st.floats(-8, 8, allow_nan=False, width=32)
TOKENS = st.lists(st.tuples(st.booleans(), LOGITS, LOGITS), min_size=1, max_size=30)


def plain(tokens, count, length):
    """All spans of allowed tokens by the definition, the first token masked."""
    from math import exp

    places = [i for i, (allowed, _, _) in enumerate(tokens) if allowed]
    starts, ends = ({i: exp(tokens[i][side]) for i in places} for side in (1, 2))
    whole = sum(starts.values()), sum(ends.values())
    found = [
        (starts[i] / whole[0] * ends[j] / whole[1], i, j)
        for i in places
        for j in places
        if 0 < i <= j < i + length
    ]
    return sorted(found, key=lambda span: -span[0])[:count]


@given(tokens=TOKENS, count=st.integers(1, 40), length=st.integers(1, 35))
def test_the_best_spans(tokens, count, length):
    allowed, starts, ends = zip(*tokens, strict=True)
    found = Spans(allowed, starts, ends).best(count, length)
    expected = plain(tokens, count, length)
    assert len(found) == len(expected)
    assert all(abs(a[0] - b[0]) < 1e-9 for a, b in zip(found, expected, strict=True))
    clear = [b for b in expected if sum(abs(b[0] - c[0]) < 1e-9 for c in plain(tokens, 10**4, length)) == 1]
    assert {(i, j) for _, i, j in clear} <= {(i, j) for _, i, j in found}


def test_nothing_that_is_pruned_was_better():
    numbers = Random(7)
    for _ in range(100):
        tokens = [(numbers.random() < 0.9, numbers.gauss(0, 3), numbers.gauss(0, 3)) for _ in range(60)]
        found = Spans(*zip(*tokens, strict=True)).best(12, 15)
        assert [span[1:] for span in found] == [span[1:] for span in plain(tokens, 12, 15)]


@given(tokens=TOKENS)
def test_the_empty_answer_is_the_first_token(tokens):
    from math import exp

    tokens[0] = (True, *tokens[0][1:])
    allowed, starts, ends = zip(*tokens, strict=True)
    kept = [(s, e) for a, s, e in tokens if a]
    share = [exp(kept[0][side]) / sum(exp(pair[side]) for pair in kept) for side in (0, 1)]
    assert abs(Spans(allowed, starts, ends).null - share[0] * share[1]) < 1e-9


def test_no_token_is_allowed():
    found = Spans([False, False], [1.0, 2.0], [1.0, 2.0])
    assert (found.best(3, 15), found.null) == ([], 0.0)


def test_a_window_full_of_equal_scores_stays_small():
    found = Spans([True] * 384, [0.0] * 384, [0.0] * 384).best(12, 15)
    assert [span[1:] for span in found[:3]] == [(1, 1), (1, 2), (1, 3)]
    assert len(found) == 12


def test_logits_of_any_size():
    found = Spans([True] * 3, [-1e4, 1e4, 0.0], [1e4, -1e4, 1e4]).best(5, 15)
    assert found[0] == (0.5, 1, 2)
