"""``huggingface_hub.InferenceClient``, given nothing but the endpoint's URL."""

from __future__ import annotations

from typing import Any

import pytest
from huggingface_hub import InferenceClient
from huggingface_hub.errors import BadRequestError, HfHubHTTPError

from serving import Server

CONTEXT = "The lantern was found in the old boat house by Clara, a mile north of the harbour."


def client_of(server: Server, name: str, token: str | None = None) -> InferenceClient:
    return InferenceClient(f"{server.url}/models/{name}", token=token or "none", timeout=60)


def test_text_classification(server: Server) -> None:
    answer = client_of(server, "sentiment").text_classification("what a lovely day")
    assert [found.label for found in answer] == ["POSITIVE", "NEGATIVE"]
    assert answer[0].score > 0.5
    assert sum(found.score for found in answer) == pytest.approx(1, abs=1e-4)


def test_text_classification_with_parameters(server: Server) -> None:
    answer = client_of(server, "sentiment").text_classification("what a lovely day", top_k=1)
    assert [found.label for found in answer] == ["POSITIVE"]


def test_question_answering(server: Server) -> None:
    client = client_of(server, "qa")
    answer: Any = client.question_answering(question="Who found the lantern?", context=CONTEXT)
    assert answer.answer == "Clara"
    assert CONTEXT[answer.start : answer.end] == "Clara"
    several: Any = client.question_answering(question="Who found the lantern?", context=CONTEXT, top_k=3)
    assert several[0].answer == "Clara"
    assert 1 < len(several) <= 3


def test_feature_extraction(server: Server) -> None:
    client = client_of(server, "embeddings")
    one: Any = client.feature_extraction("a lamp in the window")
    two: Any = client.feature_extraction(["a lamp in the window", "bread"], normalize=True)
    assert one.shape[-1] == two.shape[-1] > 100
    assert two.shape[0] == 2
    assert one.reshape(-1)[:5].tolist() == pytest.approx(two[0].reshape(-1)[:5].tolist(), abs=1e-5)


@pytest.mark.parametrize("path", ["embeddings", "embeddings/pipeline/sentence-similarity"])
def test_sentence_similarity(server: Server, path: str) -> None:
    client = client_of(server, path)
    near, far = client.sentence_similarity(
        "a ship at sea", other_sentences=["a boat on the ocean", "fresh bread"]
    )
    assert near > far


@pytest.mark.parametrize("path", ["embeddings", "embeddings/pipeline/zero-shot-classification"])
def test_zero_shot_classification(server: Server, path: str) -> None:
    text = "The goalkeeper saved the last shot of the match."
    answer = client_of(server, path).zero_shot_classification(text, candidate_labels=["cooking", "sport"])
    assert [found.label for found in answer] == ["sport", "cooking"]


def test_bad_inputs_raise_what_the_client_knows(server: Server) -> None:
    client = client_of(server, "qa")
    with pytest.raises(BadRequestError, match="context"):
        client.question_answering(question="who?", context="")


def test_an_unknown_model(server: Server) -> None:
    with pytest.raises(HfHubHTTPError, match="there is no endpoint 'nope'") as raised:
        client_of(server, "nope").text_classification("x")
    assert raised.value.response.status_code == 404


def test_the_token(guarded: Server) -> None:
    assert client_of(guarded, "sentiment", "s3cret").text_classification("fine")
    with pytest.raises(HfHubHTTPError) as raised:
        client_of(guarded, "sentiment", "wrong").text_classification("fine")
    assert raised.value.response.status_code == 401
