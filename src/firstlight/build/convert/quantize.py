"""Weights in eight bits: two ways, both judged by ``parity`` before they ship.

``per_channel``  one scale for each output of a layer, values of seven bits. Kernels for AVX2 add pairs of
                 uint8 x int8 products in 16 bits: 2 * 255 * 64 fits, 2 * 255 * 127 does not and saturates silently
                 (onnxruntime documentation, "Quantize ONNX models", reduce_range). Seven bits give the same
                 answers on every CPU.
``blocks``       one scale for each 32 neighbouring inputs of each output (MatMulNBits of onnxruntime, 8 bits).
``rows``         one scale for each row of a table that is looked up.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from firstlight.build.convert.checkpoint import Floats

Int8 = NDArray[np.int8]
UInt8 = NDArray[np.uint8]

BLOCK = 32
_LIMIT = 64
_CLIPS = (1.0, 0.95, 0.9, 0.85, 0.8)


def per_channel(weight: Floats) -> tuple[Int8, Floats]:
    """A layer's weight [out, in] as int8 [in, out] and its scales [out], symmetric, values within 64.

    Of a few clipping points the one with the least squared error is taken for each output.
    """
    largest = np.maximum(np.abs(weight).max(axis=1), np.finfo(np.float32).tiny)
    best = np.full(largest.shape, np.inf)
    chosen = largest / _LIMIT
    for clip in _CLIPS:
        scale = largest * np.float32(clip / _LIMIT)
        rounded = np.clip(np.rint(weight / scale[:, None]), -_LIMIT, _LIMIT) * scale[:, None]
        # Summed in double precision: the order of a sum is numpy's own, and must not decide.
        error = np.square(rounded - weight).sum(axis=1, dtype=np.float64)
        chosen = np.where(error < best, scale, chosen)
        best = np.minimum(error, best)
    values = np.clip(np.rint(weight / chosen[:, None]), -_LIMIT, _LIMIT).astype(np.int8)
    return np.ascontiguousarray(values.T), chosen.astype(np.float32)


def blocks(weight: Floats) -> tuple[UInt8, Floats]:
    """A layer's weight [out, in] as MatMulNBits wants it: uint8 [out, blocks, 32] around 128, scales [out, blocks].

    A last block that is not full is filled with zeros.
    """
    outputs, inputs = weight.shape
    count = -(-inputs // BLOCK)
    padded = np.zeros((outputs, count * BLOCK), dtype=np.float32)
    padded[:, :inputs] = weight
    grouped = padded.reshape(outputs, count, BLOCK)
    scales = np.maximum(np.abs(grouped).max(axis=2), np.finfo(np.float32).tiny) / np.float32(127)
    values = np.clip(np.rint(grouped / scales[:, :, None]), -127, 127) + 128
    return values.astype(np.uint8), scales.astype(np.float32)


def rows(table: Floats) -> tuple[Int8, Floats]:
    """A table [n, features] as int8 of the same shape and scales [n, 1]."""
    scales = np.maximum(np.abs(table).max(axis=1, keepdims=True), np.finfo(np.float32).tiny) / np.float32(127)
    return np.rint(table / scales).astype(np.int8), scales.astype(np.float32)
