"""What a pickle of weights is made of: storages (numbers in a row) and tensors (views of them)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from firstlight.runtime.errors import ConversionError

SIZES: Mapping[str, int] = {
    "F64": 8, "F32": 4, "F16": 2, "BF16": 2, "I64": 8, "I32": 4, "I16": 2, "I8": 1, "U8": 1, "BOOL": 1,
}  # fmt: skip
"""Bytes of an element by its type, as safetensors names types."""

_KINDS: Mapping[str, str] = {
    "DoubleStorage": "F64",
    "FloatStorage": "F32",
    "HalfStorage": "F16",
    "BFloat16Storage": "BF16",
    "LongStorage": "I64",
    "IntStorage": "I32",
    "ShortStorage": "I16",
    "CharStorage": "I8",
    "ByteStorage": "U8",
    "BoolStorage": "BOOL",
}
_MOST_DIMENSIONS = 16


@dataclass(frozen=True, slots=True)
class Named:
    """A class or function that a pickle names; it is never looked up."""

    module: str
    name: str

    def __str__(self) -> str:
        return f"{self.module}.{self.name}"


@dataclass(frozen=True, slots=True)
class Storage:
    """Numbers in a row: the key they are kept under, their type and how many there are; ``first`` of a view."""

    key: str
    dtype: str
    count: int
    first: int = 0


@dataclass(frozen=True, slots=True)
class Tensor:
    """A view of a storage: first element, shape, and steps in elements."""

    storage: Storage
    offset: int
    shape: tuple[int, ...]
    steps: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Located:
    """A tensor and the place of its storage: a file and the first byte in it."""

    tensor: Tensor
    file: Path
    start: int

    @property
    def bytes(self) -> int:
        """Of all its elements."""
        count = SIZES[self.tensor.storage.dtype]
        for size in self.tensor.shape:
            count *= size
        return count


def storage(persistent: Any) -> Storage:
    """A storage as a pickle refers to it: ``("storage", class, key, device, count[, view])``.

    Raises:
        ConversionError: it is something else.
    """
    match persistent:
        case (
            "storage",
            Named(module="torch", name=name),
            str() | int() as key,
            str(),
            int() as count,
            *rest,
        ):
            pass
        case _:
            raise ConversionError(f"it refers to {_short(persistent)}, which is no storage of numbers")
    if name not in _KINDS or count < 0:
        raise ConversionError(f"it has a storage of {count} elements of {name}, which is not known here")
    match rest:
        case [] | [None]:
            return Storage(str(key), _KINDS[name], count)
        case [(str() | int(), int() as first, int() as size)] if first >= 0 and 0 <= size <= count - first:
            return Storage(str(key), _KINDS[name], size, first)
        case _:
            raise ConversionError("it has a view of a storage that ends behind it")


def tensor(arguments: tuple[Any, ...]) -> Tensor:
    """A tensor as ``_rebuild_tensor_v2(storage, offset, shape, steps, ...)`` is given it.

    Raises:
        ConversionError: it is not whole, or reaches out of its storage.
    """
    match arguments:
        case (Storage() as numbers, int() as offset, tuple() as shape, tuple() as steps, *_):
            pass
        case _:
            raise ConversionError("it has a tensor that does not say what it is")
    whole = all(type(number) is int and number >= 0 for number in (offset, *shape, *steps))
    if not whole or len(shape) != len(steps) or len(shape) > _MOST_DIMENSIONS:
        raise ConversionError(f"it has a tensor of shape {_short(shape)} and steps {_short(steps)}")
    elements = 1
    for size in shape:
        elements *= size
    last = offset + sum((size - 1) * step for size, step in zip(shape, steps, strict=True))
    if elements and (last >= numbers.count or elements > numbers.count):
        raise ConversionError(
            f"it has a tensor of shape {_short(shape)} in a storage of {numbers.count} elements"
        )
    # The step of a single element means nothing, and torch leaves any number there.
    steps = tuple(step if size > 1 else 1 for size, step in zip(shape, steps, strict=True))
    return Tensor(numbers, offset, shape, steps)


def _short(value: object) -> str:
    """Of nested values the kind alone: what a pickle nests may be deeper than ``repr`` goes."""
    if isinstance(value, tuple) and all(isinstance(part, int | str | Named) for part in value[:8]):
        return str(value[:8])[:80]
    return f"a {type(value).__name__}"
