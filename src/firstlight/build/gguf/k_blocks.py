"""Weights in blocks of 256 with a scale for each sub-block: ggml's types q4_k, q5_k and q6_k, made with numpy.

A sub-block of q4_k and q5_k (32 weights) holds ``x = scale * q - offset`` with q of 4 or 5 bits, one of q6_k (16
weights) ``x = scale * (q - 32)`` with 6 bits. Scales and offsets of a block are numbers of 6 (q6_k: 8) bits times one
float16. Layouts: ggml's ``ggml-common.h``, structs block_q4_K, block_q5_K, block_q6_K.

The scale of a sub-block is searched: for each of some twenty roundings the scale and offset with the least weighted
squared error are solved for, and the best is kept. Large weights count more, since they move a product more.

All sums run along the first axis, one row after the other, so that the bytes do not depend on the width of a CPU's
vectors.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]
Bytes = NDArray[np.uint8]

BLOCK = 256
_CHUNK = 4096
"""Sub-blocks worked on at once: half a megabyte, which stays near the core."""
_STEPS_OFFSET = np.linspace(-1.0, 1.0, 21, dtype=np.float32)
_STEPS_SYMMETRIC = np.linspace(-0.9, 0.9, 19, dtype=np.float32)
_TINY = np.float32(1e-30)


def q4_k(weights: Floats) -> Bytes:
    """Rows of weights [n, multiple of 256] as q4_k [n, bytes]."""
    scales, values = _with_offsets(weights, 15)
    return _rows(weights, scales, _halves(values))


def q5_k(weights: Floats) -> Bytes:
    """Rows of weights [n, multiple of 256] as q5_k [n, bytes]."""
    scales, values = _with_offsets(weights, 31)
    high = _merged(values.reshape(-1, 8, 32) >> 4, bits=1)
    return _rows(weights, scales, high, _halves(values & np.uint8(15)))


def q6_k(weights: Floats) -> Bytes:
    """Rows of weights [n, multiple of 256] as q6_k [n, bytes]."""
    blocks = weights.reshape(-1, BLOCK)
    wished = _chunked(_symmetric, blocks.reshape(-1, 16)).reshape(-1, 16)
    largest = np.take_along_axis(wished, np.abs(wished).argmax(axis=1)[:, None], axis=1)
    factor = (largest / np.float32(-128)).astype(np.float16)
    step = _nonzero(factor.astype(np.float32))
    scales = np.clip(np.rint(wished / step), -128, 127).astype(np.int8)
    units = _nonzero(step * scales.astype(np.float32))
    rounded = np.rint(blocks.reshape(-1, 16, 16) / units[:, :, None])
    values = (np.clip(rounded, -32, 31) + 32).astype(np.uint8)
    quarters = values.reshape(-1, 2, 4, 32)
    low = _merged((quarters & 15).reshape(-1, 2, 2, 64), bits=4)
    high = _merged(quarters >> 4, bits=2)
    fields = (low.reshape(-1, 128), high.reshape(-1, 64), scales.view(np.uint8), factor.view(np.uint8))
    return _rows(weights, *fields)


def _rows(weights: Floats, *fields: Bytes) -> Bytes:
    """The fields of each block side by side, as many blocks to a row as the weights have."""
    return np.concatenate(fields, axis=1).reshape(weights.shape[0], -1)


def _with_offsets(weights: Floats, most: int) -> tuple[Bytes, Bytes]:
    """The head of each block (two float16 and twelve bytes of scales and offsets), and the values [blocks, 256]."""
    blocks = weights.reshape(-1, BLOCK)
    solved = _chunked(lambda part: _offset(part, most), blocks.reshape(-1, 32)).reshape(-1, 8, 2)
    wished, offsets = solved[:, :, 0], solved[:, :, 1]
    factors = np.stack([wished.max(axis=1), offsets.max(axis=1)], axis=1) / np.float32(63)
    halves = factors.astype(np.float16)
    steps = _nonzero(halves.astype(np.float32))
    scale_bits = np.clip(np.rint(wished / steps[:, :1]), 0, 63).astype(np.uint8)
    offset_bits = np.clip(np.rint(offsets / steps[:, 1:]), 0, 63).astype(np.uint8)
    units = _nonzero(halves[:, :1].astype(np.float32) * scale_bits)
    shifts = halves[:, 1:].astype(np.float32) * offset_bits
    rounded = np.rint((blocks.reshape(-1, 8, 32) + shifts[:, :, None]) / units[:, :, None])
    values = np.clip(rounded, 0, most).astype(np.uint8).reshape(-1, BLOCK)
    head = np.concatenate([halves.view(np.uint8), _six_bits(scale_bits, offset_bits)], axis=1)
    return head, values


def _six_bits(scales: Bytes, offsets: Bytes) -> Bytes:
    """Eight scales and eight offsets of six bits in twelve bytes."""
    low_scales, high_scales = scales[:, :4], scales[:, 4:]
    low_offsets, high_offsets = offsets[:, :4], offsets[:, 4:]
    return np.concatenate(
        [
            low_scales | high_scales >> 4 << 6,
            low_offsets | high_offsets >> 4 << 6,
            (high_scales & 15) | (high_offsets & 15) << 4,
        ],
        axis=1,
    )


def _offset(part: Floats, most: int) -> Floats:
    """The best scale and offset of sub-blocks [n, 32]: [n, 2], the offset as what is subtracted, never negative."""
    values = np.ascontiguousarray(part.T)
    weights = np.abs(values) + np.sqrt(_sum(values * values) / np.float32(len(values)))
    total, total_x = _sum(weights), _sum(weights * values)
    low = np.minimum(values.min(axis=0), 0)
    width = np.maximum(values.max(axis=0) - low, _TINY)
    best = np.stack([width / np.float32(most), -low])
    least = np.full(low.shape, np.inf, dtype=np.float32)
    for step in _STEPS_OFFSET:
        levels = np.clip(np.rint((values - low) * ((np.float32(most) + step) / width)), 0, most)
        weighted = weights * levels
        first, second, product = _sum(weighted), _sum(weighted * levels), _sum(weighted * values)
        base = _nonzero(total * second - first * first)
        slope = (total * product - total_x * first) / base
        shift = np.minimum((second * total_x - first * product) / base, 0)
        slope = np.where(shift < 0, slope, product / _nonzero(second))
        apart = levels * slope + shift - values
        error = _sum(weights * apart * apart)
        better = (error < least) & (slope > 0)
        least = np.where(better, error, least)
        best = np.where(better, np.stack([slope, -shift]), best)
    return best.T


def _symmetric(part: Floats) -> Floats:
    """The best scale of sub-blocks [n, 16] for values from -32 to 31, of which the largest weight takes -32."""
    values = np.ascontiguousarray(part.T)
    weights = values * values
    largest = np.take_along_axis(values, np.abs(values).argmax(axis=0)[None], axis=0)[0]
    best, gain = np.zeros_like(largest), np.zeros_like(largest)
    for step in _STEPS_SYMMETRIC:
        levels = np.clip(np.rint(values * (-(np.float32(32) + step) / _nonzero(largest))), -32, 31)
        weighted = weights * levels
        product, second = _sum(weighted * values), _nonzero(_sum(weighted * levels))
        better = product * product > gain * second
        gain = np.where(better, product * product / second, gain)
        best = np.where(better, product / second, best)
    found: Floats = best
    return found


def _chunked(solve: Callable[[Floats], Floats], parts: Floats) -> Floats:
    solved: Floats = np.concatenate([solve(parts[at : at + _CHUNK]) for at in range(0, len(parts), _CHUNK)])
    return solved


def _halves(values: Bytes) -> Bytes:
    """Values of four bits [blocks, 256] two to a byte [blocks, 128]: each has its neighbour 32 places on above it."""
    return _merged(values.reshape(-1, 4, 2, 32), bits=4).reshape(-1, 128)


def _merged(values: NDArray[Any], bits: int) -> Bytes:
    """Values of few bits laid over each other along the last axis but one, each so many bits above the one before."""
    shifts = np.arange(0, bits * values.shape[-2], bits, dtype=np.uint8)[:, None]
    merged: Bytes = np.bitwise_or.reduce(values.astype(np.uint8) << shifts, axis=-2)
    return merged


def _sum(values: Floats) -> Floats:
    total: Floats = np.add.reduce(values, axis=0)
    return total


def _nonzero(values: Floats) -> Floats:
    """The values with ones in place of zeros, to divide by."""
    return np.where(values == 0, np.float32(1), values)
