"""A repository of the local hub on its way to a bundle, and what the lock's entry changes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import random_bert

from firstlight.build import kept
from firstlight.build.resolve import make
from firstlight.build.types import Wish
from firstlight.runtime.bundle import Bundle
from firstlight.runtime.errors import ProjectError
from firstlight.testing.hub import Hub, local_hub

NAME = "someone/mood"


@pytest.fixture
def hub(tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    folder = tmp_path / "hub" / NAME
    random_bert.bert(folder)
    (folder / "README.md").write_text("---\nlicense: mit\npipeline_tag: text-classification\n---\n")
    monkeypatch.setenv("HF_HOME", str(tmp_path / "home"))
    with local_hub(tmp_path / "hub") as running:
        monkeypatch.setenv("HF_ENDPOINT", running.url)
        yield running


def test_a_name_becomes_a_bundle_that_says_where_it_is_from(hub: Hub, tmp_path: Path) -> None:
    made = make(Wish(f"hf:{NAME}"), tmp_path)
    bundle = Bundle.open(str(made.place), verify="hashes")
    commit = hub.commit(NAME, "main")
    assert bundle.name == "mood"
    assert bundle.source == {"repo": NAME, "revision": commit, "licence": "mit"}
    assert (made.revision, made.licence, made.task) == (commit, "mit", "text-classification")
    assert made.digest == bundle.digest
    assert {file.path for file in made.files} >= {"config.json", "model.safetensors", "tokenizer.json"}
    assert set(made.tools) >= {"firstlight", "numpy", "onnx"}


def test_it_is_made_once(hub: Hub, tmp_path: Path) -> None:
    first = make(Wish(NAME), tmp_path)
    hub.forget()
    again = make(Wish(f"hf:{NAME}"), tmp_path)
    assert replace(again, model=first.model) == first
    assert hub.sent(f"{NAME}/model.safetensors") == 0


def test_a_locked_one_is_taken_as_it_was(hub: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = make(Wish(f"hf:{NAME}"), tmp_path)
    config = tmp_path / "hub" / NAME / "config.json"
    config.write_text(config.read_text()[:-1] + ', "problem_type": "multi_label_classification"}')
    assert make(Wish(f"hf:{NAME}"), tmp_path).digest != first.digest
    assert make(Wish(f"hf:{NAME}"), tmp_path, locked=first).digest == first.digest
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    assert make(Wish(f"hf:{NAME}"), tmp_path, locked=first) == first


def test_what_is_remembered_of_a_bundle_is_what_was_made(hub: Hub, tmp_path: Path) -> None:
    made = make(Wish(f"hf:{NAME}"), tmp_path)
    assert kept.remembered(made.place) == made
    made.place.with_name(f"{made.place.name}.made.json").write_text("{")
    assert kept.remembered(made.place) is None
    assert make(Wish(f"hf:{NAME}"), tmp_path) == made


def test_a_file_that_is_not_there_is_answered_with_those_that_are(hub: Hub, tmp_path: Path) -> None:
    with pytest.raises(ProjectError, match=r"has no file other\.safetensors") as caught:
        make(Wish(f"hf:{NAME}/other.safetensors"), tmp_path)
    assert "model.safetensors" in caught.value.hint
