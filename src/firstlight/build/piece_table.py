"""Writes the table that ``runtime.tokenizers.pieces`` maps, for the tokenizers it can express.

Those are the ones of SentencePiece's models as ``convert.tokenizer`` and transformers write them (Unigram, and BPE over
characters), and byte-level BPE as GPT-2 has it. What a table says is compared with the ``tokenizers`` library on
hundreds of texts before it is kept; all other tokenizers stay with that library.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from struct import pack
from typing import Any
from zlib import crc32

from tokenizers import Tokenizer

from firstlight.build import piece_check, piece_rules
from firstlight.build.piece_characters import characters, kinds
from firstlight.build.table_parts import character_sections, texts_of, token_texts
from firstlight.build.trie import Trie
from firstlight.runtime.tokenizers.sections import HEADER, MAGIC, NAMES, VERSION, spelt


def write_table(tokenizer_json: Path, out: Path) -> str | None:
    """Write the table of a tokenizer.

    Args:
        tokenizer_json: the tokenizer as the ``tokenizers`` library saves it.
        out: the file to write.

    Returns:
        The kind of the tokenizer in bundle.json, ``unigram`` or ``bpe``; None, and no file, where it has something that
        the table cannot express.
    """
    found = _made(tokenizer_json.read_text(encoding="utf-8"))
    if found is None:
        return None
    out.write_bytes(found[1])
    return found[0]


@lru_cache(maxsize=2)
def _made(text: str) -> tuple[str, bytes] | None:
    """Kind and table of a tokenizer.json; a model is often converted to several precisions in one go."""
    try:
        tokenizer = Tokenizer.from_str(text)
    except Exception:  # tokenizers raises bare Exception; loading the bundle says what is wrong with the file
        return None
    described = json.loads(tokenizer.to_str())  # older forms of the file are brought to one
    steps = piece_rules.steps(described["normalizer"])
    split = piece_rules.split(described["pre_tokenizer"])
    model = piece_rules.model(described["model"])
    around = piece_rules.around(described["post_processor"])
    if steps is None or split is None or model is None or around is None:
        return None
    if split.get("scheme") == "first" and steps:  # what counts is where the first letter that is left stood
        return None
    added = piece_rules.added(described["added_tokens"], tokenizer.normalizer, split)
    facts, sections = model
    if added is None or (split["kind"] == "bytes" and facts.get("letters") is None):
        return None
    if split["kind"] == "bytes":
        pages, content = kinds()
        sections |= {"kind_pages": pack(f"{len(pages)}H", *pages), "kinds": content}
    elif "letters" in facts:
        facts["letters"] = None
    ascii_texts = _characters(steps, sections)
    whole = {
        "steps": steps,
        "split": split,
        "model": facts,
        "trim": around[1],
        "size": tokenizer.get_vocab_size(),
        "decoder": piece_rules.decoder(described["decoder"]),
        "byte_level": '"ByteLevel"' in json.dumps(described["decoder"]),
        "ascii": ascii_texts,
        **around[0],
        **added,
        **_special(described["added_tokens"], tokenizer),
    }
    table = packed(whole, sections | _vocabulary(described["model"], tokenizer))
    return (facts["kind"], table) if piece_check.agree(text, table) else None


def write_tokens(target_json: Path, out: Path) -> None:
    """Write the table of the tokens of an answer.

    Args:
        target_json: as ``convert.tokenizer.families.written`` has it.
        out: the file to write.
    """
    found = json.loads(target_json.read_text(encoding="utf-8"))
    tokens: list[str] = found["tokens"]
    first = found["first"]
    trie = Trie({spelt(token): number for number, token in enumerate(tokens, first) if token})
    facts = {"special": found["special"], "first": first, "shared": found["shared"]}
    out.write_bytes(packed(facts, {**trie.sections(), **token_texts(tokens)}))


def packed(facts: Mapping[str, Any], sections: Mapping[str, bytes]) -> bytes:
    """A file of sections; see ``runtime.tokenizers.sections``."""
    content = {"facts": json.dumps(facts).encode(), **sections}
    header, body = [], bytearray()
    for name in NAMES:
        part = content.get(name, b"")
        header += [4 * HEADER + len(body), len(part), crc32(part)]
        body += part + bytes(-len(part) % 8)
    return pack(f"{HEADER}I", MAGIC, VERSION, 4 * HEADER + len(body), *header) + body


def _vocabulary(model: Mapping[str, Any], tokenizer: Tokenizer) -> dict[str, bytes]:
    entries: Mapping[str, int] = (
        {text: number for number, (text, _) in enumerate(model["vocab"])}
        if model["type"] == "Unigram"
        else model["vocab"]
    )
    trie = Trie({spelt(text): number for text, number in entries.items() if text})
    return {**trie.sections(), **token_texts(texts_of(tokenizer))}


def _characters(steps: list[list[Any]], sections: dict[str, bytes]) -> Sequence[str | None]:
    """Put the table of the step that is a run of normalizers into the sections.

    Returns:
        What becomes of the first 128 characters.
    """
    for index, step in enumerate(steps):
        if step[0] == "run":
            run = characters(step[1])
            sections |= character_sections(run.table)
            sections["normalizer"] = run.described.encode()
            steps[index] = ["characters", run.line_end]
            return run.table.ascii
    return []


def _special(added: Sequence[Mapping[str, Any]], tokenizer: Tokenizer) -> dict[str, Any]:
    """Which ids are left out of decoded text, and the ids of added tokens by their text."""
    names = {token["content"] for token in added if token["special"]}
    texts = texts_of(tokenizer)
    return {
        "special": [number for number, text in enumerate(texts) if text in names],
        "marked": [token["id"] for token in added if token["special"]],
        "names": [[token["content"], token["id"]] for token in added],
    }
