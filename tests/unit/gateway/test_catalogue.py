from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from firstlight.gateway.catalogue import Catalogue, describe
from firstlight.project import Endpoint
from firstlight.runtime.errors import EndpointNotFound
from gateways import make_project


def bundle(folder: Path, **changes: object) -> Path:
    content = {
        "schema": 1,
        "name": "encoder",
        "task": "feature-extraction",
        "engine": "echo",
        "precision": "int8",
        "defaults": {"pooling": "mean"},
        "source": {"repo": "acme/encoder", "licence": "mit"},
        "files": {},
    }
    (folder / "bundle.json").write_text(json.dumps({**content, **changes}))
    return folder


def test_a_bundle_says_what_it_serves(tmp_path: Path) -> None:
    entry = describe(Endpoint("e", model="starter:e"), bundle(tmp_path))
    assert entry.task == "feature-extraction"
    assert {"sentence-similarity", "zero-shot-classification"} <= set(entry.tasks)
    assert (entry.source, entry.licence, entry.precision) == ("acme/encoder", "mit", "int8")
    assert len(entry.digest) == 64
    assert entry.created == int((tmp_path / "bundle.json").stat().st_mtime)
    assert entry.generation == {}


def test_a_bundle_says_how_its_model_generates(tmp_path: Path) -> None:
    own = {"temperature": 0.7, "do_sample": True}
    entry = describe(Endpoint("e", model="starter:e"), bundle(tmp_path, defaults={"generation": own}))
    assert entry.generation == own
    entry = describe(Endpoint("e", model="starter:e"), bundle(tmp_path, defaults={"generation": 5}))
    assert entry.generation == {}


def test_the_project_may_choose_another_task(tmp_path: Path) -> None:
    entry = describe(Endpoint("e", model="starter:e", task="sentence-similarity"), bundle(tmp_path))
    assert entry.task == entry.tasks[0] == "sentence-similarity"


@pytest.mark.parametrize("files", [{"model.onnx": {"size": 3, "sha256": "0" * 64}}, "x"])
def test_a_broken_bundle_is_a_note_and_no_error(tmp_path: Path, files: object) -> None:
    entry = describe(Endpoint("e", model="starter:e", task="ner"), bundle(tmp_path, files=files))
    assert entry.problem
    assert entry.task == "token-classification"


@pytest.mark.parametrize(
    ("model", "source"),
    [
        ("hf:acme/x@main", "acme/x"),
        ("acme/x", "acme/x"),
        ("./acme/x", ""),
        ("/acme/x", ""),
        ("starter:qa", ""),
        ("folder", ""),
    ],
)
def test_hub_ids(model: str, source: str) -> None:
    assert describe(Endpoint("e", model=model), None).source == source


def test_a_task_is_found_by_who_was_made_for_it_first(tmp_path: Path) -> None:
    project = make_project(tmp_path)
    catalogue = Catalogue(project, {"embeddings": bundle(tmp_path)})
    assert catalogue.of_task("zero-shot-classification").name == "zero"
    assert catalogue.of_task("sentence-similarity").name == "embeddings"


@given(st.text(max_size=300))
def test_every_unknown_name_has_an_explanation(name: str) -> None:
    catalogue = Catalogue(make_project(Path("/nowhere")), {})
    with pytest.raises(EndpointNotFound) as raised:
        catalogue.find("?" + name)
    assert "endpoints here: sentiment" in raised.value.hint
