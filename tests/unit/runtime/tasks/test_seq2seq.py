import shutil
from pathlib import Path

import pytest

from firstlight import starters
from firstlight.build import bundle
from firstlight.runtime import notes
from firstlight.runtime.errors import EngineError, InvalidInput
from firstlight.runtime.model import Model


@pytest.fixture(scope="module")
def translator() -> Model:
    return Model.load(starters.path("translate-en2fr"), verify="sizes")


def test_different_sentences_have_different_translations(translator: Model) -> None:
    answers = translator(["I love you.", "Where is the train station?", "She sleeps."], {})
    assert [answer["translation_text"] for answer in answers] == [
        "Je t'aime.",
        "Où se trouve la gare ?",
        "Elle dort.",
    ]


def test_a_single_text_is_answered_with_a_list(translator: Model) -> None:
    assert translator("I love you.", {}) == [{"translation_text": "Je t'aime."}]


def test_an_answer_does_not_depend_on_its_neighbours(translator: Model) -> None:
    texts = ["The cat sleeps on the chair.", "I love you.", "What time is it in the big house by the sea?"]
    assert translator(texts, {}) == [translator(text, {})[0] for text in texts]


def test_the_length_asked_for_is_kept(translator: Model) -> None:
    (short,) = translator("Where is the train station?", {"max_length": 2})
    assert 0 < len(short["translation_text"]) < len("Où se trouve la gare ?")


def test_what_does_not_fit_is_reported_or_refused(translator: Model) -> None:
    long = "The cat sleeps. " * 60
    notes.clear()
    translator(long, {"max_length": 4})
    assert any("was left out" in warning for warning in notes.warnings)
    with pytest.raises(InvalidInput, match="the model takes 128"):
        translator(long, {"truncation": False})


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"tgt_lang": "de_DE"}, "'tgt_lang' is 'de_DE'"),
        ({"do_sample": True}, "'do_sample' must be false"),
        ({"num_beams": 0}, "from 1 to 16"),
        ({"beams": 2}, "no parameter 'beams'"),
    ],
)
def test_what_the_model_cannot_do_is_refused(
    translator: Model, parameters: dict[str, object], message: str
) -> None:
    with pytest.raises(InvalidInput, match=message):
        translator("I love you.", parameters)


def test_the_languages_it_has_may_be_named(translator: Model) -> None:
    answer = translator("I love you.", {"src_lang": "en_XX", "tgt_lang": "fr_XX", "num_beams": 1})
    assert answer == [{"translation_text": "Je t'aime."}]


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
