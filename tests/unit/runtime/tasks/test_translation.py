from __future__ import annotations

import shutil
from pathlib import Path

import hypothesis
import pytest
from hypothesis import strategies as st

from firstlight import starters
from firstlight.build import bundle
from firstlight.runtime import notes, tasks
from firstlight.runtime.errors import EngineError, InvalidInput
from firstlight.runtime.model import Model
from firstlight.runtime.tasks.translation import Translation
from firstlight.runtime.tokenizers.hf import HfTokenizer

from .sequences import END, Writer, bundle_of, events, said, whole, words

GREEDY = {"num_beams": 1, "max_length": 40}
MANY = {"languages": {"en": "__en__", "fr": "__fr__"}, "source": {"begin": ["{src}"], "end": [END]}}


@pytest.fixture(scope="module")
def tokenizer(tmp_path_factory: pytest.TempPathFactory) -> HfTokenizer:
    return words(tmp_path_factory.mktemp("words"), "__fr__", "__en__")


def translates(tokenizer: HfTokenizer, **defaults: object) -> Translation:
    return Translation(
        bundle_of("translation", **{"max_length": 16, "generation": GREEDY} | defaults), tokenizer
    )


def pair(tokenizer: HfTokenizer, **defaults: object) -> Translation:
    return translates(tokenizer, src_lang="en", tgt_lang="fr", **defaults)


# Languages.


@pytest.mark.parametrize(
    "parameters",
    [{}, {"src_lang": "en_XX", "tgt_lang": "fr"}, {"tgt_lang": "fra_Latn"}, {"src_lang": "EN-gb"}],
)
def test_a_pair_may_be_named(tokenizer: HfTokenizer, parameters: dict[str, str]) -> None:
    engine = Writer(tokenizer)
    assert whole(pair(tokenizer), engine, "The cat sat.", **parameters) == [
        {"translation_text": "The cat sat."}
    ]
    assert engine.asked[0][1] == []


@pytest.mark.parametrize(
    ("defaults", "parameters", "message"),
    [
        (
            {"src_lang": "en", "tgt_lang": "fr"},
            {"tgt_lang": "de"},
            "'tgt_lang' is 'de', and this model's is 'fr'",
        ),
        (
            {"src_lang": "en", "tgt_lang": "fr"},
            {"src_lang": "fr"},
            "'src_lang' is 'fr', and this model's is 'en'",
        ),
        (MANY, {}, "translation needs the parameter 'src_lang'"),
        (MANY, {"src_lang": "en"}, "translation needs the parameter 'tgt_lang'"),
        (MANY, {"src_lang": "en", "tgt_lang": "de"}, "'tgt_lang' is 'de', which this model does not have"),
    ],
)
def test_languages_that_are_not_the_models(
    tokenizer: HfTokenizer, defaults: dict[str, object], parameters: dict[str, str], message: str
) -> None:
    with pytest.raises(InvalidInput, match=message):
        whole(translates(tokenizer, **defaults), Writer(tokenizer), "The cat.", **parameters)


@pytest.mark.parametrize("units", ["ids", "tokens"])
def test_a_model_of_many_languages_is_told_them(tokenizer: HfTokenizer, units: str) -> None:
    task, engine = translates(tokenizer, **MANY), Writer(tokenizer, lambda ids: ids[1:], units)
    answer = whole(task, engine, "The cat sat.", src_lang="eng_Latn", tgt_lang="fr_XX")
    assert answer == [{"translation_text": "The cat sat."}]
    ((source, prefix, search),) = engine.asked
    ids = [tokenizer.id(unit) if units == "tokens" else unit for unit in source]
    assert [tokenizer.token(one) for one in ids] == ["__en__", "▁The", "▁cat", "▁sat", ".", END]
    assert prefix == (["__fr__"] if units == "tokens" else [tokenizer.id("__fr__")])
    assert search.max_tokens == 38


def test_the_languages_may_be_the_bundles_choice(tokenizer: HfTokenizer) -> None:
    task, engine = translates(tokenizer, **MANY, src_lang="en", tgt_lang="fr"), Writer(tokenizer)
    whole(task, engine, "The cat sat.", tgt_lang="en")
    assert engine.asked[0][1] == [tokenizer.id("__en__")]


def test_a_target_that_is_told_in_the_source(tokenizer: HfTokenizer) -> None:
    defaults = {
        "languages": {"fra": "__fr__"},
        "source": {"begin": ["{tgt}"], "end": [END]},
        "src_lang": "en",
    }
    task, engine = translates(tokenizer, **defaults), Writer(tokenizer)
    whole(task, engine, "The cat sat.", tgt_lang="fr", src_lang="en")
    ((source, prefix, _),) = engine.asked
    assert (tokenizer.token(source[0]), prefix) == ("__fr__", [])
    with pytest.raises(InvalidInput, match="'src_lang' is 'de', and this model's is 'en'"):
        whole(task, engine, "The cat sat.", tgt_lang="fr", src_lang="de")


def test_a_pair_that_is_told_in_words(tokenizer: HfTokenizer) -> None:
    named = {
        "translation_en_to_fr": {"prefix": "on fr: ", "generation": {"max_length": 30}},
        "translation_en_to_de": {"prefix": "on de: "},
        "summarization": {"prefix": "on: "},
    }
    task, engine = translates(tokenizer, tasks=named, max_length=24), Writer(tokenizer)
    whole(task, engine, "The cat sat.", src_lang="en", tgt_lang="fr")
    ((source, _, search),) = engine.asked
    assert (tokenizer.decode(source), search.max_tokens) == ("on fr: The cat sat.", 29)
    with pytest.raises(InvalidInput, match="'tgt_lang' is 'it'") as raised:
        whole(task, engine, "The cat sat.", src_lang="en", tgt_lang="it")
    assert raised.value.hint == "near: de, fr"
    found = tasks.served(bundle_of("text2text-generation", tasks=named))
    assert found == ("text2text-generation", "translation", "summarization")


# Long texts.


def test_a_long_text_is_translated_sentence_by_sentence(tokenizer: HfTokenizer) -> None:
    text = "  The cat sat. A dog barked!\n\nIt was late, and we went home and sat on the mat and a dog barked.\n\t"
    task, engine = pair(tokenizer), Writer(tokenizer)
    assert whole(task, engine, text) == [{"translation_text": text}]
    asked = [tokenizer.decode(source) for source, _, _ in engine.asked]
    assert asked == [
        "The cat sat.",
        "A dog barked!",
        "It was late,",
        "and we went home and sat on the mat and a dog barked.",
    ]
    assert events(task, engine, text)[-1]["details"]["parts"] == {"done": 4, "of": 4, "missing": []}
    assert not notes.warnings


def test_marks_of_a_list_stay(tokenizer: HfTokenizer) -> None:
    text = "The cat sat:\n- A dog barked.\n  2. We went home.\n\n# It was late"
    engine = Writer(tokenizer, lambda _: tokenizer.encode("a dog").ids[:-1])
    (answer,) = whole(pair(tokenizer, max_length=10), engine, text)
    assert answer["translation_text"] == "a dog\n- a dog\n  2. a dog\n\n# a dog"


def test_a_text_that_fits_is_not_touched(tokenizer: HfTokenizer) -> None:
    task, engine = pair(tokenizer), Writer(tokenizer)
    assert whole(task, engine, " The cat sat.\n\nA dog! ") == [{"translation_text": "The cat sat. A dog!"}]
    assert len(engine.asked) == 1


def test_a_model_of_single_sentences_is_given_no_more(tokenizer: HfTokenizer) -> None:
    task, engine = pair(tokenizer, by_sentence=True), Writer(tokenizer)
    text = " The cat sat.\n\nA dog! "
    assert whole(task, engine, text) == [{"translation_text": text}]
    assert [tokenizer.decode(source) for source, _, _ in engine.asked] == ["The cat sat.", "A dog!"]


def test_a_text_whose_translation_might_not_fit_is_long(tokenizer: HfTokenizer) -> None:
    task, engine = (
        pair(tokenizer, max_length=64, generation={"num_beams": 1, "max_length": 13}),
        Writer(tokenizer),
    )
    text = "The cat sat. A dog barked! It was late."
    assert whole(task, engine, text) == [{"translation_text": text}]
    assert len(engine.asked) == 3
    whole(task, engine, text, max_length=60)
    assert len(engine.asked) == 4


def test_a_script_without_spaces(tokenizer: HfTokenizer) -> None:
    task = pair(tokenizer, max_length=10)
    text = "春が来た。花が咲く。これは本です。"
    engine = Writer(tokenizer)
    assert whole(task, engine, text) == [{"translation_text": text}]
    assert len(engine.asked) == 3
    english = Writer(tokenizer, lambda _: tokenizer.encode("A dog.").ids[:-1])
    assert whole(task, english, text) == [{"translation_text": "A dog. A dog. A dog."}]


@hypothesis.settings(suppress_health_check=[hypothesis.HealthCheck.function_scoped_fixture])
@hypothesis.given(
    st.lists(
        st.sampled_from(
            ["The cat sat. ", "a dog", "\n\n", ", ", "春が来た。", "It was late!", "x" * 30, " ", "…"]
        ),
        max_size=30,
    ),
    st.integers(6, 30),
    st.sampled_from([{}, {"num_beams": 2}]),
)
def test_nothing_is_left_out_and_streams_are_whole(
    tokenizer: HfTokenizer, pieces: list[str], limit: int, parameters: dict[str, int]
) -> None:
    text = "".join(pieces)
    task = pair(tokenizer, max_length=limit)
    notes.clear()
    found = events(task, Writer(tokenizer), text, **parameters)
    assert said(found) == found[-1]["generated_text"]
    assert said(found).split() == text.split() or "".join(said(found).split()) == "".join(text.split())
    assert not notes.warnings


def test_truncation_cuts_where_it_is_asked_for(tokenizer: HfTokenizer) -> None:
    task, engine = pair(tokenizer, max_length=6), Writer(tokenizer)
    text = "The cat sat. A dog barked!"
    assert whole(task, engine, text, truncation="only_first") == [{"translation_text": "The cat sat. A"}]
    assert notes.warnings == ["the text has 9 tokens, the model takes 6: the rest was left out"]
    assert whole(task, engine, text, truncation="do_not_truncate") == [{"translation_text": text}]


def test_bounds_are_of_the_whole_answer(tokenizer: HfTokenizer) -> None:
    task, engine = pair(tokenizer, max_length=8), Writer(tokenizer)
    text = "The cat sat. A dog barked! It was late. We went home."
    (answer,) = whole(task, engine, text, max_new_tokens=6)
    assert answer["translation_text"] == "The cat sat. A dog"
    assert answer["details"] == {
        "finish_reason": "length",
        "parts": {"done": 2, "of": 4, "missing": [[27, 53]]},
    }
    assert notes.warnings == ["max_length was reached when 2 of 4 parts were done: the rest was left out"]
    engine.asked.clear()
    whole(task, engine, text, min_new_tokens=20)
    assert [search.min_tokens for _, _, search in engine.asked] == [0, 0, 0, 8]


@pytest.mark.parametrize("text", ["", "  ", "\n\n"])
def test_white_space_is_not_translated(tokenizer: HfTokenizer, text: str) -> None:
    engine = Writer(tokenizer)
    assert whole(pair(tokenizer), engine, text) == [{"translation_text": text}]
    assert not engine.asked


def test_a_huge_text_is_read_in_bounded_parts(tokenizer: HfTokenizer) -> None:
    task = pair(tokenizer, max_length=64)

    class Silent(Writer):
        def stream(self, source, prefix, search, deadline):  # type: ignore[no-untyped-def]
            self.asked.append((len(source), prefix, search))
            return iter(())

    for text in ("The cat sat on the mat. " * 500, "x" * 9_000, " " * 90_000 + "a dog", "a,b" * 3_000):
        engine = Silent(tokenizer)
        found = events(task, engine, text)
        assert sum(size for size, _, _ in engine.asked) < 2 * len(text)
        assert max(size for size, _, _ in engine.asked) <= 64
        assert found[-1]["details"].get("parts", {"done": 1})["done"] == len(engine.asked)


# The starter.


@pytest.fixture(scope="module")
def translator() -> Model:
    return Model.load(starters.path("translate-en2fr"), verify="sizes")


def test_different_sentences_have_different_translations(translator: Model) -> None:
    answers = translator(["I love you.", "Where is the train station?", "She sleeps."], {})
    assert len({answer["translation_text"] for answer in answers}) == 3
    assert translator("I love you.", {}) == [answers[0]]
    assert [translator(text, {})[0] for text in ("Where is the train station?", "She sleeps.")] == answers[1:]


def test_the_languages_of_the_starter_may_be_named(translator: Model) -> None:
    asked = {"src_lang": "en_XX", "tgt_lang": "fr_XX", "num_beams": 1}
    named = translator("I love you.", asked)
    assert named == translator("I love you.", {"num_beams": 1}, task="translation_en_to_fr")
    with pytest.raises(InvalidInput, match="'tgt_lang' is 'de'"):
        translator("I love you.", {}, task="translation_en_to_de")


def test_the_length_asked_for_is_kept(translator: Model) -> None:
    (short,) = translator("Where is the train station?", {"max_length": 3})
    (long,) = translator("Where is the train station?", {})
    assert 0 < len(short["translation_text"]) < len(long["translation_text"])


def test_a_text_is_streamed_as_it_is_answered(translator: Model) -> None:
    text = "I love you. " * 3 + "\n\n" + "Where is the train station? " * 12
    for beams in (1, 2):
        found = list(translator.stream(text, {"num_beams": beams}))
        assert said(found) == found[-1]["generated_text"]
        assert translator(text, {"num_beams": beams}) == [{"translation_text": said(found)}]
        assert said(found).count("\n\n") == 1


def test_a_model_that_ctranslate2_cannot_read_is_an_engine_error(tmp_path: Path) -> None:
    folder = tmp_path / "broken"
    shutil.copytree(starters.path("translate-en2fr"), folder)
    (folder / "model.bin").write_bytes(b"not a model")
    facts = Model.load(starters.path("translate-en2fr"), verify="sizes").bundle
    meta = {
        "name": "broken", "task": facts.task, "engine": facts.engine, "precision": "int8", "model": facts.model,
        "labels": [], "defaults": facts.defaults, "source": facts.source, "parity": {},
    }  # fmt: skip
    bundle.write(folder, meta)
    with pytest.raises(EngineError, match="ctranslate2 cannot load"):
        Model.load(folder)
