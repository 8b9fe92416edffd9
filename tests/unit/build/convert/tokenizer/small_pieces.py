"""Small SentencePiece models trained on a few sentences, and the folders of models that use them."""

# ruff: noqa: RUF001 - letters that look alike are what tokenizers are compared on
from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

import sentencepiece

from firstlight.build.convert.sentences import SENTENCES

FRENCH = (
    "Le train part à six heures du quai numéro neuf.",
    "Où est la gare ? L’été, ça va ; « bonjour ».",
    "Elle a relu la lettre deux fois avant de la ranger.",
)
TEXTS = (
    *SENTENCES[:20], *FRENCH, "", " ", "  two  spaces  ", "tabs\tand\nlines", "café cafe\u0301 \ufb01ne ½",
    "日本語", "日本 語", "naïve Ωmega", "a\u3000b\u00a0c", "x" * 40, "12,5 %",
)  # fmt: skip


@cache
def trained(kind: str = "unigram", lines: str = "english", **more: Any) -> bytes:
    """The bytes of a model."""
    import io

    model = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(SENTENCES if lines == "english" else FRENCH * 8),
        model_writer=model,
        model_type=kind,
        minloglevel=2,
        num_threads=1,
        **({"vocab_size": 160 if lines == "english" else 70, "hard_vocab_limit": False} | more),
    )
    return model.getvalue()


def reference(content: bytes) -> sentencepiece.SentencePieceProcessor:
    """The library's own reading of a model."""
    return sentencepiece.SentencePieceProcessor(model_proto=content)


def marian(folder: Path, missing: int = 0, separate: bool = False) -> dict[str, int]:
    """A folder with two SentencePiece files; returns vocab.json."""
    folder.mkdir(parents=True, exist_ok=True)
    sides = []
    for name, lines in (("source.spm", "english"), ("target.spm", "french")):
        content = trained(lines=lines)
        (folder / name).write_bytes(content)
        model = reference(content)
        sides.append([model.id_to_piece(number) for number in range(3, model.get_piece_size() - missing)])
    known = sides[0] if separate else [*sides[0], *sides[1]]
    ids = {token: n for n, token in enumerate(dict.fromkeys(["</s>", "<unk>", ">>fr<<", *known, "<pad>"]))}
    (folder / "vocab.json").write_text(json.dumps(ids))
    (folder / "config.json").write_text(json.dumps({"model_type": "marian"}))
    if separate:
        other = dict.fromkeys(["</s>", "<unk>", *sides[1], "<pad>"])
        (folder / "target_vocab.json").write_text(json.dumps({token: n for n, token in enumerate(other)}))
        (folder / "tokenizer_config.json").write_text(json.dumps({"separate_vocabs": True}))
    return ids
