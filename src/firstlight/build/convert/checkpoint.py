"""The tensors of a model folder: safetensors read by its header, so that a graph can point into the file itself.

Format: 8 bytes little-endian length, that many bytes of JSON ``{name: {dtype, shape, data_offsets}}``, then the data
(https://github.com/huggingface/safetensors, "Format"). Pickled checkpoints are not opened
here; ``pickled`` makes a safetensors file of one.
"""

from __future__ import annotations

import json
import struct
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from firstlight.runtime.errors import ConversionError

Floats = NDArray[np.float32]

SCRATCH = ".unpickled"
"""A folder whose files are made for one conversion: nothing else uses them, so they may be linked instead of copied."""

_LONGEST_HEADER = 100_000_000
_RENAMED = ((".LayerNorm.gamma", ".LayerNorm.weight"), (".LayerNorm.beta", ".LayerNorm.bias"))
_DTYPES = {"F32": "<f4", "F16": "<f2", "BF16": "<u2", "F64": "<f8"}


@dataclass(frozen=True, slots=True)
class Entry:
    """Where one tensor lies: file, element type as safetensors names it, shape, first byte, bytes."""

    file: Path
    dtype: str
    shape: tuple[int, ...]
    offset: int
    length: int


class Checkpoint:
    """The tensors of a folder by name.

    Args:
        folder: holds ``model.safetensors``, the shards of ``model.safetensors.index.json``, or one ``*.safetensors``.

    Raises:
        ConversionError: no such file, or one that does not follow the format.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.entries: dict[str, Entry] = {}
        for file in _files(folder):
            self.entries.update(_read_header(file))

    def __contains__(self, name: str) -> bool:
        return name in self.entries

    def entry(self, name: str) -> Entry:
        """The place of a tensor; ConversionError when the checkpoint has none of that name."""
        try:
            return self.entries[name]
        except KeyError:
            message = f"{self.folder} has no tensor named {name!r}"
            hint = "config.json names an architecture the weights do not belong to, or the file is incomplete"
            raise ConversionError(message, hint) from None

    def array(self, name: str) -> Floats:
        """A tensor as float32; float32 tensors are views of the mapped file, others are copies."""
        entry = self.entry(name)
        if entry.dtype not in _DTYPES:
            raise ConversionError(f"tensor {name!r} in {entry.file} has element type {entry.dtype}")
        dtype = np.dtype(_DTYPES[entry.dtype])
        raw = np.memmap(entry.file, dtype=np.uint8, mode="r", offset=entry.offset, shape=(entry.length,))
        if entry.dtype == "BF16":
            values = (raw.view(dtype).astype(np.uint32) << 16).view(np.float32)
        else:
            values = np.frombuffer(raw.data, dtype=dtype).astype(np.float32, copy=False)
        return values.reshape(entry.shape)

    def prefix(self, names: tuple[str, ...], probe: str) -> str:
        """The first of ``names`` for which ``name + probe`` is a tensor; the last when none is."""
        return next((name for name in names if name + probe in self), names[-1])

    def pointable(self) -> Path | None:
        """The one file a float32 graph can point into as it is, None when the tensors have to be written anew."""
        files = {entry.file for entry in self.entries.values()}
        exact = all(
            e.dtype == "F32" and e.offset % 4 == 0 for e in self.entries.values() if e.dtype in _DTYPES
        )
        return files.pop() if exact and len(files) == 1 else None

    def write_float32(self, file: Path) -> None:
        """Write every floating-point tensor as float32, in the same format."""
        header: dict[str, object] = {"__metadata__": {"format": "pt"}}
        names = [name for name, entry in sorted(self.entries.items()) if entry.dtype in _DTYPES]
        position = 0
        for name in names:
            shape = self.entries[name].shape
            size = 4 * int(np.prod(shape, dtype=np.int64))
            header[name] = {"dtype": "F32", "shape": list(shape), "data_offsets": [position, position + size]}
            position += size
        text = json.dumps(header, separators=(",", ":")).encode()
        text += b" " * (-len(text) % 64)
        with file.open("wb") as out:
            out.write(struct.pack("<Q", len(text)) + text)
            for name in names:
                out.write(np.ascontiguousarray(self.array(name)).data)


def _files(folder: Path) -> list[Path]:
    single, index = folder / "model.safetensors", folder / "model.safetensors.index.json"
    if single.is_file():
        return [single]
    if index.is_file():
        try:
            names = sorted(set(json.loads(index.read_text(encoding="utf-8"))["weight_map"].values()))
            return [folder / Path(name).name for name in names]
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise ConversionError(
                f"{index} does not list the files of the weights", "download it again"
            ) from error
    others = sorted(folder.glob("*.safetensors"))
    if len(others) == 1:
        return others
    if any(folder.glob("*.bin")):
        hint = "allow_pickle lets them be read, by a reader that builds tensors and runs nothing"
        raise ConversionError(f"{folder} has no model.safetensors, only weights in pickle format", hint)
    raise ConversionError(
        f"{folder} has no model.safetensors", "give a folder as the Hugging Face hub keeps it"
    )


def _read_header(file: Path) -> dict[str, Entry]:
    try:
        size = file.stat().st_size
        with file.open("rb") as opened:
            (length,) = struct.unpack("<Q", opened.read(8))
            if length > min(size, _LONGEST_HEADER):
                raise ValueError(f"header of {length} bytes in a file of {size}")
            header = json.loads(opened.read(length))
        header.pop("__metadata__", None)
        return {_modern(name): _entry(file, 8 + length, size, info) for name, info in header.items()}
    except (OSError, ValueError, KeyError, TypeError, struct.error) as error:
        raise ConversionError(f"{file} is not a safetensors file: {error}", "download it again") from error


def _entry(file: Path, start: int, size: int, info: dict[str, object]) -> Entry:
    shape, offsets = info["shape"], info["data_offsets"]
    if not isinstance(shape, list) or not isinstance(offsets, list):
        raise TypeError("shape and data_offsets must be lists")
    first, last = (int(offset) for offset in offsets)
    if not 0 <= first <= last <= size - start:
        raise ValueError(f"a tensor ends at byte {start + last} of {size}")
    return Entry(file, str(info["dtype"]), tuple(int(n) for n in shape), start + first, last - first)


def _modern(name: str) -> str:
    for old, new in _RENAMED:
        if name.endswith(old):
            return name.removesuffix(old) + new
    return name
