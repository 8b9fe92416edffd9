from __future__ import annotations

import contextlib
from pathlib import Path

import hypothesis
import pytest
from hypothesis import strategies as st

from firstlight.runtime import notes
from firstlight.runtime.errors import BundleError, InvalidInput
from firstlight.runtime.tasks import progress
from firstlight.runtime.tasks.joints import Joint
from firstlight.runtime.tasks.progress import Progress
from firstlight.runtime.tasks.seq2seq import Text2TextGeneration
from firstlight.runtime.tasks.translation import Translation
from firstlight.runtime.tokenizers.hf import HfTokenizer
from trying import examples

from .sequences import END, Clock, Writer, bundle_of, bytes_of_text, events, said, whole, words

TEXT = (
    "  The cat sat on the mat. A dog barked, and we went home!\n\n"
    'It was late. "The mat sat," he said... One cat and two dogs sat on a mat, and a dog barked, and it was late. \n'
)
GREEDY = {"num_beams": 1, "max_length": 40}


@pytest.fixture(scope="module")
def tokenizer(tmp_path_factory: pytest.TempPathFactory) -> HfTokenizer:
    return words(tmp_path_factory.mktemp("words"), "__fr__", "__en__")


@pytest.fixture(scope="module")
def bytewise(tmp_path_factory: pytest.TempPathFactory) -> HfTokenizer:
    return bytes_of_text(tmp_path_factory.mktemp("bytes"))


def writes(tokenizer: HfTokenizer, **defaults: object) -> Text2TextGeneration:
    return Text2TextGeneration(
        bundle_of("text2text-generation", **{"generation": GREEDY} | defaults), tokenizer
    )


def translates(tokenizer: HfTokenizer, **defaults: object) -> Translation:
    own = {"max_length": 16, "src_lang": "en", "tgt_lang": "fr", "generation": GREEDY}
    return Translation(bundle_of("translation", **own | defaults), tokenizer)


@pytest.mark.parametrize("units", ["ids", "tokens"])
def test_a_text_goes_through_as_it_is(tokenizer: HfTokenizer, units: str) -> None:
    engine = Writer(tokenizer, units=units)
    assert whole(writes(tokenizer), engine, "The cat sat.") == [{"generated_text": "The cat sat."}]
    ((source, prefix, search),) = engine.asked
    assert source[-1] == (END if units == "tokens" else tokenizer.id(END))
    assert (prefix, search.num_beams, search.max_tokens) == ([], 1, 39)
    assert notes.counts == {"prompt_tokens": len(source), "generated_tokens": len(source) - 1}
    assert notes.timings["first_token"] > 0


def test_several_texts_are_answered_one_by_one(tokenizer: HfTokenizer) -> None:
    task, engine = writes(tokenizer), Writer(tokenizer)
    assert whole(task, engine, ["The cat.", "", "A dog."]) == [
        {"generated_text": "The cat."},
        {"generated_text": ""},
        {"generated_text": "A dog."},
    ]


def test_the_answer_of_a_byte_level_model_keeps_its_spaces(bytewise: HfTokenizer) -> None:
    engine = Writer(bytewise, lambda ids: [*bytewise.encode(" é ").ids[1:-1], *ids])
    found = events(writes(bytewise, generation={}), engine, "😀", num_beams=1)
    assert [event["token"]["text"] for event in found] == [" ", "", "é", " ", "", "", "", "😀", ""]
    assert found[-1]["generated_text"] == said(found) == " é 😀"


def test_the_events_of_a_text(tokenizer: HfTokenizer) -> None:
    *tokens, last = events(writes(tokenizer), Writer(tokenizer), "The cat sat.")
    assert [event["index"] for event in tokens] == [1, 2, 3, 4]
    assert [event["token"]["text"] for event in tokens] == ["The", " cat", " sat", "."]
    assert [tokenizer.token(event["token"]["id"]) for event in tokens] == ["▁The", "▁cat", "▁sat", "."]
    assert all(event["generated_text"] is event["details"] is None for event in tokens)
    assert last == {
        "index": 5,
        "token": {"id": -1, "text": "", "logprob": None, "special": True},
        "generated_text": "The cat sat.",
        "details": {"finish_reason": "eos_token", "generated_tokens": 4, "prompt_tokens": 5, "seed": None},
    }


@pytest.mark.parametrize("parameters", [{"num_beams": 2}, {"clean_up_tokenization_spaces": True}])
def test_an_answer_that_is_searched_or_cleaned_comes_at_once(
    tokenizer: HfTokenizer, parameters: dict[str, object]
) -> None:
    found = events(writes(tokenizer), Writer(tokenizer), "The cat sat.", **parameters)
    assert [event["token"]["text"] for event in found] == ["The cat sat.", ""]
    assert found[0]["token"]["id"] == -1


def test_spaces_are_cleaned_up_where_asked_for(bytewise: HfTokenizer) -> None:
    task, engine = writes(bytewise), Writer(bytewise)
    text = "Is n't it so ? He 's here , I 'm sure ."
    assert whole(task, engine, text)[0]["generated_text"] == text
    cleaned = whole(task, engine, text, clean_up_tokenization_spaces=True)
    assert cleaned == [{"generated_text": "Isn't it so? He's here, I'm sure."}]


def test_an_answer_that_is_too_long_is_cut_and_told_of(tokenizer: HfTokenizer) -> None:
    task, engine = writes(tokenizer, generation={"num_beams": 1, "max_length": 4}), Writer(tokenizer)
    assert events(task, engine, "The cat sat on the mat.")[-1]["details"]["finish_reason"] == "length"
    assert notes.warnings == ["the answer was cut at the 3 tokens that the model answers at most"]
    notes.clear()
    for beams in (1, 2):
        last = events(task, engine, "The cat sat on the mat.", max_new_tokens=2, num_beams=beams)[-1]
        assert (last["generated_text"], last["details"]["finish_reason"]) == ("The cat", "length")
    assert not notes.warnings


def test_a_forced_end_counts_as_a_cut(tokenizer: HfTokenizer) -> None:
    task = writes(tokenizer, generation={**GREEDY, "forced_eos_token_id": 2})
    engine = Writer(tokenizer, lambda ids: ids[:3])
    assert (
        events(task, engine, "The cat sat on the mat.", max_new_tokens=4)[-1]["details"]["finish_reason"]
        == "length"
    )


def test_a_longer_text_than_the_model_takes_is_refused_or_cut(tokenizer: HfTokenizer) -> None:
    task, engine = writes(tokenizer, max_length=5), Writer(tokenizer)
    with pytest.raises(InvalidInput, match="more than the 5 tokens the model takes"):
        whole(task, engine, "The cat sat on the mat.")
    assert whole(task, engine, "The cat sat on the mat.", truncation=True) == [
        {"generated_text": "The cat sat on"}
    ]
    assert notes.warnings == ["the text has 8 tokens, the model takes 5: the rest was left out"]


def test_a_prefix_and_forced_tokens(tokenizer: HfTokenizer) -> None:
    forced = tokenizer.id("__fr__")
    task = writes(
        tokenizer, prefix="one: ", max_length=9, generation={**GREEDY, "forced_bos_token_id": forced}
    )
    engine = Writer(tokenizer, lambda ids: ids[3:])
    assert whole(task, engine, "The cat sat.") == [{"generated_text": "The cat sat."}]
    ((source, prefix, search),) = engine.asked
    assert tokenizer.decode(source) == "one: The cat sat."
    assert (prefix, search.max_tokens) == ([forced], 38)
    with pytest.raises(InvalidInput, match="more than the 9 tokens"):
        whole(task, engine, "The cat sat on a mat.")


def test_a_token_that_bundle_json_names_and_the_tokenizer_lacks(tokenizer: HfTokenizer) -> None:
    task = writes(tokenizer, source={"begin": [], "end": ["</end>"]})
    with pytest.raises(BundleError, match="no token '</end>'"):
        whole(task, Writer(tokenizer), "The cat.")


def test_several_answers_of_a_search(tokenizer: HfTokenizer) -> None:
    task, engine = writes(tokenizer), Writer(tokenizer)
    asked = {"num_beams": 3, "num_return_sequences": 2}
    both = [{"generated_text": "The cat sat."}, {"generated_text": "The cat sat"}]
    assert whole(task, engine, "The cat sat.", **asked) == both
    assert whole(task, engine, ["The cat sat."], **asked) == [both]
    last = events(task, engine, "The cat sat.", **asked)[-1]
    assert last["generated_text"] == "The cat sat."
    assert last["details"]["best_of_sequences"] == [{"generated_text": "The cat sat"}]


def test_what_is_drawn_depends_on_the_seed_alone(tokenizer: HfTokenizer) -> None:
    task, engine = writes(tokenizer), Writer(tokenizer)
    first = whole(task, engine, "The cat sat on the mat.", do_sample=True, seed=3)
    assert first == whole(task, engine, "The cat sat on the mat.", temperature=1.0, seed=3)
    assert first != whole(task, engine, "The cat sat on the mat.", do_sample=True, seed=4)
    free = events(task, engine, "The cat sat on the mat.", do_sample=True)[-1]["details"]["seed"]
    assert engine.asked[-1][2].seed == free


@pytest.mark.parametrize(
    ("inputs", "parameters", "message"),
    [
        (3, {}, "inputs must be a string or a list of strings"),
        (["a", 1], {}, r"inputs\[1\] must be a string"),
        ("a", {"beams": 2}, "no parameter 'beams'"),
        ("a", {"num_beams": 2, "do_sample": True}, "contradict"),
        (["a"], {"continuation": "x"}, "a continuation belongs to one text"),
        ("a", {"continuation": "x"}, "'continuation' is not one that an answer came with"),
    ],
)
def test_what_is_refused(
    tokenizer: HfTokenizer, inputs: object, parameters: dict[str, object], message: str
) -> None:
    with pytest.raises(InvalidInput, match=message):
        whole(writes(tokenizer), Writer(tokenizer), inputs, **parameters)


def test_whoever_leaves_ends_the_engines_work(tokenizer: HfTokenizer) -> None:
    task, engine = writes(tokenizer), Writer(tokenizer)
    items, _, checked = task.check("The cat sat on the mat.", {})
    with contextlib.closing(task.stream(engine, items[0], checked, Clock().deadline(9))) as stream:
        next(stream)
        next(stream)
    assert engine.closed == 1
    assert notes.counts["generated_tokens"] == 2


# Deadlines and continuations.


def test_an_answer_that_is_cut_says_so_and_goes_on(tokenizer: HfTokenizer) -> None:
    clock = Clock()
    task, engine = translates(tokenizer), Writer(tokenizer, clock=clock, step=1.0)
    (first,) = whole(task, engine, TEXT, clock.deadline(20.5))
    details = first["details"]
    assert first["translation_text"] == TEXT[: len(first["translation_text"])]
    assert (details["finish_reason"], details["deadline"]) == ("length", True)
    assert details["parts"]["done"] < details["parts"]["of"]
    ((start, end),) = details["parts"]["missing"]
    assert TEXT[start:].startswith('"The mat sat,"')
    assert end == len(TEXT.rstrip())
    assert any("the time was up when 3 of " in warning for warning in notes.warnings)
    (rest,) = whole(task, engine, TEXT, continuation=details["continuation"])
    assert rest == {"translation_text": TEXT[len(first["translation_text"]) :]}


WAYS = st.sampled_from(
    [{}, {"num_beams": 2}, {"do_sample": True, "seed": 3}, {"clean_up_tokenization_spaces": True}, {"max_length": 25},
     {"num_beams": 3, "num_return_sequences": 2}, {"min_length": 30}]
)  # fmt: skip


@hypothesis.settings(
    max_examples=examples(60), suppress_health_check=[hypothesis.HealthCheck.function_scoped_fixture]
)
@hypothesis.given(
    parameters=WAYS,
    times=st.lists(st.tuples(st.integers(1, 60), st.booleans()), min_size=1, max_size=6),
    text=st.lists(
        st.sampled_from(
            ["The cat sat. ", "A dog!\n\n", "It was late, and we sat on a mat, 😀 and a dog. ", " "]
        ),
        max_size=7,
    ),
    units=st.sampled_from(["ids", "tokens"]),
)
def test_answers_that_go_on_are_the_one_that_was_not_cut(
    tokenizer: HfTokenizer,
    parameters: dict[str, object],
    times: list[tuple[int, bool]],
    text: list[str],
    units: str,
) -> None:
    task, item = translates(tokenizer), "".join(text)
    expected = whole(task, Writer(tokenizer, units=units), item, **parameters)
    clock = Clock()
    engine = Writer(tokenizer, units=units, clock=clock, step=1.0)
    answers = whole(task, engine, item, clock.deadline(times[0][0]), live=times[0][1], **parameters)
    texts, seen = [answer["translation_text"] for answer in answers], 1
    while "continuation" in answers[0].get("details", ()):
        # Searches cannot be left in their middle; each call but the last ones has time for less.
        seconds, live = times[seen] if seen < len(times) else (500, False)
        asked = {**parameters, "continuation": answers[0]["details"]["continuation"]}
        answers = whole(task, engine, item, clock.deadline(seconds), live=live, **asked)
        texts = [before + answer["translation_text"] for before, answer in zip(texts, answers, strict=True)]
        seen += 1
    assert texts == [answer["translation_text"] for answer in expected]


def test_streamed_text_is_the_whole_text_also_when_it_goes_on(bytewise: HfTokenizer) -> None:
    text = "Été. 😀😀 ok! é, é, é"
    task = translates(bytewise, max_length=14)
    clock = Clock()
    engine, found, asked = Writer(bytewise, clock=clock, step=1.0), "", {}
    for _ in range(40):
        pieces = events(task, engine, text, clock.deadline(2), **asked)
        assert said(pieces) == pieces[-1]["generated_text"]
        found += said(pieces)
        if "continuation" not in pieces[-1]["details"]:
            break
        asked = {"continuation": pieces[-1]["details"]["continuation"]}
    assert found == text


def test_what_is_drawn_without_a_seed_goes_on_from_its_tokens(tokenizer: HfTokenizer) -> None:
    class Seedless(Writer):
        """It draws otherwise each time."""

        def _whole(self, source, prefix, search):  # type: ignore[no-untyped-def]
            search.seed = len(self.asked)
            return super()._whole(source, prefix, search)

    clock = Clock()
    task, engine = translates(tokenizer), Seedless(tokenizer, clock=clock, step=1.0)
    text = "The cat sat on the mat and we went home"
    (first,) = whole(task, engine, text, clock.deadline(4.5), do_sample=True)
    (rest,) = whole(task, engine, text, do_sample=True, continuation=first["details"]["continuation"])
    assert len(engine.asked) == 3
    assert tokenizer.decode(engine.asked[-1][1]) == first["translation_text"]
    assert rest["translation_text"].startswith(" ")


def test_a_part_that_would_take_too_long_is_not_begun(tokenizer: HfTokenizer) -> None:
    class Slow(Writer):
        """A search that does not look at the time."""

        def search(self, source, prefix, search, deadline):  # type: ignore[no-untyped-def]
            found = super().search(source, prefix, search, clock.deadline(1e9))
            deadline.at -= 0.2
            return found

    clock = Clock()
    engine = Slow(tokenizer, clock=clock, step=0.01)
    task = translates(tokenizer)
    item = "The cat sat. " * 30
    (answer,) = whole(task, engine, item, clock.deadline(2.0), num_beams=2)
    assert 1 <= answer["details"]["parts"]["done"] < 30


def test_max_time_ends_an_answer(tokenizer: HfTokenizer) -> None:
    clock = Clock()
    task, engine = translates(tokenizer), Writer(tokenizer, clock=clock, step=1.0)
    assert "continuation" in whole(task, engine, TEXT, clock.deadline(500), max_time=9.0)[0]["details"]
    assert "details" not in whole(task, engine, TEXT, clock.deadline(500), max_time=400.0)[0]


@pytest.mark.parametrize(
    ("text", "parameters", "message"),
    [
        (TEXT + "A dog.", {}, "belongs to another prompt"),
        (TEXT, {"num_beams": 2}, "belongs to other parameters"),
    ],
)
def test_a_continuation_of_another_request(
    tokenizer: HfTokenizer, text: str, parameters: dict[str, object], message: str
) -> None:
    clock = Clock()
    engine = Writer(tokenizer, clock=clock, step=1.0)
    (cut,) = whole(translates(tokenizer), engine, TEXT, clock.deadline(9))
    token = cut["details"]["continuation"]
    with pytest.raises(InvalidInput, match=message):
        whole(translates(tokenizer), engine, text, continuation=token, **parameters)
    with pytest.raises(InvalidInput, match="belongs to another model"):
        whole(translates(tokenizer, max_length=17), engine, TEXT, continuation=token)


def test_a_continuation_with_tokens_of_no_model(tokenizer: HfTokenizer) -> None:
    task = translates(tokenizer)
    _, _, checked = task.check(TEXT, {})
    made = progress.Progress()
    made.units = [1 << 30]
    token = progress.sealed(bundle_of_task(task), TEXT, checked, 0, made)
    with pytest.raises(InvalidInput, match="tokens that this model does not have"):
        whole(task, Writer(tokenizer), TEXT, continuation=token)
    made.units, made.done = [], 99
    token = progress.sealed(bundle_of_task(task), TEXT, checked, 0, made)
    with pytest.raises(InvalidInput, match="not one of this task"):
        whole(task, Writer(tokenizer), TEXT, continuation=token)


def bundle_of_task(task: Translation) -> str:
    return task._bundle.digest


@hypothesis.given(
    st.lists(st.integers(0, 1 << 40), max_size=4),
    st.lists(st.lists(st.integers(0, 60_000), max_size=9), max_size=5),
    st.text(max_size=1).filter("\0".__ne__),
)
def test_progress_in_numbers(units: list[int], drafts: list[list[int]], last: str) -> None:
    made = Progress()
    made.done, made.total, made.last, made.units, made.drafts = 3, 70, last, units, drafts
    read = Progress.of(made.numbers())
    assert read is not None
    assert [getattr(read, name) for name in Progress.__slots__] == [
        getattr(made, name) for name in Progress.__slots__
    ]


@hypothesis.given(st.lists(st.integers(0, 1 << 22), max_size=12))
def test_numbers_that_are_no_progress(numbers: list[int]) -> None:
    read = Progress.of(numbers)
    assert read is None or read.numbers() == numbers


@hypothesis.given(
    st.lists(
        st.tuples(st.sampled_from([" ", "", "\n\n"]), st.lists(st.text("ab \n", max_size=3), max_size=4)),
        max_size=4,
    )
)
def test_answers_to_parts_are_joined_with_the_texts_separators(found: list[tuple[str, list[str]]]) -> None:
    joint, expected = Joint(False), ""
    for separator, answer in found:
        joint.begin(separator)
        for piece in answer:
            joint.add(piece)
        joint.end()
        text = "".join(answer).strip()
        expected += (" " if not separator and text and expected[-1:].strip() else separator) + text
    assert joint.text == expected


def test_a_starter_that_translates_also_makes_text_of_text() -> None:
    from firstlight import starters
    from firstlight.runtime import tasks
    from firstlight.runtime.bundle import Bundle

    bundle = Bundle.open(str(Path(starters.path("translate-en2fr"))))
    assert tasks.served(bundle) == ("translation", "text2text-generation")
