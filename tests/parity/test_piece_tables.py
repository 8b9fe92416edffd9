"""Tables of the tokenizers that transformers itself saves (tests/clients has those that are made here)."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import encoder_models
import pytest
import seq2seq_models as small
import transformers
from piece_sides import BOTH, HARD, Sides

from firstlight.build import piece_table

SEQ2SEQ: dict[str, Callable[[Path], Any]] = {
    "t5": small.t5_tokenizer,
    "pegasus": small.pegasus_tokenizer,
    "mbart": lambda folder: small.fairseq_tokenizer(folder, "MBart"),
    "mbart50": lambda folder: small.fairseq_tokenizer(folder, "MBart50"),
    "nllb": lambda folder: small.fairseq_tokenizer(folder, "Nllb", kind="bpe"),
    "bart": small.bart_tokenizer,
}
ENCODERS = ("albert", "camembert", "deberta-v2", "roberta", "xlm-roberta")


def saved(folder: Path, name: str) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        if name in SEQ2SEQ:
            SEQ2SEQ[name](folder)
        else:
            encoder_models.tokenizer(folder, name, "now")
        fast: Any = transformers.AutoTokenizer.from_pretrained(folder, use_fast=True)
    fast.backend_tokenizer.save(str(folder / "tokenizer.json"))


@pytest.mark.parametrize("name", [*SEQ2SEQ, *ENCODERS])
def test_tokenizers_of_transformers_have_tables(tmp_path: Path, name: str) -> None:
    saved(tmp_path, name)
    assert piece_table.write_table(tmp_path / "tokenizer.json", tmp_path / "pieces.bin") in BOTH
    sides = Sides(tmp_path)
    for text in (*small.texts(), *HARD):
        sides.alike(text)
    for first, second in zip(small.FOREIGN, HARD, strict=False):
        sides.alike(first, second)
    assert sides.ours._library is None
