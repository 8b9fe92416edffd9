"""The starters that ship: whole, described, and right about plain cases."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from typing import Any

import pytest

from firstlight import starters
from firstlight.project import Endpoint
from firstlight.runtime.bundle import Bundle
from firstlight.runtime.errors import EndpointNotFound
from firstlight.runtime.model import Model

ENCODERS = ("embeddings", "lyrics", "qa", "sentiment")
GENERATING = ("stories", "translate-en2fr")
HEARING = ("speech",)
BORROWING = ("summarize",)


@cache
def model(name: str) -> Model:
    return Model.load(starters.path(name), verify="hashes", task=starters.task_of(f"starter:{name}"))


@pytest.fixture(scope="module", autouse=True)
def _closed() -> Iterator[None]:
    """Sessions end before the interpreter does."""
    yield
    model.cache_clear()


def ask(name: str, inputs: Any, **parameters: Any) -> Any:
    return model(name)(inputs, parameters)


def test_names() -> None:
    assert set(starters.names()) == {*ENCODERS, *GENERATING, *HEARING, *BORROWING}
    assert starters.names()[0] == "sentiment"
    with pytest.raises(EndpointNotFound) as caught:
        starters.path("../runtime")
    assert "sentiment" in caught.value.hint


@pytest.mark.parametrize("name", [*ENCODERS, *GENERATING, *HEARING])
def test_bundle_is_whole_and_described(name: str) -> None:
    folder = starters.path(name)
    bundle = Bundle.open(str(folder), verify="hashes")
    assert bundle.name == name
    assert bundle.source["licence"]
    listed = set(bundle.files) | {"bundle.json", "README.md", "NOTICE"}
    assert {file.name for file in folder.iterdir()} == listed
    assert bundle.precision in starters.card(name).read_text(encoding="utf-8")
    assert all(file.stat().st_mode & 0o777 == 0o644 for file in folder.iterdir())


@pytest.mark.parametrize("name", ENCODERS)
def test_an_encoder_was_compared_with_what_it_was_made_from(name: str) -> None:
    bundle = Bundle.open(str(starters.path(name)), verify="sizes")
    assert bundle.parity["texts"] > 0
    assert bundle.tokenizer["kind"] == "wordpiece"


@pytest.mark.parametrize("name", [*ENCODERS, *GENERATING, *HEARING, *BORROWING])
def test_card_says_what_it_is_and_what_takes_its_place(name: str) -> None:
    card = starters.card(name).read_text(encoding="utf-8")
    for part in (f"# {name}\n", "licence", "size", "## Measured", "## Limits", "## In its place"):
        assert part in card
    assert "$" not in card
    command = starters.replacement(name)
    assert f"```\n{command}\n```" in card
    if command.startswith("firstlight add "):
        assert f" --as {name} " in command
        assert command.endswith(" && firstlight serve")
    else:
        served = command.removeprefix("firstlight serve ")
        assert served == f"./{name}" or (served.startswith("hf:") and served.endswith(".gguf"))


def test_a_starter_that_borrows_its_bundle_is_told_its_task() -> None:
    assert starters.path("summarize") == starters.path("embeddings")
    assert starters.task_of("starter:summarize") == "summarization"
    assert {starters.task_of(model) for model in ("starter:qa", "starter:gone", "./summarize", None)} == {
        None
    }
    told = starters.with_task(Endpoint("short", model="starter:summarize"))
    assert told.task == "summarization"
    other = Endpoint("alike", model="starter:summarize", task="sentence-similarity")
    assert starters.with_task(other) == other


def test_summaries_are_extracts() -> None:
    text = "The river rises in the hills. It passes three mills on its way. It reaches the sea after ninety miles."
    (answer,) = ask("summarize", text)
    assert answer["summary_text"] in text


@pytest.mark.parametrize(
    ("english", "french"),
    [
        ("Hello", "Bonjour"),
        ("I love you.", "Je t'aime."),
        ("Where is the station?", "gare ?"),
        ("My brother bought a new car last week.", "voiture"),
        ("I don't know.", "sais pas"),
    ],
)
def test_translation(english: str, french: str) -> None:
    (answer,) = ask("translate-en2fr", english)
    assert french in answer["translation_text"]


TALE = "Once upon a time there was a king who had"


def test_a_story_goes_on_from_its_beginning() -> None:
    (answer,) = ask("stories", TALE, max_new_tokens=20, seed=1)
    told = answer["generated_text"]
    assert told.startswith(TALE)
    assert len(told.split()) > len(TALE.split()) + 5
    assert ask("stories", TALE, max_new_tokens=20, seed=1) == [answer]
    assert ask("stories", TALE, max_new_tokens=20, seed=2) != [answer]


def test_a_story_comes_in_pieces() -> None:
    events = list(model("stories").stream(TALE, {"max_new_tokens": 8, "seed": 1}))
    text = "".join(event["token"]["text"] for event in events)
    assert events[-1]["generated_text"] == text
    assert events[-1]["details"]["finish_reason"] == "length"
    assert len(events) > 4


@pytest.mark.parametrize(
    ("text", "label"),
    [
        ("What a lovely day, I enjoyed every minute of it.", "POSITIVE"),
        ("The food was cold and the waiter was rude.", "NEGATIVE"),
        ("An excellent film: funny, sad and beautifully acted.", "POSITIVE"),
        ("It broke after two days. A waste of money.", "NEGATIVE"),
    ],
)
def test_sentiment(text: str, label: str) -> None:
    (answer,) = ask("sentiment", text)
    assert answer["label"] == label
    assert answer["score"] > 0.75


@pytest.mark.parametrize(
    ("verse", "kind"),
    [
        ("Mary had a little lamb, / Its fleece was white as snow", "nursery_rhyme"),
        ("O praise the Lord, ye saints above, / And sing his everlasting love", "hymn"),
        ("O my Luve's like a red, red rose / That's newly sprung in June", "scots_song"),
    ],
)
def test_lyrics(verse: str, kind: str) -> None:
    (answer,) = ask("lyrics", verse)
    assert answer["label"] == kind


@pytest.mark.parametrize(
    ("question", "context", "answer"),
    [
        (
            "When was the church built?",
            "The church of Harrow was built in 1340 by monks from Dorset.",
            "1340",
        ),
        ("Where do I live?", "My name is Sarah and I live in London.", "London"),
    ],
)
def test_qa(question: str, context: str, answer: str) -> None:
    found = ask("qa", {"question": question, "context": context})
    assert found["answer"] == answer
    assert context[found["start"] : found["end"]] == answer


def test_embeddings_know_what_is_alike() -> None:
    near = model("embeddings")
    texts = [
        "A man is playing the guitar.",
        "Somebody plays a musical instrument.",
        "The bank closes at noon.",
    ]
    vectors = []
    for text in texts:
        (item,), _, parameters = near.task.check(text, {})
        prepared = near.task.preprocess(item, parameters)
        feeds = {name: value for name, value in prepared.feeds[0].items() if name in near.engine.inputs}
        vectors.append(list(near.engine.run(feeds, ["sentence_embedding"])[0].data))
    cosine = [sum(a * b for a, b in zip(vectors[0], other, strict=True)) for other in vectors]
    assert cosine[0] == pytest.approx(1, abs=1e-5)
    assert cosine[1] > cosine[2] + 0.2
