from __future__ import annotations

import json
import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier

import pytest

from firstlight import starters
from firstlight.build import folders, forms
from firstlight.build.convert import encoder
from firstlight.build.resolve import resolve
from firstlight.build.types import Wish
from firstlight.runtime.bundle import Bundle
from firstlight.runtime.errors import ConversionError, EndpointNotFound, ProjectError
from firstlight.runtime.model import Model


def test_a_starter_is_its_folder(tmp_path: Path) -> None:
    assert resolve("starter:sentiment", tmp_path) == starters.path("sentiment")
    with pytest.raises(EndpointNotFound, match="nonsense"):
        resolve("starter:nonsense", tmp_path)


def test_a_model_folder_is_converted_once(model_folder: Path, cache: Path) -> None:
    first = resolve("./model", model_folder.parent)
    assert first.parent == cache
    stamp = (first / "bundle.json").stat()
    assert resolve(str(model_folder), Path("/")) == first
    assert (first / "bundle.json").stat() == stamp
    assert Bundle.open(str(first), verify="hashes").precision == "fp32"


def test_a_changed_model_is_another_bundle(model_folder: Path, cache: Path) -> None:
    first = resolve("model", model_folder.parent)
    config = json.loads((model_folder / "config.json").read_text())
    (model_folder / "config.json").write_text(
        json.dumps(config | {"problem_type": "multi_label_classification"})
    )
    second = resolve("model", model_folder.parent)
    weights = model_folder / "model.safetensors"
    os.utime(weights, ns=(0, 0))
    assert len({first, second, resolve("model", model_folder.parent)}) == 3


def test_precision_is_another_bundle(model_folder: Path, cache: Path) -> None:
    assert Bundle.open(str(resolve("model", model_folder.parent, precision="nb8"))).precision == "nb8"
    with pytest.raises(ConversionError, match="int3"):
        resolve("model", model_folder.parent, precision="int3")


def test_a_failed_conversion_leaves_nothing(model_folder: Path, cache: Path) -> None:
    (model_folder / "tokenizer.json").unlink()
    with pytest.raises(ConversionError):
        resolve("model", model_folder.parent)
    assert not cache.exists() or list(cache.iterdir()) == []


def test_what_a_killed_conversion_left_is_removed_after_a_day(model_folder: Path, cache: Path) -> None:
    old, running = cache / ".0123abcd-old", cache / ".0123abcd-running"
    for folder in (old, running):
        folder.mkdir(parents=True)
    os.utime(old, (0, 0))
    resolve("model", model_folder.parent)
    assert not old.exists()
    assert running.exists()


def test_a_damaged_bundle_is_made_again(model_folder: Path, cache: Path) -> None:
    place = resolve("model", model_folder.parent)
    (place / encoder.GRAPH).write_bytes(b"cut")
    assert resolve("model", model_folder.parent) == place
    Bundle.open(str(place), verify="hashes")


def test_two_at_once_agree(model_folder: Path, cache: Path) -> None:
    together = Barrier(4)

    def one() -> Path:
        together.wait(timeout=30)
        return resolve("model", model_folder.parent)

    with ThreadPoolExecutor(4) as threads:
        places = {future.result() for future in [threads.submit(one) for _ in range(4)]}
    (place,) = places
    Bundle.open(str(place), verify="hashes")
    assert {file.name for file in cache.iterdir()} == {place.name, f"{place.name}.made.json", "made"}


def test_a_bundle_folder_is_itself(model_folder: Path, tmp_path: Path) -> None:
    bundle = encoder.convert(model_folder, tmp_path / "bundle")
    assert resolve("bundle", tmp_path) == bundle
    assert resolve("bundle", tmp_path, task="sentiment-analysis") == bundle
    with pytest.raises(ProjectError, match="cannot become int8"):
        resolve("bundle", tmp_path, precision="int8")
    with pytest.raises(ProjectError, match="not for fill-mask"):
        resolve("bundle", tmp_path, task="fill-mask")
    with pytest.raises(ProjectError, match="no task"):
        resolve("bundle", tmp_path, task="mind-reading")


def test_the_same_weights_serve_another_task(tmp_path: Path) -> None:
    place = resolve("starter:embeddings", tmp_path, task="sentence-similarity")
    assert place == starters.path("embeddings")
    assert Bundle.open(str(place)).task == "feature-extraction"
    assert Model.load(place, task="sentence-similarity").task.name == "sentence-similarity"


def test_a_task_that_the_weights_do_not_serve_is_refused_before_a_worker_starts(tmp_path: Path) -> None:
    with pytest.raises(ProjectError, match="made for translation, not for summarization"):
        resolve("starter:translate-en2fr", tmp_path, task="summarization")


@pytest.mark.parametrize(
    ("model", "error", "said"),
    [
        ("hf:owner/name@main", ProjectError, "not in the cache"),
        ("owner/name", ProjectError, "there is no folder owner/name here, and .* not in the cache"),
        ("./nowhere", ProjectError, "no model at"),
        ("empty", ProjectError, "neither a model folder nor a bundle"),
        ("graph.onnx", ProjectError, "nothing says what graph.onnx is for"),
        ("notes.txt", ProjectError, "of a kind that is not known"),
        ("owner/name.gguf", ProjectError, "no model at"),
    ],
)
def test_what_is_not_a_model_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, model: str, error: type[Exception], said: str
) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "hub"))
    (tmp_path / "empty").mkdir()
    (tmp_path / "graph.onnx").write_bytes(b"")
    (tmp_path / "notes.txt").write_text("ggml")
    with pytest.raises(error, match=said):
        resolve(model, tmp_path)


def test_a_tokenizer_beside_an_old_file_is_part_of_its_state(tmp_path: Path) -> None:
    (tmp_path / "old.bin").write_bytes(b"tjgg")
    (tmp_path / "notes.md").write_text("mine")
    form = forms.of_file(tmp_path / "old.bin")
    assert form is not None
    before = form.state()
    (tmp_path / "notes.md").write_text("changed")
    assert form.state() == before
    (tmp_path / "tokenizer.json").write_text("{}")
    other = forms.of_file(tmp_path / "old.bin")
    assert other is not None
    assert other.state() != before


def test_a_repository_of_graphs_has_its_converter(tmp_path: Path) -> None:
    (tmp_path / "onnx").mkdir()
    (tmp_path / "config.json").write_text(
        json.dumps({"architectures": ["T5ForConditionalGeneration"], "model_type": "t5"})
    )
    for name in ("encoder_model", "decoder_model_merged"):
        (tmp_path / "onnx" / f"{name}.onnx").write_bytes(b"")
    form = folders.form(tmp_path, Wish("model"))
    assert form is not None
    assert form.converter == "firstlight.build.convert.onnx_seq2seq:convert"
    before = form.state()
    (tmp_path / "onnx" / "encoder_model.onnx").write_bytes(b"more")
    assert form.state() != before
    for name in ("model.safetensors", "tokenizer.json"):
        (tmp_path / name).write_bytes(b"")
    other = folders.form(tmp_path, Wish("model"))
    assert other is not None
    assert other.converter == "firstlight.build.convert.ct2:convert", "weights are preferred to graphs"
