from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from firstlight.gateway.web import answers, bars
from firstlight.runtime import tasks

QUESTION = {"inputs": {"question": "q", "context": "It was <b>Clara</b>."}}
LABELS = [{"label": "<a>", "score": 0.9713}, {"label": "b", "score": 0.0287}]


@pytest.mark.parametrize(
    ("task", "event", "result", "expected"),
    [
        ("text-classification", {}, LABELS, ["&lt;a&gt;", "97.1%", 'width="97.13"', 'class="best"']),
        (
            "question-answering",
            QUESTION,
            {"score": 0.5, "start": 10, "end": 15, "answer": "Clara"},
            ["<mark>Clara</mark>", "It was &lt;b&gt;<mark>", "50.0%"],
        ),
        (
            "question-answering",
            QUESTION,
            {"score": 0.5, "start": 0, "end": 0, "answer": ""},
            ["The text does not say."],
        ),
        (
            "token-classification",
            {"inputs": "Clara in Oslo"},
            [
                {"entity_group": "PER", "score": 0.9, "word": "Clara", "start": 0, "end": 5},
                {"entity_group": "LOC", "score": 0.8, "word": "Oslo", "start": 9, "end": 13},
            ],
            ['entity e0">Clara<span class="kind">PER', " in <mark", 'entity e1">Oslo'],
        ),
        ("token-classification", {"inputs": "x"}, [], ["No names were found."]),
        (
            "sentence-similarity",
            {"inputs": {"sentences": ["near", "far"]}},
            [0.25, 0.875],
            ["0.25", "0.88", '<li class="best"><span class="name">far'],
        ),
        ("zero-shot-classification", {}, {"labels": ["x"], "scores": [0.5]}, ["50.0%"]),
        ("fill-mask", {}, [{"sequence": "Paris is big", "score": 0.5, "token_str": "big"}], ["Paris is big"]),
        ("feature-extraction", {}, [[0.5, -0.25]], ["A vector of 2 numbers", 'class="minus"']),
        ("translation", {}, [{"translation_text": "<bonjour>"}], ["&lt;bonjour&gt;"]),
        (None, {}, {"statusCode": 200, "body": {"label": "P", "score": 0.5}}, ["Status <b>200", "50.0%"]),
        (None, {}, {"statusCode": 200, "body": '{"a": 1}'}, ["&quot;a&quot;: 1"]),
        (None, {}, "words", ["<p", "words"]),
        (None, {}, {"a": [1]}, ["<pre"]),
    ],
)
def test_answers(task: str | None, event: dict[str, Any], result: Any, expected: list[str]) -> None:
    shown = answers.answer(task, event, result)
    for part in expected:
        assert part in shown


anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                ["label", "score", "answer", "start", "end", "labels", "scores", "word", "body", "inputs"]
            ),
            inner,
            max_size=4,
        )
    ),
    max_leaves=8,
)


@given(st.sampled_from([*tasks.names(), None]), st.dictionaries(st.just("inputs"), anything), anything)
def test_whatever_comes_is_shown(task: str | None, event: dict[str, Any], result: Any) -> None:
    answers.answer(task, event, result).encode()


def test_a_long_answer_is_cut() -> None:
    assert "more characters" in answers.pretty(["x" * 100_000])


@pytest.mark.parametrize(
    ("score", "shown"), [(0, "0.0%"), (0.0001, "< 0.1%"), (0.5, "50.0%"), (0.99999, "> 99.9%"), (1, "100.0%")]
)
def test_percents(score: float, shown: str) -> None:
    assert bars.percent(score) == shown


@pytest.mark.parametrize(
    ("value", "shown"), [(0.034, "0.03 ms"), (4.24, "4.2 ms"), (123.4, "123 ms"), (1234.5, "1.23 s")]
)
def test_durations(value: float, shown: str) -> None:
    assert bars.milliseconds(value) == shown
