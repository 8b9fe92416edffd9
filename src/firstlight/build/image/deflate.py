"""DEFLATE (RFC 1951) whose bytes are the same on every machine.

zlib is not one compressor: distributions, interpreters and processors have builds of it (zlib-ng, Apple's, Intel's)
that make other bytes of the same text, and another layer is another digest. This one is integer arithmetic on arrays
and nothing else. It is slower than zlib, which is why layers are kept by what is in them.

A text is cut into pieces of ``PIECE`` bytes. Each begins with what the one before it left in the window and ends on a
whole byte (an empty stored block), so that any number of threads makes the same bytes.
"""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

import numpy as np

from firstlight.build.image import huffman

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Numbers = NDArray[np.int64]
    Bytes = NDArray[np.uint8]

PIECE = 1 << 19
WINDOW = 1 << 15
_SHORTEST, _LONGEST = 4, 258
_CANDIDATES = 2
"""How many earlier places with the same four bytes are looked at."""
_LOOK, _WORTH = 1 << 13, 12
"""Bytes in each of four places that are looked at first; a twelfth of them has to repeat."""
_SYMBOLS = 1 << 15
"""Of one block: after so many another code may be better."""
_SYNC = b"\x00\x00\xff\xff"
END = b"\x03\x00"
"""The last block, an empty one."""

_LENGTH_BASE = np.array(
    [
        3,
        4,
        5,
        6,
        7,
        8,
        9,
        10,
        11,
        13,
        15,
        17,
        19,
        23,
        27,
        31,
        35,
        43,
        51,
        59,
        67,
        83,
        99,
        115,
        131,
        163,
        195,
        227,
        258,
    ]
)
_LENGTH_EXTRA = np.array([0] * 8 + [1] * 4 + [2] * 4 + [3] * 4 + [4] * 4 + [5] * 4 + [0])
_DISTANCE_BASE = np.array(
    [
        1,
        2,
        3,
        4,
        5,
        7,
        9,
        13,
        17,
        25,
        33,
        49,
        65,
        97,
        129,
        193,
        257,
        385,
        513,
        769,
        1025,
        1537,
        2049,
        3073,
        4097,
        6145,
        8193,
        12289,
        16385,
        24577,
    ]
)
_DISTANCE_EXTRA = np.array([0, 0, *(bits for bits in range(14) for _ in (0, 1))])
_LENGTH_CODE = np.searchsorted(_LENGTH_BASE, np.arange(_LONGEST + 1), "right") - 1


def piece(text: bytes, before: bytes) -> bytes:
    """One piece of a text, compressed.

    Args:
        text: at most ``PIECE`` bytes.
        before: what comes before it, at most the last ``WINDOW`` bytes.

    Returns:
        whole blocks, none of them the last, ending on a whole byte.
    """
    whole = np.frombuffer(before + text + bytes(_LONGEST + 8), np.uint8)
    begin, end = len(before), len(before) + len(text)
    if _repeats(whole, begin, end):
        lengths, distances = _matches(whole, begin, end)
        at = _parsed(lengths, end - begin)
        lengths, distances = lengths[at], distances[at]
    else:
        at, lengths, distances = (
            np.arange(end - begin),
            np.zeros(end - begin, np.int64),
            np.zeros(0, np.int64),
        )
    literals = whole[begin:][at].astype(np.int64)
    blocks = huffman.Bits()
    cuts = [*range(0, len(at), _SYMBOLS), len(at)]
    for first, last in itertools.pairwise(cuts):
        stop = int(at[last]) if last < len(at) else end - begin
        stored = text[int(at[first]) : stop]
        _block(blocks, literals[first:last], lengths[first:last], distances[first:last], stored)
    blocks.add(0, 3)
    return blocks.aligned() + _SYNC


def _repeats(whole: Bytes, begin: int, end: int) -> bool:
    """Whether it is worth looking for what was there before, by looking in a few places; of weights it is not."""
    if end - begin < PIECE // 2:
        return True
    step = (end - begin - _LOOK) // 3
    covered = 0
    for start in range(begin, end - _LOOK + 1, step):
        first = max(0, start - _LOOK)
        lengths, _ = _matches(whole[first:], start - first, start - first + _LOOK)
        at = _parsed(lengths, _LOOK)
        covered += int(lengths[at].sum())
    return covered * _WORTH > 4 * _LOOK


def _matches(whole: Bytes, begin: int, end: int) -> tuple[Numbers, Numbers]:
    """For each place of the text: how many bytes were there before (0 for too few), and how far back."""
    fours = np.ndarray((end,), "<u4", whole.data, strides=(1,)).copy()
    order = np.argsort(fours.astype(np.uint16), kind="stable").astype(np.int32)
    order = order[np.argsort((fours >> 16).astype(np.uint16)[order], kind="stable")]
    lengths, distances = np.zeros(end, np.int64), np.zeros(end, np.int64)
    sorted_fours = fours[order]
    for back in range(1, _CANDIDATES + 1):
        later, earlier = order[back:], order[:-back]
        usable = sorted_fours[back:] == sorted_fours[:-back]
        usable &= later - earlier <= WINDOW
        usable &= later >= begin
        here, there = later[usable], earlier[usable]
        found = _equal(whole, here, there, end)
        better = found > lengths[here]
        here = here[better]
        lengths[here], distances[here] = found[better], (here - there[better])
    lengths[lengths < _SHORTEST] = 0
    lengths, distances = lengths[begin:], distances[begin:]
    # Where the next place has a longer one, this place is a byte of its own.
    lengths[:-1][lengths[1:] > lengths[:-1]] = 0
    return lengths, distances


def _equal(whole: Bytes, here: Numbers, there: Numbers, end: int) -> Numbers:
    """How many bytes from two places on are equal, at most as many as a match may have."""
    eights = np.ndarray((len(whole) - 7,), "<u8", whole.data, strides=(1,))
    lengths = np.full(len(here), _SHORTEST, np.int64)
    open_ = np.arange(len(here))
    for length in range(_SHORTEST, _LONGEST, 8):
        different = eights[here[open_] + length] ^ eights[there[open_] + length]
        lowest = different & (~different + np.uint64(1))
        equal = (np.frexp(lowest.astype(np.float64))[1] - 1) >> 3
        equal[different == 0] = 8
        lengths[open_] = length + equal
        open_ = open_[different == 0]
        if not len(open_):
            break
    return np.minimum(lengths, np.minimum(_LONGEST, end - here))


def _parsed(lengths: Numbers, end: int) -> Numbers:
    """The places at which symbols begin."""
    steps = np.maximum(lengths, 1).tolist()
    places, place = [], 0
    while place < end:
        places.append(place)
        place += steps[place]
    return np.array(places, np.int64)


def _block(
    bits: huffman.Bits, literals: Numbers, lengths: Numbers, distances: Numbers, stored: bytes
) -> None:
    matched = lengths > 0
    length_codes = _LENGTH_CODE[lengths[matched]]
    distances = distances[matched] if len(distances) else distances
    distance_codes = np.searchsorted(_DISTANCE_BASE, distances, "right") - 1
    symbols = literals.copy()
    symbols[matched] = 257 + length_codes
    of_symbols = huffman.Code.of(np.bincount(symbols, minlength=286), used=256)
    of_distances = huffman.Code.of(np.bincount(distance_codes, minlength=30))
    header = huffman.header(of_symbols, of_distances)
    values, widths = of_symbols.codes[symbols], of_symbols.lengths[symbols]
    parts = (
        (lengths[matched] - _LENGTH_BASE[length_codes], _LENGTH_EXTRA[length_codes]),
        (of_distances.codes[distance_codes], of_distances.lengths[distance_codes]),
        (distances - _DISTANCE_BASE[distance_codes], _DISTANCE_EXTRA[distance_codes]),
    )
    value, width = values[matched], widths[matched]
    for more, bits_of_it in parts:
        value, width = value | (more << width), width + bits_of_it
    values[matched], widths[matched] = value, width
    size = sum(width for _, width in header) + int(widths.sum()) + int(of_symbols.lengths[256])
    if size >= 8 * len(stored) + 40 * (len(stored) // 0xFFFF + 1):
        bits.store(stored)
        return
    for one, wide in header:
        bits.add(one, wide)
    bits.extend(values, widths)
    bits.add(int(of_symbols.codes[256]), int(of_symbols.lengths[256]))
