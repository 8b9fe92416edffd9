from __future__ import annotations

import hypothesis
import pytest
from hypothesis import strategies as st

from firstlight import starters
from firstlight.runtime import notes
from firstlight.runtime.errors import InvalidInput
from firstlight.runtime.model import Model
from firstlight.runtime.tasks.sentences import sentences
from firstlight.runtime.tasks.summarization import Summarization
from firstlight.runtime.tensor import make
from firstlight.runtime.tokenizers.hf import HfTokenizer
from trying import examples

from .sequences import Clock, Writer, bundle_of, events, said, whole, words

TEXT = (
    "The library opened in 1902 beside the market. It was paid for by the weavers of the town. "
    "On the first day four hundred people took a book home. The roof leaked in 1911. "
    "A reading room for children was added after the war. Today the library lends music and films as well."
)
CATS, DOGS = "The cat sat on the mat. ", "A dog barked. "
LONG = CATS * 8 + "\n\n" + DOGS * 16


@pytest.fixture(scope="module")
def tokenizer(tmp_path_factory: pytest.TempPathFactory) -> HfTokenizer:
    return words(tmp_path_factory.mktemp("words"))


def writes(tokenizer: HfTokenizer, **defaults: object) -> Summarization:
    own = {"max_length": 33, "generation": {"num_beams": 1, "max_new_tokens": 7}}
    return Summarization(bundle_of("summarization", **own | defaults), tokenizer)


def half(ids: list[int]) -> list[int]:
    """A summary: the first half."""
    return ids[: len(ids) // 2]


# Written anew.


def test_a_text_that_fits_is_one_part(tokenizer: HfTokenizer) -> None:
    engine = Writer(tokenizer, half)
    assert whole(writes(tokenizer), engine, CATS + "\n\n" + DOGS) == [{"summary_text": "The cat sat on the"}]
    assert len(engine.asked) == 1
    assert whole(writes(tokenizer), engine, " \n") == [{"summary_text": ""}]
    assert len(engine.asked) == 1


def test_a_long_text_is_the_summaries_of_its_parts(tokenizer: HfTokenizer) -> None:
    task, engine = writes(tokenizer), Writer(tokenizer, half)
    found = events(task, engine, LONG)
    sizes = [len(source) for source, _, _ in engine.asked]
    assert max(sizes) <= 33
    assert max(sizes) - min(sizes) <= 8
    assert len(sizes) == -(-(8 * 7 + 16 * 4) // 32)
    summaries = said(found)
    assert summaries == found[-1]["generated_text"]
    assert summaries.startswith("The cat sat on the mat. The cat sat")
    assert found[-1]["details"]["parts"] == {"done": 4, "of": 4, "missing": []}


def test_every_part_has_its_share_of_the_bounds(tokenizer: HfTokenizer) -> None:
    task, engine = writes(tokenizer), Writer(tokenizer, half)
    whole(task, engine, LONG, max_new_tokens=40, min_new_tokens=10)
    assert [(search.max_tokens, search.min_tokens) for _, _, search in engine.asked] == [(10, 3)] * 4
    engine.asked.clear()
    whole(task, engine, LONG, min_new_tokens=12)
    assert [(search.max_tokens, search.min_tokens) for _, _, search in engine.asked] == [(12, 3)] * 4


def test_summaries_that_are_too_long_together_are_summarised_again(tokenizer: HfTokenizer) -> None:
    task, engine = writes(tokenizer), Writer(tokenizer, half)
    found = events(task, engine, LONG, max_new_tokens=9)
    *drafts, (source, _, search) = engine.asked
    assert len(drafts) == 4
    assert all(search.max_tokens == 7 for _, _, search in drafts)
    assert tokenizer.decode(source).count("The cat") == 2
    assert search.max_tokens == 9
    assert said(found) == found[-1]["generated_text"]
    assert tokenizer.count(said(found)) <= 10
    assert found[-1]["details"]["finish_reason"] == "length"


def test_summaries_that_are_short_enough_together_are_the_answer(tokenizer: HfTokenizer) -> None:
    task, engine = writes(tokenizer), Writer(tokenizer, lambda ids: ids[:4])
    (answer,) = whole(task, engine, LONG, max_new_tokens=20)
    assert len(engine.asked) == 4
    assert answer == {"summary_text": "The cat sat on The cat sat on \n\nA dog barked. A dog barked."}
    assert not notes.warnings


def test_shortening_ends_however_long_the_model_writes(tokenizer: HfTokenizer) -> None:
    task = writes(tokenizer, generation={"num_beams": 1, "max_new_tokens": 30})
    engine = Writer(tokenizer)
    (answer,) = whole(task, engine, CATS * 60, max_new_tokens=5)
    assert tokenizer.count(answer["summary_text"]) <= 6
    assert len(engine.asked) < 60


def test_several_answers_are_several_last_summaries(tokenizer: HfTokenizer) -> None:
    task, engine = writes(tokenizer), Writer(tokenizer, lambda ids: ids[:6])
    asked = {"num_beams": 2, "num_return_sequences": 2}
    answers = whole(task, engine, LONG, max_new_tokens=9, **asked)
    assert len(answers) == 2
    assert answers[0] != answers[1]
    assert len(whole(task, engine, LONG, **asked)) == 2


@hypothesis.settings(
    max_examples=examples(40), suppress_health_check=[hypothesis.HealthCheck.function_scoped_fixture]
)
@hypothesis.given(
    parameters=st.sampled_from(
        [{}, {"max_new_tokens": 9}, {"max_new_tokens": 3}, {"max_new_tokens": 25},
         {"num_beams": 2, "max_new_tokens": 8}, {"do_sample": True, "seed": 3, "max_new_tokens": 9}]
    ),
    times=st.lists(st.integers(10, 40), min_size=1, max_size=6),
    text=st.lists(st.sampled_from([CATS, DOGS, "\n\n", CATS * 6, DOGS * 9]), max_size=6).map("".join),
)  # fmt: skip
def test_summaries_that_go_on_are_the_one_that_was_not_cut(
    tokenizer: HfTokenizer, parameters: dict[str, object], times: list[int], text: str
) -> None:
    task = writes(tokenizer)
    expected = whole(task, Writer(tokenizer, half), text, **parameters)
    clock = Clock()
    engine = Writer(tokenizer, half, clock=clock, step=1.0)
    (answer,) = whole(task, engine, text, clock.deadline(times[0]), **parameters)
    found, seen = answer["summary_text"], 1
    while "continuation" in answer.get("details", ()):
        seconds = times[seen] if seen < len(times) else 500
        asked = {**parameters, "continuation": answer["details"]["continuation"]}
        (answer,) = whole(task, engine, text, clock.deadline(seconds), **asked)
        found += answer["summary_text"]
        seen += 1
    assert [{"summary_text": found}] == expected


def test_drafts_that_are_done_are_told(tokenizer: HfTokenizer) -> None:
    clock = Clock()
    task, engine = writes(tokenizer), Writer(tokenizer, half, clock=clock, step=1.0)
    (answer,) = whole(task, engine, LONG, clock.deadline(17), max_new_tokens=9)
    assert answer["summary_text"] == ""
    part = answer["details"]["parts"]
    assert (part["done"], part["of"]) == (2, 4)
    assert part["finished"] == ["The cat sat on the mat."] * 2
    ((start, end),) = part["missing"]
    assert LONG[start:].startswith("A dog")
    assert end == len(LONG.rstrip())


# Made of the text's own sentences.


@pytest.fixture(scope="module")
def encoder() -> Model:
    return Model.load(starters.path("embeddings"), verify="sizes", task="summarization")


def summary(model: Model, text: str, **parameters: object) -> str:
    (answer,) = model(text, parameters)
    return answer["summary_text"]


def test_a_summary_is_made_of_the_texts_own_sentences_in_their_order(encoder: Model) -> None:
    kept = sentences(summary(encoder, TEXT))
    assert 1 <= len(kept) < len(sentences(TEXT))
    assert sorted(kept, key=TEXT.index) == kept
    assert any("extractive" in warning for warning in notes.warnings)
    assert notes.counts["generated_tokens"] < notes.counts["prompt_tokens"]


def test_several_texts_are_answered_one_by_one(encoder: Model) -> None:
    first, second = encoder([TEXT, "One sentence only."], {})
    assert first["summary_text"] == summary(encoder, TEXT)
    assert second == {"summary_text": "One sentence only."}


def test_the_length_asked_for_is_kept(encoder: Model) -> None:
    short = summary(encoder, TEXT, max_length=15)
    assert len(sentences(short)) == 1
    assert len(summary(encoder, TEXT, min_length=60)) > len(summary(encoder, TEXT))


def test_an_empty_text_has_an_empty_summary(encoder: Model) -> None:
    assert summary(encoder, "") == ""


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"words": 10}, "no parameter 'words'"),
        ({"num_return_sequences": 2}, "there is one extractive summary"),
        ({"continuation": "x"}, "no continuation"),
    ],
)
def test_what_an_extractive_summary_cannot_do(
    encoder: Model, parameters: dict[str, object], message: str
) -> None:
    with pytest.raises(InvalidInput, match=message):
        encoder(TEXT, parameters)


def test_an_extractive_summary_streams_its_sentences(encoder: Model) -> None:
    found = list(encoder.stream(TEXT))
    assert said(found) == found[-1]["generated_text"] == summary(encoder, TEXT)
    assert len(found) == len(sentences(said(found))) + 1


class Points:
    """A sentence encoder whose vectors are all alike."""

    inputs = ("input_ids",)

    def __init__(self, clock: Clock | None = None) -> None:
        self.sizes: list[int] = []
        self._clock = clock or Clock()

    def run(self, feeds, outputs):  # type: ignore[no-untyped-def]
        self.sizes.append(len(feeds["input_ids"].data))
        self._clock.now += 1
        return [make("f", [1.0, 0.0], (1, 2))]


def extracts(tokenizer: HfTokenizer) -> Summarization:
    return Summarization(bundle_of("feature-extraction", pooling="mean", max_length=8), tokenizer)


def test_a_sentence_that_does_not_fit_is_read_in_pieces(tokenizer: HfTokenizer) -> None:
    text = "the cat sat on the mat and a dog barked and we went home and it was late"
    engine = Points()
    (answer,) = whole(extracts(tokenizer), engine, text, min_length=100)  # type: ignore[arg-type]
    assert answer["summary_text"] == text
    assert engine.sizes == [7, 7, 7]
    assert not any("left out" in warning for warning in notes.warnings)


def test_an_extractive_summary_in_time(tokenizer: HfTokenizer) -> None:
    clock = Clock()
    text = CATS * 10
    (answer,) = whole(extracts(tokenizer), Points(clock), text, clock.deadline(4))  # type: ignore[arg-type]
    assert answer["details"]["parts"] == {"done": 4, "of": 10, "missing": [[96, 239]]}
    assert answer["summary_text"] == CATS.strip()
    assert "the time was up when 4 of 10 sentences were read" in notes.warnings
    (answer,) = whole(extracts(tokenizer), Points(clock), text, clock.deadline(500), max_time=3.0)  # type: ignore[arg-type]
    assert answer["details"]["parts"]["done"] == 3


def test_a_huge_text_is_read_once(tokenizer: HfTokenizer) -> None:
    for text in (CATS * 300, "x" * 5_000, DOGS + " " * 90_000 + DOGS):
        engine = Points()
        whole(extracts(tokenizer), engine, text)  # type: ignore[arg-type]
        assert max(engine.sizes) <= 8
        assert sum(engine.sizes) <= 2 * len(text.split()) + 2 * text.count("x") + 8
