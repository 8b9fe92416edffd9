"""The fairy tales that the starter ``stories`` is trained on: four books of Andrew Lang, in the public domain.

The text of Project Gutenberg is cut into paragraphs and tales. A stretch of it is held out, one half to choose
the best moment of a training run by, the other to measure it; paragraphs with language that would offend
today are left out altogether.
"""

from __future__ import annotations

import gzip
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

BOOKS = {"503": "utf-8-sig", "540": "utf-8-sig", "640": "latin-1", "641": "utf-8-sig"}
"""Number at Project Gutenberg and encoding: the Blue, Red, Yellow and Violet Fairy Book."""

PLAIN = str.maketrans({"\u201c": '"', "\u201d": '"', "\u2018": "'", "\u2019": "'", "\u2014": "--", "_": ""})
START = re.compile(r"\*\*\* ?START OF.*?\*\*\*")
END = re.compile(r"\*\*\* ?END OF|End of (the |this )?Project Gutenberg")
LEGAL = re.compile(r"gutenberg|copyright|http|e-?text", re.IGNORECASE)
OFFENSIVE = re.compile(
    r"\b(nigg\w+|negr\w+|blacks|blackamoors?|black (man|men|wom[ae]n|girls?|boys?|slaves?|people|servants?)|"
    r"moors?|moorish|slave\w*|jew(s|ish|ess)?|gyps\w+|gips\w+|savages?|heathens?|cannibals?|africa\w*|mohammed\w*|turks?|arabs?|"
    r"indians?|chinam[ae]n|infidels?|hunchback\w*|cripple\w*|dumb|bastards?|christians?)\b",
    re.IGNORECASE,
)
"""Words of peoples, faiths and bodies that these books seldom name kindly."""

NOTE = re.compile(r"^\[|^\(\d|^\*|^\([^()]{1,60}\)$")
MARK = re.compile(r"\s?[\[(]\d+[\])]|\[\w*\]|\*")
SHARES, HELD_OUT = 20, 9
"""The text is seen as so many equal parts, and the one of this index is held out."""


@dataclass(frozen=True)
class Tales:
    """The texts: each tale to train on, and the two halves of the held-out stretch."""

    train: tuple[str, ...]
    choose: str
    measure: str


def paragraphs(data: Path) -> list[str]:
    """Every paragraph of the four books on one line each, in plain quotes, front and end matter included."""
    found = []
    for number, encoding in BOOKS.items():
        with gzip.open(data / "fairy-tales" / f"{number}.txt.gz", "rt", encoding=encoding) as file:
            text = file.read().translate(PLAIN)
        start, end = START.search(text), END.search(text)
        if start is None or end is None:
            raise SystemExit(f"error: {number}.txt.gz has no marks of Project Gutenberg")
        parts = re.split(r"\n\s*\n", text[start.end() : end.start()])
        found += [" ".join(part.split()) for part in parts if part.strip() and not LEGAL.search(part)]
    return found


def is_heading(paragraph: str) -> bool:
    """Whether a paragraph is a title: short, and in capitals."""
    return paragraph.upper() == paragraph and len(paragraph) < 100 and any(map(str.isalpha, paragraph))


def is_fit(paragraph: str) -> bool:
    """Whether a paragraph is worth reading: prose that does not offend, no footnote and no list of contents."""
    capitals, letters = sum(map(str.isupper, paragraph)), sum(map(str.isalpha, paragraph))
    prose = capitals < letters / 3 and bool(re.search(r"[.!?:;,-]['\")]*$", paragraph))
    return prose and not NOTE.search(paragraph) and not OFFENSIVE.search(paragraph)


def tidy(paragraph: str) -> str:
    """A paragraph without the marks of footnotes, its first word not in capitals."""
    text = MARK.sub("", paragraph)
    return re.sub(r"^(\W*[A-Z])([A-Z]+)\b", lambda match: match[1] + match[2].lower(), text)


def split(found: list[str]) -> Iterator[tuple[str, str]]:
    """Each paragraph with the share of the text that it lies in: "train", "choose" or "measure"."""
    size = sum(len(paragraph) + 1 for paragraph in found)
    first, last = size * HELD_OUT // SHARES, size * (HELD_OUT + 1) // SHARES
    middle, at = (first + last) // 2, 0
    for paragraph in found:
        end = at + len(paragraph) + 1
        share = "train" if end <= first or at >= last else "choose" if at < middle else "measure"
        yield paragraph, share
        at = end


def read(data: Path) -> Tales:
    """The tales, cut, cleaned and divided. What is shorter than 600 characters is front matter."""
    train: list[list[str]] = [[]]
    held: dict[str, list[str]] = {"choose": [], "measure": []}
    for paragraph, share in split(paragraphs(data)):
        text = tidy(paragraph)
        if is_heading(paragraph):
            train.append([])
        elif is_fit(text):
            (train[-1] if share == "train" else held[share]).append(text)
    tales = tuple(text for text in ("\n".join(tale) for tale in train) if len(text) > 600)
    return Tales(tales, "\n".join(held["choose"]), "\n".join(held["measure"]))
