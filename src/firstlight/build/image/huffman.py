"""Huffman codes as DEFLATE writes them (RFC 1951, section 3.2), and the bits they become."""

from __future__ import annotations

import heapq
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Numbers = NDArray[np.int64]

_LONGEST = 15
_LONGEST_OF_LENGTHS = 7
_ORDER = (16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15)
_STORED = 0xFFFF


class Bits:
    """Bits one after the other, the lowest of each value first."""

    def __init__(self) -> None:
        self._parts: list[bytes] = []
        self._value, self._width = 0, 0

    def add(self, value: int, width: int) -> None:
        """A few bits."""
        self._value |= value << self._width
        self._width += width

    def extend(self, values: Numbers, widths: Numbers) -> None:
        """Many values of at most 48 bits each, one at least."""
        self._whole_bytes()
        starts = np.cumsum(widths) - widths + self._width
        end = int(starts[-1] + widths[-1])
        words = np.zeros((end >> 6) + 2, np.uint64)
        index, shift = starts >> 6, (starts & 63).astype(np.uint64)
        unsigned = values.astype(np.uint64)
        first = np.flatnonzero(np.diff(index, prepend=-1))
        words[index[first]] = np.bitwise_or.reduceat(unsigned << shift, first)
        over = (unsigned >> (np.uint64(63) - shift)) >> np.uint64(1)
        spilt = np.flatnonzero(over)  # one of a word at most: the last that begins in it
        words[index[spilt] + 1] |= over[spilt]
        words[0] |= np.uint64(self._value)
        made = words.astype("<u8").tobytes()
        self._parts.append(made[: end >> 3])
        self._value, self._width = made[end >> 3] & ((1 << (end & 7)) - 1), end & 7

    def store(self, text: bytes) -> None:
        """Stored blocks (section 3.2.4)."""
        for at in range(0, len(text), _STORED):
            part = text[at : at + _STORED]
            self.add(0, 3)
            whole = self.aligned()
            self._parts = [
                whole,
                len(part).to_bytes(2, "little"),
                (len(part) ^ 0xFFFF).to_bytes(2, "little"),
                part,
            ]

    def aligned(self) -> bytes:
        """All there is, filled up to a whole byte; then there is nothing."""
        self._width += -self._width % 8
        self._whole_bytes()
        made, self._parts = b"".join(self._parts), []
        return made

    def _whole_bytes(self) -> None:
        count = self._width >> 3
        if count:
            self._parts.append((self._value & ((1 << 8 * count) - 1)).to_bytes(count, "little"))
            self._value, self._width = self._value >> 8 * count, self._width & 7


@dataclass(frozen=True, slots=True)
class Code:
    """A prefix code.

    Attributes:
        lengths: bits of each symbol, 0 for one that does not occur.
        codes: with the first bit lowest, as they are written.
    """

    lengths: Numbers
    codes: Numbers

    @classmethod
    def of(cls, counts: Numbers, used: int | None = None, longest: int = _LONGEST) -> Code:
        """The code of symbols that occur so often.

        Args:
            used: a symbol that occurs once more.
            longest: bits a symbol may have.
        """
        often = counts.tolist()
        if used is not None:
            often[used] += 1
        while max(lengths := _lengths(often)) > longest:
            often = [(count + 1) // 2 if count else 0 for count in often]
        return cls(np.array(lengths, np.int64), np.array(_canonical(lengths), np.int64))


def header(symbols: Code, distances: Code) -> list[tuple[int, int]]:
    """What a block with codes of its own begins with (section 3.2.7), as values and widths."""
    of_symbols, of_distances = (
        _trimmed(symbols.lengths.tolist(), 257),
        _trimmed(distances.lengths.tolist(), 1),
    )
    runs = _runs([*of_symbols, *of_distances])
    counts = np.bincount([symbol for symbol, _, _ in runs], minlength=19)
    code = Code.of(counts, longest=_LONGEST_OF_LENGTHS)
    widths, codes = code.lengths.tolist(), code.codes.tolist()
    sent = _trimmed([widths[symbol] for symbol in _ORDER], 4)
    made = [(0, 1), (2, 2), (len(of_symbols) - 257, 5), (len(of_distances) - 1, 5), (len(sent) - 4, 4)]
    made += [(width, 3) for width in sent]
    for symbol, extra, width in runs:
        made += [(codes[symbol], widths[symbol]), (extra, width)]
    return made


def _lengths(often: Sequence[int]) -> list[int]:
    """Bits of each symbol in Huffman's code; ties are broken by the symbol, so that there is one answer."""
    heap: list[tuple[int, int, tuple[int, ...]]] = [
        (count, symbol, (symbol,)) for symbol, count in enumerate(often) if count
    ]
    lengths = [0] * len(often)
    for _, symbol, _ in heap if len(heap) == 1 else ():
        lengths[symbol] = 1
    heapq.heapify(heap)
    number = len(often)
    while len(heap) > 1:
        one, other = heapq.heappop(heap), heapq.heappop(heap)
        together = one[2] + other[2]
        for symbol in together:
            lengths[symbol] += 1
        heapq.heappush(heap, (one[0] + other[0], number, together))
        number += 1
    return lengths


def _canonical(lengths: Sequence[int]) -> list[int]:
    codes, code, before = [0] * len(lengths), 0, 0
    for width, symbol in sorted((width, symbol) for symbol, width in enumerate(lengths) if width):
        code <<= width - before
        codes[symbol] = int(f"{code:0{width}b}"[::-1], 2)
        code, before = code + 1, width
    return codes


def _trimmed(lengths: list[int], least: int) -> list[int]:
    end = len(lengths)
    while end > least and not lengths[end - 1]:
        end -= 1
    return lengths[:end]


def _runs(lengths: Sequence[int]) -> list[tuple[int, int, int]]:
    """Lengths with repetitions folded: symbol, extra value, its width."""
    runs: list[tuple[int, int, int]] = []
    at = 0
    while at < len(lengths):
        length, count = lengths[at], 1
        while at + count < len(lengths) and lengths[at + count] == length:
            count += 1
        at += count
        if length:
            runs.append((length, 0, 0))
            count -= 1
        runs += _repeated(length, count)
    return runs


def _repeated(length: int, count: int) -> list[tuple[int, int, int]]:
    runs: list[tuple[int, int, int]] = []
    while count >= 3:
        if length:
            some = min(count, 6)
            runs.append((16, some - 3, 2))
        elif count < 11:
            some = count
            runs.append((17, some - 3, 3))
        else:
            some = min(count, 138)
            runs.append((18, some - 11, 7))
        count -= some
    return runs + [(length, 0, 0)] * count
