"""Rows of weights in the element types of ggml, and back; what is not made here is made by the ``gguf`` package.

Types are told by ggml's names in small letters: f32, f16, bf16, q8_0, q4_k and so on.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from firstlight.build.gguf import k_blocks
from firstlight.runtime.errors import ConversionError, MissingExtra

Floats = NDArray[np.float32]
Bytes = NDArray[np.uint8]

ELEMENTS: dict[int, tuple[str, int, int]] = {
    0: ("f32", 1, 4), 1: ("f16", 1, 2), 2: ("q4_0", 32, 18), 3: ("q4_1", 32, 20), 6: ("q5_0", 32, 22),
    7: ("q5_1", 32, 24), 8: ("q8_0", 32, 34), 10: ("q2_k", 256, 84), 11: ("q3_k", 256, 110),
    12: ("q4_k", 256, 144), 13: ("q5_k", 256, 176), 14: ("q6_k", 256, 210), 16: ("iq2_xxs", 256, 66),
    17: ("iq2_xs", 256, 74), 18: ("iq3_xxs", 256, 98), 19: ("iq1_s", 256, 50), 20: ("iq4_nl", 32, 18),
    21: ("iq3_s", 256, 110), 22: ("iq2_s", 256, 82), 23: ("iq4_xs", 256, 136), 24: ("i8", 1, 1), 25: ("i16", 1, 2),
    26: ("i32", 1, 4), 27: ("i64", 1, 8), 28: ("f64", 1, 8), 29: ("iq1_m", 256, 56), 30: ("bf16", 1, 2),
    34: ("tq1_0", 256, 54), 35: ("tq2_0", 256, 66), 39: ("mxfp4", 32, 17), 40: ("nvfp4", 64, 36),
    41: ("q1_0", 128, 18),
}  # fmt: skip
"""Number in a file -> name, weights of a block, bytes of a block (ggml.h, enum ggml_type)."""
NUMBERS = {name: number for number, (name, _, _) in ELEMENTS.items()}
_LARGEST, _SMALLEST = 65504.0, 1e-12
_PLAIN = {"f16": "<f2", "f64": "<f8"}
_K_BLOCKS = {"q4_k": k_blocks.q4_k, "q5_k": k_blocks.q5_k, "q6_k": k_blocks.q6_k}


def block(element: str) -> int:
    """How many neighbouring weights of a row share a scale; 1 where they have none."""
    return ELEMENTS[NUMBERS[element]][1]


def row_bytes(features: int, element: str) -> int:
    """Bytes of a row of that many weights."""
    _, per_block, length = ELEMENTS[NUMBERS[element]]
    return features // per_block * length


def encode(rows: Floats, element: str) -> Bytes:
    """Rows of weights [n, features] as bytes [n, bytes of a row].

    Raises:
        ConversionError: a weight is not a number, or too large for float16.
    """
    if not np.isfinite(rows).all():
        raise ConversionError(
            "it holds values that are not numbers", "the weights are damaged; download them again"
        )
    if element == "f32":
        return np.ascontiguousarray(rows, dtype="<f4").view(np.uint8)
    if element != "bf16" and np.abs(rows).max(initial=0) > _LARGEST:
        hint = "convert with quantize = 'bf16' or 'f32'"
        raise ConversionError("it holds values that are too large for float16, of which scales are", hint)
    if element == "f16":
        return rows.astype("<f2").view(np.uint8)
    if element in _K_BLOCKS:
        # What no float16 scale can hold would only make the search divide by next to nothing.
        return _K_BLOCKS[element](np.where(np.abs(rows) < _SMALLEST, np.float32(0), rows))
    made: Bytes = _quants().quantize(rows, _kind(element)).view(np.uint8)
    return made.reshape(len(rows), -1)


def check(rows: Floats) -> None:
    """ConversionError where a weight is not a number, or infinite."""
    if not np.isfinite(rows).all():
        raise ConversionError(
            "it holds values that are not numbers", "the weights are damaged; download them again"
        )


def decode(raw: Bytes, element: str) -> Floats:
    """Rows of bytes [n, bytes of a row] as weights [n, features].

    Raises:
        ConversionError: no one knows how.
    """
    if element == "f32":
        return raw.view("<f4")
    if element in _PLAIN:
        return raw.view(_PLAIN[element]).astype(np.float32)
    if element == "bf16":
        return (raw.view("<u2").astype(np.uint32) << 16).view(np.float32)
    try:
        found: Floats = _quants().dequantize(raw, _kind(element))
    except (NotImplementedError, KeyError, ValueError) as error:
        raise ConversionError(f"weights of type {element} cannot be unpacked: {error}") from error
    return found


def _quants() -> Any:
    try:
        from gguf import quants
    except ImportError as error:
        raise MissingExtra("the package gguf is not installed", "pip install gguf") from error
    return quants


def _kind(element: str) -> Any:
    from gguf import GGMLQuantizationType

    return GGMLQuantizationType(NUMBERS[element])
