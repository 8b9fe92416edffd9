"""tokenizer.json made of SentencePiece files, and what reads it, against transformers' own tokenizers."""

from __future__ import annotations

import json
import random
import warnings
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import seq2seq_models as small

from firstlight.build.convert import tokenizer
from firstlight.runtime import tokenizers

CASES: dict[str, tuple[str, Callable[[Path], Any]]] = {
    "t5": ("t5", small.t5_tokenizer),
    "t5-bpe": ("t5", lambda folder: small.t5_tokenizer(folder, kind="bpe")),
    "t5-identity": ("t5", lambda folder: small.t5_tokenizer(folder, normalization="identity")),
    "t5-bytes": ("t5", lambda folder: small.t5_tokenizer(folder, byte_fallback=True, size=1200)),
    "t5-crossing": ("t5", lambda folder: small.t5_tokenizer(folder, split_by_whitespace=False)),
    "pegasus": ("pegasus", small.pegasus_tokenizer),
    "mbart": ("mbart", lambda folder: small.fairseq_tokenizer(folder, "MBart")),
    "mbart50": ("mbart", lambda folder: small.fairseq_tokenizer(folder, "MBart50")),
    "nllb": ("m2m_100", lambda folder: small.fairseq_tokenizer(folder, "Nllb", kind="bpe")),
    "m2m100": ("m2m_100", small.m2m100_tokenizer),
    "m2m100-missing": ("m2m_100", lambda folder: small.m2m100_tokenizer(folder, drop=60)),
    "marian": ("marian", small.marian_tokenizer),
    "marian-missing": ("marian", lambda folder: small.marian_tokenizer(folder, drop=60, codes=True)),
    "marian-bpe": ("marian", lambda folder: small.marian_tokenizer(folder, kind="bpe")),
    "marian-separate": ("marian", lambda folder: small.marian_tokenizer(folder, separate=True)),
    "bart": ("bart", small.bart_tokenizer),
}


@pytest.fixture(scope="module", params=CASES)
def sides(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """(name, transformers' tokenizer, ours as an engine that speaks ids has it, the tokens of answers by id)"""
    model_type, make = CASES[request.param]
    folder = tmp_path_factory.mktemp(request.param)
    theirs = make(folder)
    (folder / "config.json").write_text(json.dumps({"model_type": model_type}))
    (folder / "out").mkdir()
    made = tokenizer.add(folder, folder / "out", model_type, tokens=False)
    settings = made.settings or {"kind": "tokenizers"}
    bundle: Any = SimpleNamespace(tokenizer=settings, path="", file=lambda name: str(folder / "out" / name))
    return request.param, theirs, tokenizers.load(bundle), made.target


def test_ids_of_texts(sides: Any) -> None:
    name, theirs, ours, _ = sides
    texts = small.texts() + (
        [">>fr<< Hello there.", ">>de<<Wie geht es?"] if name == "marian-missing" else []
    )
    different = [text for text in texts if ours.encode(text).ids != theirs(text)["input_ids"]]
    assert not different


def test_tokens_by_id(sides: Any) -> None:
    name, theirs, _ours, target = sides
    if name == "marian-separate":
        expected = {number: token for token, number in theirs.target_encoder.items()}
    else:
        count = len(target) if name.startswith("m2m100") else len(theirs)
        expected = dict(enumerate(theirs.convert_ids_to_tokens(list(range(count)))))
    assert dict(enumerate(target)) == expected


def test_texts_of_ids(sides: Any) -> None:
    """Of what is said, not of any ids: a decoder that has to guess where bytes belong may guess otherwise."""
    name, theirs, ours, target = sides
    drawn = random.Random(3)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        side = "text_target" if name.startswith("marian") else "text"
        rows = [theirs(**{side: text})["input_ids"] for text in [*small.FOREIGN, *small.SENTENCES]]
    if not name.endswith("bytes") and name != "bart":
        rows += [[drawn.randrange(len(target)) for _ in range(12)] for _ in range(50)]
    for ids in rows:
        said = theirs.decode(ids, skip_special_tokens=True, clean_up_tokenization_spaces=False)
        assert ours.decode(ids).strip() == said.strip()
