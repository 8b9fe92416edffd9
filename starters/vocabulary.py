"""Cutting a WordPiece vocabulary down to the pieces a domain uses, before the model is fine-tuned on it.

Word embeddings are half of a small encoder's weight, most of them rows of words a starter never meets. A
word whose piece is dropped is spelt with shorter pieces instead, down to single characters, so nothing
becomes [UNK]. Cut first and trained afterwards, the model learns to read the new spelling.
"""

from __future__ import annotations

import copy
import json
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

from tokenizers import Tokenizer

CONTINUATION = "##"


def plain(tokenizer_json: dict[str, Any]) -> Tokenizer:
    """The tokenizer without the padding and truncation its file asks for: both are the caller's to choose."""
    tokenizer = Tokenizer.from_str(json.dumps(tokenizer_json))
    tokenizer.no_padding()
    tokenizer.no_truncation()
    return tokenizer


def count_pieces(tokenizer: Tokenizer, texts: Iterable[str]) -> Counter[int]:
    """How often each piece occurs in some texts."""
    counts: Counter[int] = Counter()
    for encoding in tokenizer.encode_batch(list(texts), add_special_tokens=False):
        counts.update(encoding.ids)
    return counts


def choose(tokenizer_json: dict[str, Any], counts: Counter[int], size: int) -> list[int]:
    """The identifiers to keep, in their old order: special tokens, all single characters, the commonest."""
    vocabulary: dict[str, int] = tokenizer_json["model"]["vocab"]
    kept = {token["id"] for token in tokenizer_json["added_tokens"]}
    kept |= {index for piece, index in vocabulary.items() if len(piece.removeprefix(CONTINUATION)) == 1}
    # Ties go to the lower identifier: WordPiece numbers its pieces from the commonest to the rarest.
    for index in sorted(vocabulary.values(), key=lambda index: (-counts[index], index)):
        if len(kept) >= size:
            break
        kept.add(index)
    return sorted(kept)


def cut(tokenizer_json: dict[str, Any], kept: Sequence[int]) -> dict[str, Any]:
    """A tokenizer of the kept pieces alone, numbered from 0 in the order given.

    Row ``i`` of the new embedding matrix is row ``kept[i]`` of the old one. Every place of the file that
    names an identifier is renumbered: the vocabulary, the added tokens, the post-processor and the padding.
    """
    result = copy.deepcopy(tokenizer_json)
    pieces = {index: piece for piece, index in tokenizer_json["model"]["vocab"].items()}
    renumbered = {pieces[old]: new for new, old in enumerate(kept)}
    result["model"]["vocab"] = renumbered
    for token in result["added_tokens"]:
        token["id"] = renumbered[token["content"]]
    renumber_post_processor(result.get("post_processor") or {}, renumbered)
    if result.get("padding"):
        result["padding"]["pad_id"] = renumbered[result["padding"]["pad_token"]]
    return result


def renumber_post_processor(post_processor: dict[str, Any], renumbered: dict[str, int]) -> None:
    """Renumber the special tokens of a TemplateProcessing or a BertProcessing, in place."""
    for token in post_processor.get("special_tokens", {}).values():
        token["ids"] = [renumbered[piece] for piece in token["tokens"]]
    for place in ("sep", "cls"):
        if place in post_processor:
            piece = post_processor[place][0]
            post_processor[place] = [piece, renumbered[piece]]


def unknown_share(tokenizer: Tokenizer, texts: Iterable[str]) -> float:
    """The share of pieces that are [UNK]."""
    encodings = tokenizer.encode_batch(list(texts), add_special_tokens=False)
    total = sum(len(encoding.tokens) for encoding in encodings)
    return sum(encoding.tokens.count("[UNK]") for encoding in encodings) / max(1, total)
