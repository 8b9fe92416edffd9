"""The starters that ship: whole, described, and right about plain cases."""

from __future__ import annotations

import zlib
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from firstlight import starters
from firstlight.runtime.bundle import Bundle
from firstlight.runtime.errors import EndpointNotFound
from firstlight.runtime.model import Model

ENCODERS = ("embeddings", "lyrics", "qa", "sentiment")
WHEEL_BYTES, CODE_BYTES = 80_000_000, 1_000_000


@cache
def model(name: str) -> Model:
    return Model.load(starters.path(name), verify="hashes")


def ask(name: str, inputs: Any, **parameters: Any) -> Any:
    return model(name)(inputs, parameters)


def test_names() -> None:
    assert set(ENCODERS) <= set(starters.names())
    with pytest.raises(EndpointNotFound) as caught:
        starters.path("../runtime")
    assert "sentiment" in caught.value.hint


@pytest.mark.parametrize("name", ENCODERS)
def test_bundle_is_whole_and_described(name: str) -> None:
    folder = starters.path(name)
    bundle = Bundle.open(str(folder), verify="hashes")
    assert bundle.name == name
    assert bundle.parity["texts"] > 0
    assert bundle.source["licence"]
    assert bundle.tokenizer["kind"] == "wordpiece"
    listed = set(bundle.files) | {"bundle.json", "README.md", "NOTICE"}
    assert {file.name for file in folder.iterdir()} == listed
    card = (folder / "README.md").read_text(encoding="utf-8")
    for part in ("licence", "size", "## Measured", "## Limits", bundle.precision):
        assert part in card
    assert "$" not in card
    assert all(file.stat().st_mode & 0o777 == 0o644 for file in folder.iterdir())


def test_all_starters_fit_into_the_wheel() -> None:
    home = Path(starters.__file__).parent
    files = [file for file in home.rglob("*") if file.is_file()]
    assert sum(len(zlib.compress(file.read_bytes(), level=1)) for file in files) < WHEEL_BYTES - CODE_BYTES


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
