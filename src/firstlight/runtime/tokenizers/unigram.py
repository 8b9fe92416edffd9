"""Unigram without a library: the best cut of a word into pieces of a mapped vocabulary.

The search is that of SentencePiece as the ``tokenizers`` library has it (``Unigram::encode_optimized``), with the same
64-bit sums, the same order, and of two cuts that are worth the same the one that was found first.
"""

from __future__ import annotations

from firstlight.runtime.tokenizers.sections import spelt

TYPE_CHECKING = False
if TYPE_CHECKING:
    from firstlight.runtime.tokenizers.sections import Sections

    # The ids of a word, and where in it the text of each lies, in characters.
    Cut = tuple[tuple[int, ...], tuple[tuple[int, int], ...]]

# Bytes of a character by its first one; 0xFF stands for the character zero.
_WIDTHS = bytes([*[1] * 0xC0, *[2] * 0x20, *[3] * 0x10, *[4] * 0x0F, 1])


class Unigram:
    """The model of a table."""

    def __init__(self, table: Sections) -> None:
        facts = table.facts["model"]
        self._table = table
        self._base, self._check = table["base"], table["check"]
        self._ids, self._scores = table["ids"], table["scores"]
        self._unknown: int = facts["unknown"]
        self._lowest: float = facts["lowest"]
        self._bytes: list[int] | None = facts["bytes"]

    def cut(self, word: str) -> Cut:
        """The ids of a word and where each lies."""
        content = spelt(word)
        best, pieces = self._search(content)
        ids: list[int] = []
        spans: list[tuple[int, int]] = []
        bounds = _bounds(best, pieces, self._unknown)
        start = at = 0
        for end, number in bounds:
            to = at + (
                end - start
                if len(content) == len(word)
                else len(content[start:end].decode("utf-8", "replace"))
            )
            numbers = (number,) if number != self._unknown else self._spelling(word[at:to])
            ids += numbers
            spans += [(at, to)] * len(numbers)
            start, at = end, to
        return tuple(ids), tuple(spans)

    def _search(self, content: bytes) -> tuple[list[int], list[int]]:
        """For each place where a piece may end: where the best one begins, and its id."""
        base, check, ids, scores = self._base, self._check, self._ids, self._scores
        size, widths, unknown = len(content), _WIDTHS, self._unknown
        totals, begins, pieces = [0.0] * (size + 1), [-1] * (size + 1), [unknown] * (size + 1)
        at = 0
        while at < size:
            total, single, node = totals[at], at + widths[content[at]], 0
            alone = False
            for end in range(at, size):
                byte = content[end]
                node = base[node] + byte
                if check[node] != byte:
                    break
                piece = ids[node]
                if piece >= 0:
                    end += 1  # noqa: PLW2901
                    score = scores[piece] + total
                    if begins[end] < 0 or score > totals[end]:
                        totals[end], begins[end], pieces[end] = score, at, piece
                    if end == single:
                        alone = True
            if not alone:
                score = self._lowest + total
                if begins[single] < 0 or score > totals[single]:
                    totals[single], begins[single], pieces[single] = score, at, unknown
            at = single
        return begins, pieces

    def _spelling(self, text: str) -> tuple[int, ...]:
        """The ids of a text that no piece covers, or that several unknown characters make up."""
        found = self._table.find(text)
        if found >= 0:
            return (found,)
        if self._bytes is None:
            return (self._unknown,)
        return tuple(self._bytes[byte] for byte in text.encode("utf-8", "replace"))


def _bounds(begins: list[int], pieces: list[int], unknown: int) -> list[tuple[int, int]]:
    """Where the pieces of the best cut end, and their ids; neighbours that are unknown are one."""
    found: list[tuple[int, int]] = []
    end = len(begins) - 1
    last = -1
    while end > 0:
        number = pieces[end]
        if number != unknown or last != unknown:
            found.append((end, number))
        last = number
        end = begins[end]
    found.reverse()
    return found
