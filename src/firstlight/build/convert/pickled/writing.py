"""Tensors from where they lie into one safetensors file, without holding more than a part of one."""

from __future__ import annotations

import json
import struct
from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from firstlight.build.convert.pickled.tensors import SIZES, Located

_PART = 16 << 20
_ALIGNMENT = 64


def write(found: Mapping[str, Located], file: Path) -> None:
    """Write a file; the same tensors give the same bytes. Nothing is left of one that could not be finished."""
    # Wide elements first: then none of them begins at an address that is no multiple of its size.
    names = sorted(found, key=lambda name: (-SIZES[found[name].tensor.storage.dtype], name))
    header: dict[str, object] = {"__metadata__": {"format": "pt"}}
    position = 0
    for name in names:
        tensor, end = found[name].tensor, position + found[name].bytes
        dtype = tensor.storage.dtype
        header[name] = {"dtype": dtype, "shape": list(tensor.shape), "data_offsets": [position, end]}
        position = end
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-(len(text) + 8) % _ALIGNMENT)
    try:
        with file.open("wb") as out:
            out.write(struct.pack("<Q", len(text)) + text)
            for name in names:
                for part in _parts(found[name]):
                    out.write(part.data)
    except BaseException:
        file.unlink(missing_ok=True)
        raise


def _parts(located: Located) -> Iterator[NDArray[np.uint8]]:
    """The bytes of a tensor in order, in parts of whole rows."""
    tensor = located.tensor
    if not located.bytes:
        return
    storage = tensor.storage
    size = SIZES[storage.dtype]
    first = located.start + size * (storage.first + tensor.offset)
    length = size * (1 + sum((n - 1) * step for n, step in zip(tensor.shape, tensor.steps, strict=True)))
    raw = np.memmap(located.file, dtype=np.uint8, mode="r", offset=first, shape=(length,))
    if _in_order(tensor.shape, tensor.steps):
        for at in range(0, length, _PART):
            yield raw[at : at + _PART]
        return
    elements = np.frombuffer(raw, dtype=np.dtype(f"<u{size}"))
    steps = [size * step for step in tensor.steps]
    view = np.lib.stride_tricks.as_strided(elements, tensor.shape, steps, writeable=False)
    rows = max(1, _PART // max(1, located.bytes // tensor.shape[0]))
    for at in range(0, tensor.shape[0], rows):
        yield np.ascontiguousarray(view[at : at + rows]).view(np.uint8)


def _in_order(shape: tuple[int, ...], steps: tuple[int, ...]) -> bool:
    """Whether the elements lie one behind the other; the step of a single one does not matter."""
    expected = 1
    for size, step in zip(reversed(shape), reversed(steps), strict=True):
        if size > 1 and step != expected:
            return False
        expected *= size
    return True
