"""Writes the table that ``runtime.tokenizers.wordpiece`` maps, for the tokenizers it can express.

Those are the ones of BERT and its kin: BertNormalizer with clean_text, BertPreTokenizer, WordPiece, a template of
special tokens around the texts, and added tokens that are matched as they are. All others stay with the
``tokenizers`` library.
"""

from __future__ import annotations

import json
from itertools import accumulate
from pathlib import Path
from struct import pack
from typing import Any

from tokenizers import Tokenizer

from firstlight.build.table_parts import character_sections, texts_of, token_texts
from firstlight.build.templates import templates
from firstlight.build.trie import Trie
from firstlight.build.wordpiece_characters import Characters, characters
from firstlight.runtime.tokenizers.table import MAGIC, SECTIONS, VERSION


def write_table(tokenizer_json: Path, out: Path) -> bool:
    """Write the table of a tokenizer.

    Args:
        tokenizer_json: the tokenizer as the ``tokenizers`` library saves it.
        out: the file to write.

    Returns:
        False, and no file, where the tokenizer has something that the table cannot express.
    """
    described = json.loads(Path(tokenizer_json).read_text(encoding="utf-8"))
    around = templates(described.get("post_processor"))
    found = _characters(described)
    if around is None or found is None or not _plain(described):
        return False
    tokenizer = Tokenizer.from_file(str(tokenizer_json))
    vocabulary: dict[str, int] = described["model"]["vocab"]
    trie = Trie({token.encode(): number for token, number in vocabulary.items() if token})
    facts = {
        "ascii": found.ascii,
        "unk": vocabulary[described["model"]["unk_token"]],
        "max_chars": described["model"]["max_input_chars_per_word"],
        "more": trie.node(described["model"]["continuing_subword_prefix"].encode()),
        "added": [[token["content"], token["id"]] for token in described["added_tokens"]],
        "special": [token["id"] for token in described["added_tokens"] if token["special"]],
        "decoder": _decoder(described.get("decoder")),
        **around,
    }
    sections = {
        "facts": json.dumps(facts).encode(),
        **trie.sections(),
        **token_texts(texts_of(tokenizer)),
        **character_sections(found),
    }
    out.write_bytes(_joined(sections))
    return True


def _plain(described: dict[str, Any]) -> bool:
    """Whether model, splitting and added tokens are of the kind the table knows."""
    model = described["model"]
    if (
        model.get("type") != "WordPiece"
        or (described.get("pre_tokenizer") or {}).get("type") != "BertPreTokenizer"
    ):
        return False
    flags = ("single_word", "lstrip", "rstrip", "normalized")
    added = described.get("added_tokens", [])
    simple = all(token["content"] and not any(token[flag] for flag in flags) for token in added)
    return simple and model["unk_token"] in model["vocab"] and bool(model["continuing_subword_prefix"])


def _characters(described: dict[str, Any]) -> Characters | None:
    normalizer = described.get("normalizer") or {}
    if normalizer.get("type") != "BertNormalizer" or not normalizer["clean_text"]:
        return None
    flags = ("clean_text", "handle_chinese_chars", "strip_accents", "lowercase")
    return characters(*(normalizer[flag] for flag in flags))


def _decoder(decoder: dict[str, Any] | None) -> dict[str, Any] | None:
    """How ids become text; None where the library has to say."""
    if decoder is None or decoder.get("type") != "WordPiece":
        return None
    return {"prefix": decoder["prefix"], "cleanup": decoder["cleanup"]}


def _joined(sections: dict[str, bytes]) -> bytes:
    """Header (magic, version, bounds of the sections) and the sections, each filled up with spaces to 4 bytes."""
    parts = [sections[name] + b" " * (-len(sections[name]) % 4) for name in SECTIONS]
    bounds = accumulate(map(len, parts), initial=4 * (3 + len(SECTIONS)))
    return pack(f"{3 + len(SECTIONS)}I", MAGIC, VERSION, *bounds) + b"".join(parts)
