"""Writes the table that ``runtime.tokenizers.wordpiece`` maps, for the tokenizers it can express.

Those are the ones of BERT and its kin: BertNormalizer with clean_text, BertPreTokenizer, WordPiece, a template of
special tokens around the texts, and added tokens that are matched as they are. All others stay with the
``tokenizers`` library.
"""

from __future__ import annotations

import json
from itertools import accumulate, pairwise
from pathlib import Path
from struct import pack
from typing import Any

from tokenizers import Tokenizer

from firstlight.build.wordpiece_characters import Characters, characters
from firstlight.runtime.tokenizers.table import MAGIC, SECTIONS, VERSION

_NO_ID = -1
_MOST_TRIES = 64


def write_table(tokenizer_json: Path, out: Path) -> bool:
    """Write the table of a tokenizer.

    Args:
        tokenizer_json: the tokenizer as the ``tokenizers`` library saves it.
        out: the file to write.

    Returns:
        False, and no file, where the tokenizer has something that the table cannot express.
    """
    described = json.loads(Path(tokenizer_json).read_text(encoding="utf-8"))
    templates = _templates(described.get("post_processor"))
    found = _characters(described)
    if templates is None or found is None or not _plain(described):
        return False
    tokenizer = Tokenizer.from_file(str(tokenizer_json))
    vocabulary: dict[str, int] = described["model"]["vocab"]
    trie = _Trie({token.encode(): number for token, number in vocabulary.items() if token})
    facts = {
        "ascii": found.ascii,
        "unk": vocabulary[described["model"]["unk_token"]],
        "max_chars": described["model"]["max_input_chars_per_word"],
        "more": trie.node(described["model"]["continuing_subword_prefix"].encode()),
        "added": [[token["content"], token["id"]] for token in described["added_tokens"]],
        "special": [token["id"] for token in described["added_tokens"] if token["special"]],
        "decoder": _decoder(described.get("decoder")),
        **templates,
    }
    sections = {"facts": json.dumps(facts).encode(), **trie.sections(), **_names(tokenizer), **_mapped(found)}
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


def _templates(processor: dict[str, Any] | None) -> dict[str, Any] | None:
    """Special tokens and places of texts, as [ids or none for a text, type id], for one text and for two."""
    kind = (processor or {}).get("type")
    if processor is None or kind not in ("BertProcessing", "TemplateProcessing"):
        return None
    if kind == "BertProcessing":
        first, last = [processor["cls"][1]], [processor["sep"][1]]
        single: list[list[Any]] = [[first, 0], [None, 0], [last, 0]]
        return {"single": single, "pair": [*single, [None, 1], [last, 1]]}
    single = _pieces(processor, processor["single"])
    pair = _pieces(processor, processor["pair"])
    expressible = _texts(processor["single"]) == ["A"] and _texts(processor["pair"]) == ["A", "B"]
    return {"single": single, "pair": pair} if expressible else None


def _texts(template: list[dict[str, Any]]) -> list[str]:
    return [piece["Sequence"]["id"] for piece in template if "Sequence" in piece]


def _pieces(processor: dict[str, Any], template: list[dict[str, Any]]) -> list[list[Any]]:
    pieces: list[list[Any]] = []
    for piece in template:
        if "Sequence" in piece:
            pieces.append([None, piece["Sequence"]["type_id"]])
        else:
            special = piece["SpecialToken"]
            pieces.append([processor["special_tokens"][special["id"]]["ids"], special["type_id"]])
    return pieces


class _Trie:
    """A double array of a vocabulary, as bytes -> id; see ``runtime.tokenizers.table``."""

    def __init__(self, entries: dict[bytes, int]) -> None:
        self._words = sorted(entries)
        self._entries = entries
        self._base, self._check, self._ids = [0], bytearray(1), [_NO_ID]
        self._taken: set[int] = {0}  # bases; 0 is that of nodes without children
        self._free = 1  # no place below it is worth trying
        self._grow(1024)
        pending = [(0, len(self._words), 0, 0)]
        while pending:
            low, high, depth, node = pending.pop()
            pending += self._place(low, high, depth, node)
        self._trim(max(self._taken) + 257)

    def node(self, prefix: bytes) -> int:
        """The node of a prefix; one without children where no entry has it."""
        node = 0
        for byte in prefix:
            node = self._base[node] + byte
            if self._check[node] != byte:
                return len(self._base) - 1
        return node

    def sections(self) -> dict[str, bytes]:
        """The three arrays."""
        size = len(self._base)
        return {
            "base": pack(f"{size}I", *self._base),
            "check": bytes(self._check),
            "ids": pack(f"{size}i", *self._ids),
        }

    def _place(self, low: int, high: int, depth: int, node: int) -> list[tuple[int, int, int, int]]:
        """Give a node its id and its children their places; return the children."""
        if len(self._words[low]) == depth:
            self._ids[node] = self._entries[self._words[low]]
            low += 1
        starts: dict[int, int] = {}
        for index in range(low, high):
            starts.setdefault(self._words[index][depth], index)
        if not starts:
            return []
        base = self._base[node] = self._fitting(list(starts))
        self._taken.add(base)
        for label in starts:
            self._check[base + label] = label
        bounds = pairwise([*starts.values(), high])
        return [
            (first, end, depth + 1, base + label) for label, (first, end) in zip(starts, bounds, strict=True)
        ]

    def _fitting(self, labels: list[int]) -> int:
        """A base that is not taken and whose places for the labels are free."""
        first, tried = labels[0], 0
        place = self._check.find(0, max(self._free, first + 1))
        while place - first in self._taken or any(self._check[place - first + label] for label in labels):
            place = self._check.find(0, place + 1)
            tried += 1
            self._grow(place + 1024)
        if tried > _MOST_TRIES:  # what lies before is nearly full for such nodes
            self._free = place
        self._grow(place + 1024)
        return place - first

    def _trim(self, size: int) -> None:
        """Leave as many places as a walk can reach, the last of them unused."""
        self._grow(size)
        del self._base[size:], self._check[size:], self._ids[size:]

    def _grow(self, size: int) -> None:
        more = size - len(self._base)
        if more > 0:
            self._base += [0] * more
            self._check += bytes(more)
            self._ids += [_NO_ID] * more


def _names(tokenizer: Tokenizer) -> dict[str, bytes]:
    """The text of every id."""
    size = max(tokenizer.get_vocab(with_added_tokens=True).values()) + 1
    tokens = [(tokenizer.id_to_token(number) or "").encode() for number in range(size)]
    return {"starts": _bounds(tokens), "tokens": b"".join(tokens)}


def _mapped(found: Characters) -> dict[str, bytes]:
    codes = sorted(found.mapped)
    texts = [found.mapped[code].encode() for code in codes]
    return {
        "pages": pack(f"{len(found.pages)}H", *found.pages),
        "classes": found.classes,
        "mapped": pack(f"{len(codes)}I", *codes),
        "places": _bounds(texts),
        "texts": b"".join(texts),
    }


def _bounds(parts: list[bytes]) -> bytes:
    places = list(accumulate(map(len, parts), initial=0))
    return pack(f"{len(places)}I", *places)


def _joined(sections: dict[str, bytes]) -> bytes:
    """Header (magic, version, bounds of the sections) and the sections, each filled up with spaces to 4 bytes."""
    parts = [sections[name] + b" " * (-len(sections[name]) % 4) for name in SECTIONS]
    bounds = accumulate(map(len, parts), initial=4 * (3 + len(SECTIONS)))
    return pack(f"{3 + len(SECTIONS)}I", MAGIC, VERSION, *bounds) + b"".join(parts)
