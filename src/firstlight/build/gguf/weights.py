"""Where the weights of a tensor come from: rows of a mapped file, in another order perhaps, read a piece at a time."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from firstlight.build.convert.checkpoint import Entry
from firstlight.build.gguf import elements
from firstlight.runtime.errors import ConversionError

Bytes = NDArray[np.uint8]
Floats = NDArray[np.float32]
Order = NDArray[np.int64]

_PIECE = 4 << 20
"""Weights of a piece, about."""
_FLOATING = ("f32", "f16", "bf16", "f64")
_SAFETENSORS = {"F32": "f32", "F16": "f16", "BF16": "bf16", "F64": "f64"}


@dataclass(frozen=True, slots=True)
class Mapped:
    """A tensor in a file.

    Attributes:
        shape: of the tensor as it is to be written: rows first, features of a row last.
        element: how the file holds it.
        order: which row of the file each row is; None where they follow each other.
        turned: whether the file holds features first; only for plain numbers.
    """

    file: Path
    offset: int
    shape: tuple[int, ...]
    element: str
    order: Order | None = None
    turned: bool = False

    @classmethod
    def of(cls, entry: Entry, name: str) -> Mapped:
        """A tensor of a safetensors file.

        Raises:
            ConversionError: its numbers are of an unknown type, or its size is not that of its shape.
        """
        if entry.dtype not in _SAFETENSORS:
            hint = "give the repository with F32, F16 or BF16 weights"
            raise ConversionError(
                f"tensor {name} has element type {entry.dtype}, which is not read here", hint
            )
        element = _SAFETENSORS[entry.dtype]
        wanted = int(np.prod(entry.shape, dtype=np.float64)) * elements.row_bytes(1, element)
        if entry.length != wanted or not wanted:
            raise ConversionError(f"tensor {name} of shape {list(entry.shape)} has {entry.length} bytes")
        return cls(entry.file, entry.offset, entry.shape, element)

    def in_order(self, order: Order) -> Mapped:
        """The same rows in another order."""
        return replace(self, order=order)

    def transposed(self) -> Mapped:
        """Features and rows exchanged."""
        return replace(self, shape=self.shape[::-1], turned=True)

    @property
    def rows(self) -> int:
        """How many rows there are; a list of numbers counts as rows of one each, so that it can be put in order."""
        return int(np.prod(self.shape[:-1], dtype=np.int64)) if len(self.shape) > 1 else self.shape[0]

    @property
    def features(self) -> int:
        """How many numbers a row has."""
        return self.shape[-1] if len(self.shape) > 1 else 1

    def raw(self, start: int, stop: int) -> Bytes:
        """Some rows as the file has them."""
        if self.turned:
            width = elements.row_bytes(1, self.element)
            whole = self._map(self.features, self.rows * width).view(f"V{width}")
            return np.ascontiguousarray(whole[:, start:stop].T).view(np.uint8)
        whole = self._map(self.rows, elements.row_bytes(self.features, self.element))
        return whole[start:stop] if self.order is None else whole[self.order[start:stop]]

    def floats(self, start: int, stop: int) -> Floats:
        """Some rows as numbers."""
        return elements.decode(np.ascontiguousarray(self.raw(start, stop)), self.element)

    def pieces(self, element: str) -> Iterator[Bytes]:
        """All rows in the element type, a few at a time. Blocks that are of it already pass as they are."""
        step = max(1, _PIECE // self.features)
        for start in range(0, self.rows, step):
            stop = min(start + step, self.rows)
            if element == self.element:
                yield self._checked(start, stop)
            else:
                yield elements.encode(self.floats(start, stop), element)

    def _checked(self, start: int, stop: int) -> Bytes:
        """Rows as they are; of plain numbers it is checked that they are some."""
        raw = self.raw(start, stop)
        if self.element in _FLOATING:
            elements.check(elements.decode(np.ascontiguousarray(raw), self.element))
        return raw

    def _map(self, rows: int, length: int) -> Bytes:
        return np.memmap(self.file, dtype=np.uint8, mode="r", offset=self.offset, shape=(rows, length))


@dataclass(frozen=True, slots=True)
class Given:
    """A small tensor that is in memory."""

    values: Floats

    @property
    def shape(self) -> tuple[int, ...]:
        """Rows first, features of a row last."""
        return self.values.shape

    def pieces(self, element: str) -> Iterator[Bytes]:
        """All of it in the element type."""
        yield elements.encode(self.values.reshape(-1, self.values.shape[-1]), element)
