from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest
import random_bert

from firstlight.build import bundle
from firstlight.runtime.bundle import Bundle
from firstlight.runtime.errors import ConversionError
from firstlight.runtime.tokenizers import load

META = {
    "name": "x",
    "task": "text-classification",
    "engine": "onnx",
    "precision": "fp32",
    "model": {},
    "labels": ["a"],
}


def test_files_are_listed_with_size_and_hash(tmp_path: Path) -> None:
    (tmp_path / "model.onnx").write_bytes(b"graph")
    (tmp_path / "README.md").write_text("a card is not part of the model")
    written = bundle.write(tmp_path, META)
    assert written.files == {"model.onnx": {"size": 5, "sha256": hashlib.sha256(b"graph").hexdigest()}}
    assert written.labels == ["a"]
    assert (tmp_path / "model.onnx").stat().st_mode & 0o777 == 0o644


def test_the_same_content_gives_the_same_bytes(tmp_path: Path) -> None:
    texts = []
    for order in (META, dict(reversed(META.items()))):
        bundle.write(tmp_path, order)
        texts.append((tmp_path / "bundle.json").read_bytes())
    assert texts[0] == texts[1]


def test_a_bert_tokenizer_becomes_a_table(tmp_path: Path) -> None:
    folder = random_bert.bert(tmp_path / "model")
    out = tmp_path / "bundle"
    out.mkdir()
    bundle.add_tokenizer(folder, out)
    written = bundle.write(out, META)
    assert written.tokenizer == {"kind": "wordpiece", "file": "tokenizer.json", "table": "wordpiece.bin"}
    encoding = load(Bundle.open(str(out))).encode("the day")
    assert encoding.ids == [2, random_bert.WORDS.index("the"), random_bert.WORDS.index("day"), 3]


def test_another_tokenizer_stays_with_the_library(tmp_path: Path) -> None:
    folder = random_bert.bert(tmp_path / "model")
    described = json.loads((folder / "tokenizer.json").read_text())
    described["pre_tokenizer"] = {"type": "Whitespace"}
    (folder / "tokenizer.json").write_text(json.dumps(described))
    out = tmp_path / "bundle"
    out.mkdir()
    bundle.add_tokenizer(folder, out)
    assert bundle.write(out, META).tokenizer == {"kind": "tokenizers", "file": "tokenizer.json"}


def test_a_broken_tokenizer_is_named(tmp_path: Path) -> None:
    (tmp_path / "tokenizer.json").write_text("{")
    with pytest.raises(ConversionError, match="is not JSON"):
        bundle.add_tokenizer(tmp_path, tmp_path)
