"""tokenizer.json made of the files older repositories have, against transformers' own tokenizers."""

from __future__ import annotations

from typing import Any

import encoder_models
import pytest
import seq2seq_models
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer

from firstlight.build.convert import tokenizer

OLDER = ("bert", "mpnet", "roberta", "albert", "camembert", "deberta-v2")
CASES = [(name, "now") for name in encoder_models.TOKENIZERS]
CASES += [(name, files) for name in OLDER for files in ("once", "bare")]


@pytest.fixture(scope="module", params=CASES, ids="-".join)
def sides(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """(transformers' tokenizer, ours)"""
    name, files = request.param
    folder = tmp_path_factory.mktemp("tokenizer")
    theirs = encoder_models.tokenizer(folder / "model", name, files)
    assert not (folder / "model" / "tokenizer.json").exists()
    (folder / "out").mkdir()
    tokenizer.write(folder / "model", folder / "out", encoder_models.TOKENIZERS[name][0])
    return theirs, Tokenizer.from_file(str(folder / "out" / "tokenizer.json"))


def test_ids_of_texts(sides: Any) -> None:
    theirs, ours = sides
    texts = seq2seq_models.texts()
    marked = [
        "[MASK] and <mask> here",
        "a<mask>b [MASK]c",
        "[CLS] [SEP] <s> </s>",
        "[E1] Bob [/E1]",
        "1,2,3, 10,",
    ]
    different = [text for text in [*texts, *marked] if ours.encode(text).ids != theirs(text)["input_ids"]]
    assert not different


def test_ids_of_pairs(sides: Any) -> None:
    theirs, ours = sides
    first, second = seq2seq_models.SENTENCES[:20], seq2seq_models.SENTENCES[20:40]
    for one, other in zip(first, second, strict=True):
        assert ours.encode(one, other).ids == theirs(one, other)["input_ids"]
        if "token_type_ids" in theirs.model_input_names:
            assert ours.encode(one, other).type_ids == theirs(one, other)["token_type_ids"]


def test_tokens_by_id(sides: Any) -> None:
    theirs, ours = sides
    assert ours.get_vocab(with_added_tokens=True) == theirs.get_vocab()


@settings(max_examples=100, deadline=None)
@given(text=st.text(max_size=60))
def test_ids_of_any_text(sides: Any, text: str) -> None:
    theirs, ours = sides
    assert ours.encode(text).ids == theirs(text)["input_ids"]
