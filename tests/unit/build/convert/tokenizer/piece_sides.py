"""Small tokenizers of every family, and the two that read each: a table's and the library's."""

# ruff: noqa: RUF001 - letters that look alike are what tokenizers are compared on
from __future__ import annotations

import atexit
import json
from collections.abc import Callable
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import small_pieces
from hypothesis import strategies as st
from tokenizers import ByteLevelBPETokenizer, Tokenizer

from firstlight.build import piece_check, piece_table
from firstlight.build.convert import tokenizer
from firstlight.runtime.tokenizers.hf import HfTokenizer
from firstlight.runtime.tokenizers.pieces import Pieces

T5 = {"pad_id": 0, "eos_id": 1, "unk_id": 2, "bos_id": -1}
BYTES = {"byte_fallback": True, "vocab_size": 400, "character_coverage": 0.99}


def t5(folder: Path, kind: str = "unigram", **more: Any) -> None:
    (folder / "spiece.model").write_bytes(small_pieces.trained(kind, **T5, **more))
    tokenizer.add(folder, folder, "t5")


def pegasus(folder: Path) -> None:
    (folder / "spiece.model").write_bytes(small_pieces.trained(**T5))
    tokenizer.add(folder, folder, "pegasus")


def fairseq(folder: Path, name: str, kind: str = "unigram") -> None:
    (folder / "sentencepiece.bpe.model").write_bytes(small_pieces.trained(kind))
    (folder / "tokenizer_config.json").write_text(json.dumps({"tokenizer_class": name}))
    tokenizer.add(folder, folder, "mbart")


def marian(folder: Path) -> None:
    small_pieces.marian(folder)
    tokenizer.add(folder, folder, "marian")


def encoder(folder: Path, kind: str, file: str, **more: Any) -> None:
    (folder / file).write_bytes(small_pieces.trained(**more))
    tokenizer.write(folder, folder, kind)


BRACKETS = {"user_defined_symbols": "[CLS],[SEP],[MASK]", "pad_id": 3}


def byte_level(folder: Path, kind: str) -> None:
    """GPT-2, or RoBERTa with an ``add_prefix_space`` of its own."""
    trained = ByteLevelBPETokenizer(add_prefix_space=kind == "prefixed")
    special = ["<s>", "<pad>", "</s>", "<unk>"]
    trained.train_from_iterator(
        small_pieces.SENTENCES, vocab_size=400, special_tokens=special, show_progress=False
    )
    trained.save_model(str(folder))
    (folder / "tokenizer_config.json").write_text(json.dumps({"add_prefix_space": kind == "prefixed"}))
    tokenizer.add(folder, folder, "gpt2" if kind == "gpt2" else "bart")


FAMILIES: dict[str, Callable[[Path], None]] = {
    "t5": t5,
    "t5-bpe": lambda folder: t5(folder, "bpe"),
    "t5-bytes": lambda folder: t5(folder, **BYTES),
    "t5-bpe-bytes": lambda folder: t5(folder, "bpe", **BYTES),
    "t5-crossing": lambda folder: t5(folder, split_by_whitespace=False),
    "t5-untrimmed": lambda folder: t5(folder, remove_extra_whitespaces=False),
    "t5-unprefixed": lambda folder: t5(folder, add_dummy_prefix=False),
    "t5-identity": lambda folder: t5(folder, normalization_rule_name="identity"),
    "pegasus": pegasus,
    "mbart": lambda folder: fairseq(folder, "MBartTokenizer"),
    "nllb": lambda folder: fairseq(folder, "NllbTokenizer", "bpe"),
    "marian": marian,
    "xlm-roberta": lambda folder: encoder(folder, "xlm-roberta", "sentencepiece.bpe.model"),
    "albert": lambda folder: encoder(folder, "albert", "spiece.model", **BRACKETS),
    "bart": lambda folder: byte_level(folder, "bart"),
    "prefixed": lambda folder: byte_level(folder, "prefixed"),
    "gpt2": lambda folder: byte_level(folder, "gpt2"),
}
_KEPT = TemporaryDirectory(prefix="firstlight-tests-")
atexit.register(_KEPT.cleanup)
BOTH = {"unigram", "bpe"}


@cache
def made(family: str) -> Path:
    folder = Path(_KEPT.name, family)
    folder.mkdir()
    FAMILIES[family](folder)
    assert piece_table.write_table(folder / "tokenizer.json", folder / "pieces.bin") in BOTH
    return folder


class Sides:
    """A tokenizer over a table, and the library's."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.table, file = folder / "pieces.bin", str(folder / "tokenizer.json")
        self.ours, self.library = Pieces(str(self.table), file), HfTokenizer(file)

    def alike(self, *texts: str) -> list[int]:
        found, expected = self.ours.encode(*texts), self.library.encode(*texts)
        for field in piece_check.FIELDS:
            assert getattr(found, field) == getattr(expected, field), (field, texts)
        for skip in (True, False):
            assert self.ours.decode(found.ids, skip) == self.library.decode(found.ids, skip)
        return found.ids


HARD = (
    *small_pieces.TEXTS, "\x00", "a\x00b\x1ec", "™\x1eg", "\x1e\x1fx", "\r", "a\r\nb\r\n", "\r\n\r\n x", "\n \n  a\n",
    "▁", "▁▁ ▁a▁", " ▁ a", "<unk>", "<s> </s><pad>", "a <mask> b<mask>", "  <mask>  <mask>x", "[MASK] [CLS]x[SEP]",
    "<extra_id_0>a<extra_id_1> >>fr<< x", "'s 't're ''ll  'd'", "a's  b'S", "x\u2028\u2029\u0085y",
    "\u3000a\xa0 \u2009b",    "9½²①٣", "ﬁﬂﷺ㎏",
    "İSTANBUL ẞ ΑΣ", "‘’“”…", "``x''", "e\u0301 a\u0308\u0301", "ä\u0301", "👩\u200d👩\u200d👧 ❤\ufe0f 🇫🇷🇩🇪 👍🏽",
    "क्षि हिन्दी", "ที่นี่", "\u05e9\u05c1 \u0647\u064e",
    "\u1112\u1161\u11ab 한 ㄱㅏ", "ｶﾞ ﾊﾟ", "\u202eabc\u202c", "a\u200bb\u200cc\u200dd\u2060e\ufeff",
    "\U000e0001\U000e0020x", "\U0010ffff\ue000",
    "\u0378\U0001fae9", "𝒜𝔅 𝟘𝟙", "x" * 300, "?!" * 60, " " * 90, "\n" * 30, "中" * 80, "ab cd " * 60,
)  # fmt: skip
WORDS = ("the", " the", "<mask>", "</s>", "<unk>", "  ", "day.")
letters = st.sampled_from(list("abcdehiLT01.,'!? \n\t▁é½中가ﬁ\x00\r\u3000\u0301\ufe0f😀"))
texts = st.one_of(
    st.text(max_size=40),
    st.lists(letters, max_size=30).map("".join),
    st.lists(
        st.one_of(letters, st.sampled_from(["the", " the", "<mask>", "</s>", "<unk>", "  "])), max_size=12
    ).map("".join),
)


def changed(family: str, change: Callable[[Tokenizer], object]) -> Tokenizer:
    found = Tokenizer.from_file(str(made(family) / "tokenizer.json"))
    change(found)
    return found


def set_to(name: str, value: Any) -> Callable[[Tokenizer], None]:
    return lambda found: setattr(found, name, value)
