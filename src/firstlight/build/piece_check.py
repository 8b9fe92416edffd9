"""Compares a table with the library it stands for."""

from __future__ import annotations

import random
from pathlib import Path
from tempfile import TemporaryDirectory

from firstlight.runtime.errors import FirstlightError
from firstlight.runtime.tokenizers.hf import HfTokenizer
from firstlight.runtime.tokenizers.pieces import Pieces

FIELDS = ("ids", "offsets", "word_ids", "type_ids", "sequence_ids")
# ruff: noqa: RUF001 - letters that look alike are what tokenizers are compared on
_TEXTS = (
    "", " ", "  two  spaces  ", "tabs\tand\nlines\r\nof  all\r kinds\n ", "\n\n  \n x", "▁▁a ▁ b▁",
    "été e\u0301 ﬁne ½ ①", "日本語です。 ＡＢｃ ｶﾞ", "한국어 \u1112\u1161\u11ab", "ه\u064eل ש\u05c1",
    "❤\ufe0f 👩\u200d👧 🇫🇷 👍🏽", "a\u200bb\u00adc\ufeffd\u200e", "\x00\x07\x1f\x85\xa0\u2028", "a\x00b\x01",
    "it's we'll I'd 'tis 'S ''", "12,345.67%  $9", "x" * 70, "ab" * 50, "中" * 40, "?!...  ---", "क्षि", "ที่นี่",
    "İıẞſΣς", "<s></s> <unk><pad> <mask> x<mask>  y", "What a lovely day.", "THE TRAIN leaves at 6:30, they said...",
    "Où est la gare ? L’été, ça va ; « bonjour ».", "Die Straße ist naß: 12,5 €.", "¿Dónde está? ¡Qué día!",
    "Быстрая лиса прыгает.", "今日は天気がいいですね。", "안녕하세요, 오늘 날씨가 좋네요.",
    "مرحبا كيف حالك اليوم؟", "שלום עולם",
)  # fmt: skip
_MIXTURES = 300


def agree(tokenizer_json: str, table: bytes) -> bool:
    """Whether the two give the same for some hundreds of texts: ids, offsets, numbers of words, and the text back.

    Args:
        tokenizer_json: its content.
        table: that of the table's file.
    """
    with TemporaryDirectory() as folder:
        described, mapped = Path(folder, "tokenizer.json"), Path(folder, "pieces.bin")
        described.write_text(tokenizer_json, encoding="utf-8")
        mapped.write_bytes(table)
        return _agree(described, mapped)


def _agree(described: Path, table: Path) -> bool:
    library = HfTokenizer(str(described))
    try:
        ours = Pieces(str(table), str(described))
        texts = [*_TEXTS, *_mixed(ours)]
        pairs = zip(texts[::9], texts[1::9], strict=False)
        return all(_same(ours, library, text) for text in texts) and all(
            _same(ours, library, *pair) for pair in pairs
        )
    except FirstlightError:
        return False


def _same(ours: Pieces, library: HfTokenizer, *texts: str) -> bool:
    found, expected = ours.encode(*texts), library.encode(*texts)
    if any(getattr(found, field) != getattr(expected, field) for field in FIELDS):
        return False
    ids = found.ids
    return all(
        ours.decode(part, skip) == library.decode(part, skip)
        for part in (ids, ids[2:])
        for skip in (True, False)
    )


def _mixed(ours: Pieces) -> list[str]:
    """Texts of tokens, with characters that ask for care between them."""
    draw = random.Random(0)  # noqa: S311 - the same texts every time
    between = ("", " ", "  ", "'", "\u00e9", "\n", "\u2581", "\u4e2d", "\t", "<")
    found = []
    for _ in range(_MIXTURES):
        numbers = [draw.randrange(ours.size) for _ in range(draw.randint(1, 12))]
        parts = [ours.token(number).replace("\u2581", " ").replace("\u0120", " ") for number in numbers]
        found.append("".join(part + draw.choice(between) for part in parts))
    return found
