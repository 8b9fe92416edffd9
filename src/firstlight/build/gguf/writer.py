"""Writes GGUF files, version 3, one tensor after the other, so that no more than a piece of one is in memory.

Format: https://github.com/ggml-org/ggml/blob/master/docs/gguf.md
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, Protocol

import numpy as np
from numpy.typing import NDArray

from firstlight.build.gguf import elements
from firstlight.runtime.errors import ConversionError

MAGIC = b"GGUF"
_VERSION = 3
_ALIGNMENT = 32
_STRING, _ARRAY, _UINT8 = 8, 9, 0
_INT32, _UINT32, _FLOAT32, _BOOL, _UINT64 = 5, 4, 6, 7, 10


@dataclass(frozen=True, slots=True)
class Copied:
    """An entry of the metadata as another file has it, key and all."""

    raw: bytes


Value = str | bool | int | float | Sequence[str] | Sequence[int] | Sequence[float] | bytes | Copied
"""Of one metadata key; ``bytes`` become an array of uint8."""


class Content(Protocol):
    """The weights of one tensor: their shape, rows first, and all rows in an element type, a few at a time."""

    @property
    def shape(self) -> tuple[int, ...]: ...

    def pieces(self, element: str) -> Iterable[NDArray[np.uint8]]: ...


@dataclass(frozen=True, slots=True)
class Tensor:
    """One tensor to be written.

    Attributes:
        shape: rows first, features of a row last.
        element: the type it is written in.
    """

    name: str
    shape: tuple[int, ...]
    element: str
    content: Content

    @property
    def length(self) -> int:
        """Its bytes in the file."""
        rows = int(np.prod(self.shape[:-1], dtype=np.int64))
        return rows * elements.row_bytes(self.shape[-1], self.element)


def write(file: Path, metadata: Mapping[str, Value], tensors: Sequence[Tensor]) -> None:
    """Write a GGUF file.

    Args:
        metadata: by key; whole numbers become uint32 (int32 in lists), others float32.

    Raises:
        ConversionError: the content of a tensor cannot be written in its type.
    """
    with file.open("wb") as out:
        out.write(MAGIC + struct.pack("<IQQ", _VERSION, len(tensors), len(metadata)))
        for key, value in metadata.items():
            out.write(value.raw if isinstance(value, Copied) else _text(key) + _typed(value))
        place = 0
        for tensor in tensors:
            shape = tensor.shape[::-1]
            number = elements.NUMBERS[tensor.element]
            out.write(
                _text(tensor.name) + struct.pack(f"<I{len(shape)}QIQ", len(shape), *shape, number, place)
            )
            place += _padded(tensor.length)
        for tensor in tensors:
            _write_content(out, tensor)
        _pad(out)


def _write_content(out: BinaryIO, tensor: Tensor) -> None:
    _pad(out)
    start = out.tell()
    try:
        for piece in tensor.content.pieces(tensor.element):
            out.write(np.ascontiguousarray(piece).data)
    except ConversionError as error:
        raise ConversionError(f"tensor {tensor.name}: {error.message}", error.hint) from error
    if out.tell() - start != tensor.length:
        raise ConversionError(f"tensor {tensor.name} has {out.tell() - start} bytes, not {tensor.length}")


def _padded(length: int) -> int:
    return -(-length // _ALIGNMENT) * _ALIGNMENT


def _pad(out: BinaryIO) -> None:
    out.write(bytes(-out.tell() % _ALIGNMENT))


def _text(text: str) -> bytes:
    raw = text.encode("utf-8", "surrogatepass")
    return struct.pack("<Q", len(raw)) + raw


def _typed(value: Any) -> bytes:
    if isinstance(value, str):
        return struct.pack("<I", _STRING) + _text(value)
    if isinstance(value, bool):
        return struct.pack("<I?", _BOOL, value)
    if isinstance(value, int):
        kind, code = (
            (_UINT32, "I") if 0 <= value < 1 << 32 else (_UINT64, "Q") if value > 0 else (_INT32, "i")
        )
        return struct.pack(f"<I{code}", kind, value)
    if isinstance(value, float):
        return struct.pack("<If", _FLOAT32, value)
    if isinstance(value, bytes):
        return struct.pack("<IIQ", _ARRAY, _UINT8, len(value)) + value
    return struct.pack("<I", _ARRAY) + _items(value)


def _items(values: Sequence[Any]) -> bytes:
    if values and isinstance(values[0], str):
        return struct.pack("<IQ", _STRING, len(values)) + b"".join(map(_text, values))
    kind, code = (_FLOAT32, "f") if values and isinstance(values[0], float) else (_INT32, "i")
    return struct.pack(f"<IQ{len(values)}{code}", kind, len(values), *values)
