import hypothesis
import pytest
from hypothesis import strategies as st

from firstlight import starters
from firstlight.runtime import notes
from firstlight.runtime.errors import InvalidInput
from firstlight.runtime.model import Model
from firstlight.runtime.tasks.summarization import sentences

TEXT = (
    "The library opened in 1902 beside the market. It was paid for by the weavers of the town. "
    "On the first day four hundred people took a book home. The roof leaked in 1911. "
    "A reading room for children was added after the war. Today the library lends music and films as well."
)


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


def test_an_unknown_parameter_is_named(encoder: Model) -> None:
    with pytest.raises(InvalidInput, match="no parameter 'words'"):
        encoder(TEXT, {"words": 10})


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("Dr. Grey came. He left.", ["Dr. Grey came.", "He left."]),
        ("Pi is 3.14 or so. Yes!", ["Pi is 3.14 or so.", "Yes!"]),
        ("春が来た。花が咲く。", ["春が来た。", "花が咲く。"]),
        ("A heading\n\nA text without an end", ["A heading", "A text without an end"]),
        ("   ", [""]),
    ],
)
def test_sentences(text: str, found: list[str]) -> None:
    assert sentences(text) == found


@hypothesis.given(st.text())
def test_no_letter_is_lost_or_added(text: str) -> None:
    assert "".join("".join(sentences(text)).split()) == "".join(text.split())
