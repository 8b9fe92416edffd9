"""Sections that tables of tokens have in common; see ``runtime.tokenizers.table`` and ``.sections``."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate
from struct import pack

from tokenizers import Tokenizer

from firstlight.build.wordpiece_characters import Characters


def texts_of(tokenizer: Tokenizer) -> list[str]:
    """The text of every id; empty for one that has none."""
    size = max(tokenizer.get_vocab(with_added_tokens=True).values()) + 1
    return [tokenizer.id_to_token(number) or "" for number in range(size)]


def token_texts(texts: Sequence[str]) -> dict[str, bytes]:
    """Where the text of each id begins, and the texts."""
    tokens = [text.encode("utf-8", "replace") for text in texts]
    return {"starts": bounds(tokens), "tokens": b"".join(tokens)}


def character_sections(found: Characters) -> dict[str, bytes]:
    """What becomes of each character."""
    codes = sorted(found.mapped)
    texts = [found.mapped[code].encode() for code in codes]
    return {
        "pages": pack(f"{len(found.pages)}H", *found.pages),
        "classes": found.classes,
        "mapped": pack(f"{len(codes)}I", *codes),
        "places": bounds(texts),
        "texts": b"".join(texts),
    }


def bounds(parts: Sequence[bytes]) -> bytes:
    """Where each of some parts begins when they are put behind each other, and where the last ends."""
    places = list(accumulate(map(len, parts), initial=0))
    return pack(f"{len(places)}I", *places)
