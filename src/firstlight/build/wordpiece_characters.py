"""What a BERT normalizer and pre-tokenizer make of each Unicode character, asked of ``tokenizers`` itself.

Both work character by character, with one exception: canonical decomposition sorts combining marks. Marks that the
normalizer then removes do not matter; one that it keeps makes its text a case for the library.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import NamedTuple

from tokenizers import normalizers, pre_tokenizers

from firstlight.runtime.tokenizers.table import ALONE, DROPPED, HANGUL, LIBRARY, MAPPED, SAME, SPACE, hangul

_SIZE = 256  # code points of a page
_SURROGATES = range(0xD8, 0xE0)  # pages
# Planes 4 to 13 hold no characters and 15 and 16 only private ones: all of such a plane is as its first page is,
# but for the last, which ends with two code points that never will be characters.
_EMPTY_PLANES = (*range(4, 14), 15, 16)
_BETWEEN = "~"  # a character that normalizers keep and that ends a run of combining marks
# Marks that stay (general category Mc), one of a high and one of a low combining class: between them they move any.
_HIGH, _LOW = "\U0001d16d", "\u1b44"


class Characters(NamedTuple):
    """Classes of all characters: ``pages[code >> 8]`` numbers the page of ``classes`` that holds ``code & 255``.

    ``ascii`` has what becomes of the first 128, None for those that are left to the library.
    """

    pages: list[int]
    classes: bytes
    mapped: dict[int, str]
    ascii: Sequence[str | None]


@lru_cache(maxsize=8)
def characters(clean: bool, chinese: bool, accents: bool | None, lowercase: bool) -> Characters | None:
    """The table of one setting of BertNormalizer, with BertPreTokenizer.

    Returns:
        None where the library's normalizer does something that is not character by character.
    """
    normalize = normalizers.BertNormalizer(clean, chinese, accents, lowercase).normalize_str
    becomes = {page: _page(normalize, page) for page in range(0x1100) if _first_alike(page) == page}
    kinds = _Kinds(becomes)
    moved = _moved(normalize, becomes)
    if moved is None:
        return None
    plain = {page for page in becomes if page not in kinds.pages and _stays(page, becomes[page])}
    rendered = {
        page: texts if page in plain else list(map(kinds.rendered, texts)) for page, texts in becomes.items()
    }
    return _packed(rendered, moved, plain)


def _stays(page: int, texts: list[str]) -> bool:
    """Whether nothing on a page becomes something else."""
    return texts == _whole(page)


def _whole(page: int) -> list[str]:
    """All characters of a page; half pairs stand for themselves."""
    return list(map(chr, range(page * _SIZE, page * _SIZE + _SIZE)))


def _first_alike(page: int) -> int:
    """The first of the pages that are known to be as this one is."""
    if page in _SURROGATES:
        return _SURROGATES.start
    return page & ~0xFF if page >> 8 in _EMPTY_PLANES and page & 0xFF != 0xFF else page


def _page(normalize: Callable[[str], str], page: int) -> list[str]:
    """What becomes of each character of a page."""
    if page in _SURROGATES:  # half a pair is read as U+FFFD
        return [normalize("\ufffd")] * _SIZE
    whole = "".join(_whole(page))
    found = normalize(whole)
    if found in ("", whole):
        return [""] * _SIZE if not found else list(whole)
    texts = normalize(_BETWEEN.join(whole)).split(_BETWEEN)
    # The page of the separator itself has one part too many.
    return texts if len(texts) == _SIZE else [normalize(character) for character in whole]


class _Kinds:
    """Which characters of normalised text are spaces and which are words of their own.

    Attributes:
        pages: those that have any; text without one is cut nowhere, so most pages are seen to have none at once.
    """

    def __init__(self, becomes: dict[int, list[str]]) -> None:
        cut = pre_tokenizers.BertPreTokenizer().pre_tokenize_str
        joined = {page: "".join(texts).replace(" ", "") for page, texts in becomes.items()}
        self.pages = {page for page, text in joined.items() if len(cut(f"a{text}a")) != 1}
        characters = {character for page in self.pages for character in joined[page]}
        found = {piece for piece, _ in cut("a" + "a".join(characters) + "a")}
        self.alone = {piece for piece in found if len(piece) == 1 and piece != "a"}
        self.spaces = {" "} | characters - {character for piece in found for character in piece}

    def rendered(self, text: str) -> str:
        """A text with its words separated by single spaces, and a space at an end where a word may not go on."""
        parts = []
        for character in text:
            if character in self.spaces:
                parts.append(" ")
            else:
                parts.append(f" {character} " if character in self.alone else character)
        joined = "".join(parts)
        while "  " in joined:
            joined = joined.replace("  ", " ")
        return joined


def _moved(normalize: Callable[[str], str], becomes: dict[int, list[str]]) -> set[int] | None:
    """Characters that stay and that decomposition moves past another mark."""
    if normalize(_HIGH + _LOW) == _HIGH + _LOW:
        return set()  # no decomposition
    if normalize(_HIGH + _LOW) != _LOW + _HIGH:
        return None
    marks = {
        code: text
        for page, texts in becomes.items()
        if _orders(normalize, page, texts)
        for code, text in enumerate(texts, page * _SIZE)
        if text and unicodedata.category(chr(code)) in ("Mc", "Me", "Mn", "Cn")
    }
    before = normalize(_BETWEEN.join(_HIGH + chr(code) for code in marks)).split(_BETWEEN)
    after = normalize(_BETWEEN.join(chr(code) + _LOW for code in marks)).split(_BETWEEN)
    return {
        code
        for (code, text), high, low in zip(marks.items(), before, after, strict=True)
        if high != _HIGH + text or low != text + _LOW
    }


def _orders(normalize: Callable[[str], str], page: int, texts: list[str]) -> bool:
    """Whether a page may have a mark that is sorted: of one that stays as it is, a single look says if it has none."""
    if not _stays(page, texts):
        return True
    between = "".join([f"{_HIGH}{character}{_LOW}" for character in texts])
    return normalize(between) != between


def _packed(becomes: dict[int, list[str]], moved: set[int], plain: set[int]) -> Characters:
    numbers: dict[bytes, int] = {}
    pages: list[int] = []
    mapped: dict[int, str] = {}
    for page in range(0x1100):
        alike = _first_alike(page)
        if alike < page:
            pages.append(pages[alike])
            continue
        codes = range(page * _SIZE, page * _SIZE + _SIZE)
        if page in plain and moved.isdisjoint(codes):
            pages.append(numbers.setdefault(bytes([SAME]) * _SIZE, len(numbers)))
            continue
        classes = [LIBRARY if code in moved else _kind(code, becomes[page][code & 255]) for code in codes]
        mapped |= {code: becomes[page][code & 255] for code in codes if classes[code & 255] == MAPPED}
        pages.append(numbers.setdefault(bytes(classes), len(numbers)))
    return Characters(pages, b"".join(numbers), mapped, becomes[0][:128])


def _kind(code: int, text: str) -> int:
    character = chr(code)
    if text in ("", character):
        return SAME if text else DROPPED
    if text == " ":
        return SPACE
    if text == f" {character} ":
        return ALONE
    return HANGUL if 0xAC00 <= code <= 0xD7A3 and text == hangul(code) else MAPPED
