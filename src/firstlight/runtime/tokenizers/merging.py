"""BPE without a library: the merges of a word by their rank, from a mapped table.

The order is that of the ``tokenizers`` library (``Word::merge_all``): the merge of the lowest rank first, of several
the leftmost one.
"""

from __future__ import annotations

from _bisect import bisect_left
from _heapq import heapify, heappop, heappush

from firstlight.runtime.tokenizers.table import NeedsLibrary

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from firstlight.runtime.tokenizers.sections import Sections
    from firstlight.runtime.tokenizers.unigram import Cut


class Merges:
    """The model of a table, over bytes (``letters`` names the id of each) or over characters."""

    def __init__(self, table: Sections) -> None:
        facts = table.facts["model"]
        self._table = table
        self._lefts, self._rights = table["lefts"], table["rights"]
        self._ranks, self._made = table["ranks"], table["made"]
        self._letters: list[int] | None = facts["letters"]
        self._spelling: str = facts["spelling"]
        self._whole: bool = facts["whole"]
        self._unknown: int | None = facts["unknown"]
        self._fuse: bool = facts["fuse"]
        self._bytes: list[int] | None = facts["bytes"]
        self._single: dict[str, int] = {}

    def cut(self, word: str) -> Cut:
        """The ids of a word and where each lies."""
        if self._whole:
            name = "".join([self._spelling[byte] for byte in word.encode()]) if self._letters else word
            found = self._table.find(name)
            if found >= 0:
                return (found,), ((0, len(word)),)
        if self._letters is not None:
            symbols = [self._letters[byte] for byte in word.encode()]
            widths = [1] * len(symbols)
        else:
            symbols, widths = self._symbols(word)
        self._merge(symbols, widths)
        ids, spans, at = [], [], 0
        origin = None if word.isascii() else _origin(word)
        for symbol, width in zip(symbols, widths, strict=True):
            if width:
                ids.append(symbol)
                end = at + width
                spans.append((at, end) if origin is None else (origin[at], origin[end - 1] + 1))
                at = end
        return tuple(ids), tuple(spans)

    def _merge(self, symbols: list[int], widths: list[int]) -> None:
        """Merge in place: the left half becomes the whole, the right one has no width any more."""
        size, pair = len(symbols), self._pair
        after, before = [*range(1, size), -1], [*range(-1, size - 1)]
        queue = []
        for place in range(size - 1):
            found = pair(symbols[place], symbols[place + 1])
            if found is not None:
                queue.append((found[0], place, found[1]))
        heapify(queue)
        while queue:
            _, place, made = heappop(queue)
            right = after[place]
            if not widths[place] or right < 0:
                continue
            found = pair(symbols[place], symbols[right])
            if found is None or found[1] != made:
                continue
            symbols[place] = made
            widths[place] += widths[right]
            widths[right] = 0
            after[place] = after[right]
            if after[right] >= 0:
                before[after[right]] = place
            for left, other in ((before[place], place), (place, after[place])):
                if left >= 0 and other >= 0:
                    found = pair(symbols[left], symbols[other])
                    if found is not None:
                        heappush(queue, (found[0], left, found[1]))

    def _pair(self, left: int, right: int) -> tuple[int, int] | None:
        """Rank and result of a merge."""
        end = self._lefts[left + 1]
        at = bisect_left(self._rights, right, self._lefts[left], end)
        return (self._ranks[at], self._made[at]) if at < end and self._rights[at] == right else None

    def _symbols(self, word: str) -> tuple[list[int], list[int]]:
        """The ids of the characters, and how many bytes each stands for."""
        pairs = list(self._spelt(word))
        return [symbol for symbol, _ in pairs], [width for _, width in pairs]

    def _spelt(self, word: str) -> Iterator[tuple[int, int]]:
        waiting = 0  # bytes of characters that are not in the vocabulary
        for character in word:
            symbol = self._single.get(character)
            if symbol is None:
                symbol = self._single[character] = self._table.find(character)
            width = len(character.encode())
            if symbol < 0 and self._bytes is not None:
                yield from ((self._bytes[byte], 1) for byte in character.encode())
                continue
            if symbol < 0 and self._unknown is None:
                raise NeedsLibrary
            if waiting and (symbol >= 0 or not self._fuse):
                yield self._unknown or 0, waiting
                waiting = 0
            if symbol >= 0:
                yield symbol, width
            else:
                waiting += width
        if waiting:
            yield self._unknown or 0, waiting


def _origin(word: str) -> list[int]:
    """The character each byte belongs to."""
    found: list[int] = []
    for index, character in enumerate(word):
        found += [index] * len(character.encode())
    return found
