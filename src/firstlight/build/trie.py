"""Builds the double array (Aoe 1989) that tables of tokens hold a vocabulary in; see ``runtime.tokenizers.table``."""

from __future__ import annotations

from itertools import pairwise
from struct import pack

_NO_ID = -1
_MOST_TRIES = 64


class Trie:
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
