"""Folders in CTranslate2's format: the same answers as the bundle they were taken from."""

from __future__ import annotations

import json
from pathlib import Path

import numpy_models as small
import pytest

from firstlight.build.convert import ct2
from firstlight.build.convert.ct2 import ready
from firstlight.runtime.bundle import Bundle
from firstlight.runtime.errors import ConversionError
from firstlight.runtime.model import Model

ASKED = {"max_new_tokens": 6}


@pytest.fixture
def original(tmp_path: Path) -> Path:
    """A bundle made here."""
    small.words(small.like_bart("bart").save(tmp_path / "model"))
    return ct2.convert(tmp_path / "model", tmp_path / "original", precision="int8")


@pytest.fixture
def folder(original: Path, tmp_path: Path) -> Path:
    """The same as ct2-transformers-converter would leave it, with the tokenizer beside it."""
    place = tmp_path / "folder"
    place.mkdir()
    for name in ("model.bin", "config.json", "shared_vocabulary.json", "tokenizer.json"):
        (place / name).write_bytes((original / name).read_bytes())
    (place / "README.md").write_text("---\npipeline_tag: summarization\nlicense: mit\n---\n")
    return place


def test_the_same_answers(original: Path, folder: Path, tmp_path: Path) -> None:
    made = Bundle.open(str(ready.convert(folder, tmp_path / "out")), verify="hashes")
    assert (made.task, made.engine, made.precision) == ("summarization", "ctranslate2", "int8")
    assert made.source == {"licence": "mit"}
    assert made.files["model.bin"] == Bundle.open(str(original)).files["model.bin"]
    texts = [
        Model.load(place, task="text2text-generation")("w1 w2 w3", ASKED) for place in (original, made.path)
    ]
    assert texts[0] == texts[1]


def test_the_config_of_the_original_model_in_the_place_of_ctranslate2s(folder: Path, tmp_path: Path) -> None:
    config = {"model_type": "bart", "num_hidden_layers": 2, "decoder_start_token_id": 3, "bos_token": None}
    (folder / "config.json").write_text(json.dumps(config))
    out = ready.convert(folder, tmp_path / "out")
    assert json.loads((out / "config.json").read_text()) == {
        "add_source_bos": False,
        "add_source_eos": False,
        "bos_token": "<s>",
        "decoder_start_token": json.loads((folder / "shared_vocabulary.json").read_text())[3],
        "eos_token": "</s>",
        "unk_token": "<unk>",
    }


def test_a_marian_is_told_by_its_tokenizer_and_never_says_its_padding(folder: Path, tmp_path: Path) -> None:
    (folder / "README.md").unlink()
    (folder / "tokenizer_config.json").write_text(json.dumps({"tokenizer_class": "MarianTokenizer"}))
    made = Bundle.open(str(ready.convert(folder, tmp_path / "out")))
    assert (made.task, made.model["never"]) == ("translation", [["<pad>"]])
    assert Model.load(made.path)("w1 w2 w3", ASKED)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda folder: (folder / "shared_vocabulary.json").unlink(), "no shared_vocabulary.json"),
        (lambda folder: (folder / "shared_vocabulary.json").write_text("{}"), "not a list of tokens"),
        (lambda folder: small.words(folder, ["</s>", "<unk>", "<pad>", *"abcdefg"]), "not the model's"),
        (lambda folder: (folder / "model.bin").write_bytes(b"\x06\0\0\0"), "not a model of CTranslate2"),
        (lambda folder: (folder / "model.bin").write_bytes(b"\x04\0\0\0"), "version 4"),
        (lambda folder: (folder / "model.bin").write_bytes(b"\x06\0\0\0\x0c\0WhisperSpec\0"), "holds a WhisperSpec"),
        (lambda folder: cut(folder / "model.bin"), "not a model of CTranslate2"),
        (lambda folder: renamed(folder / "model.bin"), "cannot run"),
    ],
)  # fmt: skip
def test_what_is_damaged_is_said(folder: Path, tmp_path: Path, change, said: str) -> None:
    change(folder)
    with pytest.raises(ConversionError, match=said):
        ready.convert(folder, tmp_path / "out")
    assert not (tmp_path / "out" / "bundle.json").exists()


def test_another_precision_is_refused(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(ConversionError, match="is int8 and cannot become fp32"):
        ready.convert(folder, tmp_path / "out", precision="fp32")


def cut(file: Path) -> None:
    file.write_bytes(file.read_bytes()[:-5000])


def renamed(file: Path) -> None:
    """A tensor the library looks for has another name."""
    file.write_bytes(
        file.read_bytes().replace(
            b"encoder/layer_0/ffn/linear_0/weight\0", b"encoder/layer_9/ffn/linear_0/weight\0"
        )
    )
