"""From a name of the hub to an endpoint that answers, one command each, for models of the sizes people use.

The weights are random, the shapes are real: distilbert-base (sentiment, and lyrics with labels of its own), bert-base
(question answering), opus-mt-en-fr, distilbart-cnn-6-6. The hub is the local one, asked by the real huggingface_hub.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from firstlight.testing.hub import Hub, local_hub
from serving import Server

sys.path.append(str(Path(__file__).resolve().parents[2] / "benchmarks"))
import models
import sequence_models

LYRICS = ["ballad", "hymn", "nursery_rhyme"]
NAMES = {
    "sentiment": "distilbert/distilbert-base-uncased-finetuned-sst-2-english",
    "qa": "deepset/bert-base-cased-squad2",
    "translate": "Helsinki-NLP/opus-mt-en-fr",
    "summarize": "sshleifer/distilbart-cnn-6-6",
    "lyrics": "someone/lyrics-genre-distilbert",
}
CARD = "---\nlicense: apache-2.0\npipeline_tag: {}\n---\n# A model\n"


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hub]:
    folder = tmp_path_factory.mktemp("hub")
    models.distilbert_classifier(folder / NAMES["sentiment"])
    models.bert_question_answering(folder / NAMES["qa"])
    sequence_models.marian(folder / NAMES["translate"])
    sequence_models.bart(folder / NAMES["summarize"])
    _lyrics(folder / NAMES["lyrics"])
    for name, task in {
        "sentiment": "text-classification",
        "translate": "translation",
        "summarize": "summarization",
    }.items():
        (folder / NAMES[name] / "README.md").write_text(CARD.format(task))
    with local_hub(folder) as running:
        yield running


def _lyrics(folder: Path) -> None:
    """A classifier that somebody trained: labels of their own, half the layers."""
    models.distilbert_classifier(folder, layers=3)
    file, random = folder / "model.safetensors", np.random.default_rng(1)
    tensors = load_file(file)
    tensors["classifier.weight"] = random.normal(0, 0.02, (len(LYRICS), 768)).astype(np.float32)
    tensors["classifier.bias"] = np.zeros(len(LYRICS), np.float32)
    save_file(tensors, file, metadata={"format": "pt"})
    config = json.loads((folder / "config.json").read_text())
    config["id2label"] = {str(number): label for number, label in enumerate(LYRICS)}
    config["label2id"] = {label: number for number, label in enumerate(LYRICS)}
    (folder / "config.json").write_text(json.dumps(config))


@pytest.fixture(scope="module")
def environment(hub: Hub, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    home = tmp_path_factory.mktemp("home")
    kept = {
        key: value for key, value in os.environ.items() if not key.startswith(("HF_", "XDG_", "FIRSTLIGHT_"))
    }
    return kept | {"HF_ENDPOINT": hub.url, "HOME": str(home)}


@pytest.fixture(scope="module")
def project(environment: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project to which each model was added by its name alone."""
    folder = tmp_path_factory.mktemp("project")
    for endpoint, name in NAMES.items():
        said = _firstlight(folder, environment, "add", name, "--as", endpoint, "--json")
        assert json.loads(said)["endpoint"] == endpoint
    return folder


def _firstlight(folder: Path, environment: dict[str, str], *words: str) -> str:
    command = [sys.executable, "-m", "firstlight", *words]
    done = subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, timeout=300, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def server(project: Path, environment: dict[str, str]) -> Iterator[Server]:
    before = dict(os.environ)
    os.environ.update({"HF_ENDPOINT": environment["HF_ENDPOINT"], "HOME": environment["HOME"]})
    try:
        with Server(project) as running:
            yield running
    finally:
        os.environ.clear()
        os.environ.update(before)


def asked(server: Server, endpoint: str, body: dict[str, Any]) -> Any:
    url = f"{server.url}/2015-03-31/functions/{endpoint}/invocations"
    response = httpx.post(url, json=body, timeout=120).raise_for_status()
    assert "x-amz-function-error" not in response.headers, response.text
    return response.json()


def test_sentiment(server: Server) -> None:
    (found,) = asked(server, "sentiment", {"inputs": "what a lovely day"})
    assert found["label"] in ("POSITIVE", "NEGATIVE")
    assert 0.5 <= found["score"] <= 1


def test_lyrics_have_their_own_labels(server: Server) -> None:
    found = asked(server, "lyrics", {"inputs": "hey diddle diddle", "parameters": {"top_k": 3}})
    assert {one["label"] for one in found} == set(LYRICS)
    assert abs(sum(one["score"] for one in found) - 1) < 1e-4


def test_questions(server: Server) -> None:
    context = "Ada Lane built the bridge in 1871."
    found = asked(server, "qa", {"inputs": {"question": "Who built it?", "context": context}})
    assert found["answer"] == context[found["start"] : found["end"]]


def test_translation(server: Server) -> None:
    parameters = {"max_new_tokens": 8}
    (found,) = asked(server, "translate", {"inputs": "wobaba wepo jegubi", "parameters": parameters})
    assert found["translation_text"]


def test_summaries(server: Server) -> None:
    parameters = {"max_new_tokens": 8, "min_new_tokens": 4}
    (found,) = asked(server, "summarize", {"inputs": "a few words. " * 30, "parameters": parameters})
    assert "summary_text" in found


def test_the_lock_pins_what_was_taken(project: Path, hub: Hub, environment: dict[str, str]) -> None:
    lock = (project / "firstlight.lock").read_text()
    for name in NAMES.values():
        assert hub.commit(name, "main") in lock
    before = lock
    _firstlight(project, environment, "build", "--locked")
    _firstlight(project, environment, "verify")
    assert (project / "firstlight.lock").read_text() == before


def test_nothing_is_fetched_twice(hub: Hub, server: Server) -> None:
    for name in NAMES.values():
        assert len(hub.fetched(f"{name}/model.safetensors")) == 1
