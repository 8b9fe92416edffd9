"""What normalizers make of each Unicode character, asked of the ``tokenizers`` library itself.

A character is *plain* when what becomes of it does not depend on plain neighbours: it joins no grapheme with them,
decomposition moves nothing past it, and composition takes nothing of it. Texts of plain characters are normalised
character by character; a text with any other is left to the library.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from typing import Any, NamedTuple

from tokenizers import Regex, Tokenizer, normalizers

from firstlight.build.wordpiece_characters import Characters
from firstlight.runtime.tokenizers.byte_words import KINDS
from firstlight.runtime.tokenizers.table import DROPPED, LIBRARY, MAPPED, SAME, SPACE

_SIZE = 256  # code points of a page
_PAGES = 0x1100
_SURROGATES = range(0xD8, 0xE0)  # pages; such text never arrives
_BETWEEN = "~"  # printable ASCII, which every normalizer keeps, and no part of a grapheme
# Letters of Hangul, vowels of Kirat Rai and halves of flags join each other.
_JOINING = frozenset(
    (
        *range(0x1100, 0x1200),
        *range(0xA960, 0xA980),
        *range(0xD7B0, 0xD800),
        *range(0x16D63, 0x16D6B),
        *range(0x1F1E6, 0x1F200),
    )
)
_IDEOGRAPHS = ((0x3400, 0x4DBF), (0x4E00, 0x9FFF), (0xAC00, 0xD7A3), (0x20000, 0x2A6DF))
"""Ideographs and whole syllables of Hangul, of which no grapheme has two."""

_USED = [page for page in range(0x400) if page not in _SURROGATES]
"""Planes 0 to 3; of others, a plane of tags and private characters, texts are left to the library."""

COMPOSING = ("NFC", "NFKC")
DECOMPOSING = ("NFD", "NFKD")
BY_CHARACTER = ("Precompiled", "Lowercase", "StripAccents", *COMPOSING, *DECOMPOSING)
"""Normalizers that are expressed as a table of characters."""


@lru_cache(maxsize=1)
def plain() -> frozenset[str]:
    """All characters that join no grapheme with other plain ones and are no combining marks."""
    count = _graphemes()
    found = [chr(code) for first, last in _IDEOGRAPHS for code in range(first, last + 1)]
    for page in _USED:
        if any(first <= page * _SIZE and page * _SIZE + 255 <= last for first, last in _IDEOGRAPHS):
            continue
        codes = range(page * _SIZE, page * _SIZE + _SIZE)
        apart = {*_JOINING, 0x0A, *map(ord, _marks("".join(map(chr, codes))))}
        letters = [chr(code) for code in codes if code not in apart]
        after = count("".join(f"a{letter}\n" for letter in letters)).split("\n")
        before = count("".join(f"{letter}a\n" for letter in letters)).split("\n")
        found += [letter for letter, *both in zip(letters, after, before) if both == ["!!", "!!"]]  # noqa: B905
    return frozenset([*found, "\0", "\n", "\r"])


_marks: Callable[[str], str] = normalizers.Replace(Regex(r"[^\p{M}\p{Cn}]"), "").normalize_str
"""The combining marks and the unassigned characters of a text, by the library's tables and not by Python's."""


def _graphemes() -> Callable[[str], str]:
    """What writes an exclamation mark for each grapheme that has one character of any size, and one of a byte.

    It is a charsmap (a trie of ``darts-clone``, then texts) with an entry for every first byte but that of a line feed:
    the library replaces a grapheme by the text of its shortest entry.
    """
    units = [0] * 1024
    units[0] = 256 << 10
    for byte in range(1, 256):
        if byte != 0x0A:
            units[256 + byte] = 768 << 10 | 1 << 8 | byte
            units[512 + byte] = 1 << 31
    charsmap = struct.pack("<I1024I", 4096, *units) + b"!\0"
    return normalizers.Precompiled(charsmap).normalize_str


class Run(NamedTuple):
    """A run of normalizers.

    Attributes:
        table: what becomes of each character.
        line_end: a carriage return with the line feed behind it becomes one space.
        described: a tokenizer.json with these normalizers and little else.
    """

    table: Characters
    line_end: bool
    described: str


def characters(steps: Sequence[Mapping[str, Any]]) -> Run:
    """What a run of normalizers does, each of a kind of ``BY_CHARACTER``."""
    return _characters(json.dumps(steps))


@lru_cache(maxsize=4)
def _characters(described: str) -> Run:
    steps = [(step["type"], _normalizer(step)) for step in json.loads(described)]
    known = plain()
    numbers: dict[bytes, int] = {}
    pages: list[int] = []
    mapped: dict[int, str] = {}
    first = _page(steps, 0, known)
    line_end = _line_end(steps, first)
    used, unused = set(_USED), bytes([LIBRARY]) * _SIZE
    for page in range(_PAGES):
        if page not in used:
            pages.append(numbers.setdefault(unused, len(numbers)))
            continue
        becomes = _page(steps, page, known) if page else first
        codes = range(page * _SIZE, page * _SIZE + _SIZE)
        classes = bytes(_kind(code, becomes.get(code)) for code in codes)
        mapped |= {code: becomes[code] or "" for code in codes if classes[code & 255] == MAPPED}
        pages.append(numbers.setdefault(classes, len(numbers)))
    table = Characters(pages, b"".join(numbers), mapped, [first.get(code) for code in range(128)])
    return Run(table, line_end, _alone({"type": "Sequence", "normalizers": json.loads(described)}))


def _page(
    steps: Sequence[tuple[str, Callable[[str], str]]], page: int, known: frozenset[str]
) -> dict[int, str | None]:
    """What becomes of the plain characters of a page."""
    codes = [code for code in range(page * _SIZE, page * _SIZE + _SIZE) if chr(code) in known]
    texts = [chr(code) for code in codes]
    whole = "".join(texts)
    if page and all(normalize(whole) == whole for _, normalize in steps):
        return dict(zip(codes, texts, strict=True))
    return dict(zip(codes, _becomes(steps, texts, known), strict=True))


def _line_end(steps: Sequence[tuple[str, Callable[[str], str]]], becomes: dict[int, str | None]) -> bool:
    """Whether a carriage return with its line feed is one space; without a rule for them it is left to the library."""
    found = "\r\n"
    for _, normalize in steps:
        found = normalize(f"a{found}a")[1:-1]
    if found == " " == becomes[0x20]:
        return True
    if found != f"{becomes[0x0D]}{becomes[0x0A]}":
        becomes[0x0D] = None
    return False


def _becomes(
    steps: Sequence[tuple[str, Callable[[str], str]]], codes: list[str], known: frozenset[str]
) -> list[str | None]:
    """What becomes of plain characters; None for those whose replacement is not plain where that matters."""
    found: list[str | None] = list(codes)
    for kind, normalize in steps:
        for index, text in enumerate(found):
            if text and text not in known and not _independent(kind, text, known):
                found[index] = None
        texts = _each(normalize, [text or "" for text in found])
        found = [None if old is None else new for old, new in zip(found, texts, strict=True)]
        if kind in COMPOSING:
            found = [text if text is None or set(text) <= known else None for text in found]
        elif kind in DECOMPOSING:
            found = [text if not text or not _marks(text[0]) else None for text in found]
    return found


def _independent(kind: str, text: str, known: frozenset[str]) -> bool:
    """Whether a step makes the same of a text wherever it stands."""
    if kind in ("Lowercase", "StripAccents"):
        return True
    return set(text) <= known


def _each(normalize: Callable[[str], str], texts: list[str]) -> list[str]:
    """What becomes of each of some texts."""
    if all(len(text) < 2 for text in texts) and _BETWEEN not in texts:
        found = normalize(_BETWEEN.join(texts)).split(_BETWEEN)
        if len(found) == len(texts):
            return found
    return [normalize(text) for text in texts]


def _kind(code: int, text: str | None) -> int:
    if text is None:
        return LIBRARY
    if text in ("", chr(code)):
        return SAME if text else DROPPED
    return SPACE if text == " " else MAPPED


def _normalizer(step: Mapping[str, Any]) -> Callable[[str], str]:
    """One step as the library has it."""
    made = Tokenizer.from_str(_alone(step)).normalizer
    if made is None:
        raise ValueError("the library made no normalizer")
    normalize: Callable[[str], str] = made.normalize_str
    return normalize


def _alone(normalizer: Mapping[str, Any]) -> str:
    """A tokenizer.json with a normalizer and little else."""
    model = {"type": "WordLevel", "vocab": {"": 0}, "unk_token": ""}
    return json.dumps({"version": "1.0", "added_tokens": [], "normalizer": normalizer, "model": model})


@lru_cache(maxsize=1)
def kinds() -> tuple[list[int], bytes]:
    """Pages of the kinds of characters in ``byte_words.KINDS``, as the library's expressions see them."""
    numbers: dict[bytes, int] = {}
    outside = [normalizers.Replace(Regex(rest), "").normalize_str for rest in (r"\P{L}", r"\P{N}", r"\S")]
    other = bytes([KINDS.index("O")]) * _SIZE
    used = set(_USED)
    pages = []
    for page in range(_PAGES):
        content = other
        if page in used:
            text = "".join(map(chr, range(page * _SIZE, page * _SIZE + _SIZE)))
            of = {character: kind for kind, left in enumerate(outside) for character in left(text)}
            content = bytes(of.get(character, other[0]) for character in text)
        pages.append(numbers.setdefault(content, len(numbers)))
    return pages, b"".join(numbers)
