"""The quantised blocks of 2023 and how they become today's.

Version 0 is that of ``ggjt`` 1, 1 that of ``ggjt`` 2 (llama.cpp pull request 1405, May 2023: two values of a byte are
those 16 places apart, not neighbours), 2 that of ``ggjt`` 3 and of GGUF (pull request 1508: scales of q4_0, q4_1 and
q8_0 are float16, not float32).

q5_0 and q5_1 have had float16 scales from the beginning: their blocks of version 0 are re-packed bit for bit, those of
version 1 are today's. The values of q4_0, q4_1 and q8_0 are kept bit for bit too; their scales are rounded to float16,
which is what today's quantiser does with the same scale. q4_2 and q4_3 (blocks of 16) have no like in GGUF.

Types are told by name and version, ``q4_0@1``; what is as it is today has its name alone.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from firstlight.build.gguf import elements
from firstlight.runtime.errors import ConversionError

Bytes = NDArray[np.uint8]
Floats = NDArray[np.float32]

VERSIONS = (0, 1, 2)
_TYPES = {0: "f32", 1: "f16", 2: "q4_0", 3: "q4_1", 4: "q4_2", 5: "q4_3", 6: "q5_0", 7: "q5_1", 8: "q8_0"}
_K_TYPES = {10: "q2_k", 11: "q3_k", 12: "q4_k", 13: "q5_k", 14: "q6_k"}
_WITHOUT_LIKE = ("q4_2", "q4_3")


@dataclass(frozen=True, slots=True)
class _Layout:
    """The fields of a block, in their order.

    Attributes:
        scale: numpy's name of the type of the scale (and of the offset).
        offset: whether there is an offset, which is added.
        high: whether a fifth bit of each value is kept apart, in 32 bits.
        bits: 4 or 8 of each value.
        size: values of a block.
        apart: whether a byte holds values 16 places apart, not neighbours.
    """

    scale: str
    offset: bool
    high: bool
    bits: int
    size: int
    apart: bool

    @property
    def dtype(self) -> np.dtype[np.void]:
        """The block as numpy sees it."""
        fields = [("d", self.scale)] + ([("m", self.scale)] if self.offset else [])
        fields += [("high", "<u4")] if self.high else []
        return np.dtype([*fields, ("values", "u1", (self.size * self.bits // 8,))])


_LAYOUTS = {
    "q4_0@0": _Layout("<f4", False, False, 4, 32, False),
    "q4_0@1": _Layout("<f4", False, False, 4, 32, True),
    "q4_1@0": _Layout("<f4", True, False, 4, 32, False),
    "q4_1@1": _Layout("<f4", True, False, 4, 32, True),
    "q4_2@0": _Layout("<f2", False, False, 4, 16, False),
    "q4_3@0": _Layout("<f2", True, False, 4, 16, False),
    "q5_0@0": _Layout("<f2", False, True, 4, 32, False),
    "q5_1@0": _Layout("<f2", True, True, 4, 32, False),
    "q8_0@0": _Layout("<f4", False, False, 8, 32, False),
}
_SAME_AS = {"q8_0@1": "q8_0@0"}


def element(number: int, version: int) -> str | None:
    """The name of a type number in a file whose blocks are of a version; None where there is none such."""
    name = _TYPES.get(number) or (_K_TYPES.get(number) if version == VERSIONS[-1] else None)
    if name is None or (name in _WITHOUT_LIKE and version):
        return None
    old = _SAME_AS.get(f"{name}@{version}", f"{name}@{version}")
    return old if old in _LAYOUTS else name


def block(name: str) -> int:
    """How many weights share a scale; 1 where none do."""
    return _LAYOUTS[name].size if name in _LAYOUTS else elements.block(name)


def row_bytes(features: int, name: str) -> int:
    """Bytes of a row of that many weights."""
    if name not in _LAYOUTS:
        return elements.row_bytes(features, name)
    layout = _LAYOUTS[name]
    return features // layout.size * layout.dtype.itemsize


def today(name: str) -> str:
    """The type GGUF has for it.

    Raises:
        ConversionError: there is none.
    """
    kind = name.partition("@")[0]
    if kind in _WITHOUT_LIKE:
        message = f"weights of type {kind} (blocks of 16, in use for three weeks of April 2023) have no like in GGUF"
        raise ConversionError(
            message, "set quantize, to 'q8_0' for example, or take the repository it was made from"
        )
    return kind


def rounded(name: str) -> bool:
    """Whether scales are rounded on the way to today's type."""
    return name in _LAYOUTS and _LAYOUTS[name].scale == "<f4"


def packed(rows: Bytes, name: str) -> Bytes:
    """Rows of an old type [n, bytes] as rows of today's type.

    Raises:
        ConversionError: a scale does not fit into float16.
    """
    if name not in _LAYOUTS:
        return rows
    layout, blocks = _LAYOUTS[name], _blocks(rows, name)
    fields = [_halves(blocks[key]) for key in ("d", "m") if key in (blocks.dtype.names or ())]
    if layout.high:
        fields.append(np.ascontiguousarray(blocks["high"]).view(np.uint8).reshape(-1, 4))
    values = blocks["values"]
    if layout.bits == 4 and not layout.apart:
        nibbles = _values(values, layout)
        values = nibbles[:, :16] | nibbles[:, 16:] << 4
    fields.append(values)
    made: Bytes = np.concatenate(fields, axis=1).reshape(len(rows), -1)
    return made


def scale_change(rows: Bytes, name: str) -> float:
    """The largest relative change that rounding makes to a scale or offset."""
    blocks, largest = _blocks(rows, name), 0.0
    for key in ("d", "m"):
        if key in (blocks.dtype.names or ()):
            exact = blocks[key].astype(np.float64)
            apart = np.abs(exact - blocks[key].astype(np.float16).astype(np.float64))
            largest = max(largest, float((apart / np.maximum(np.abs(exact), 1e-30)).max(initial=0.0)))
    return largest


def decode(rows: Bytes, name: str) -> Floats:
    """Rows of any type as weights [n, features]."""
    if name not in _LAYOUTS:
        return elements.decode(rows, name)
    layout, blocks = _LAYOUTS[name], _blocks(rows, name)
    scales = blocks["d"].astype(np.float32)[:, None]
    if layout.bits == 8:
        return (blocks["values"].view(np.int8) * scales).reshape(len(rows), -1)
    values = _values(blocks["values"], layout).astype(np.float32)
    if layout.high:
        values += ((blocks["high"][:, None] >> np.arange(32, dtype=np.uint32)) & 1).astype(np.float32) * 16
    if layout.offset:
        found = values * scales + blocks["m"].astype(np.float32)[:, None]
    else:
        found = (values - (16 if layout.high else 8)) * scales
    return found.reshape(len(rows), -1)


def _blocks(rows: Bytes, name: str) -> NDArray[np.void]:
    return np.ascontiguousarray(rows).reshape(-1).view(_LAYOUTS[name].dtype)


def _values(raw: Bytes, layout: _Layout) -> Bytes:
    """The four low bits of each value, in the order of the weights."""
    low, high = raw & np.uint8(15), raw >> np.uint8(4)
    if layout.apart:
        return np.concatenate([low, high], axis=1)
    return np.stack([low, high], axis=2).reshape(len(raw), -1)


def _halves(scales: NDArray[np.floating]) -> Bytes:
    """Scales as float16, two bytes each."""
    with np.errstate(over="ignore"):
        halves = np.ascontiguousarray(scales.astype("<f2"))
    if not np.isfinite(halves).all():
        raise ConversionError(
            "a scale does not fit into 16 bits", "set quantize = 'f32' or 'q8_0' to compute it anew"
        )
    return halves.view(np.uint8).reshape(-1, 2)
