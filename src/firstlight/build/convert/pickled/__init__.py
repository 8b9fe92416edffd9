"""Weights in pickle format (``pytorch_model.bin``), read without torch and without running anything in them.

A pickle is a program for a small machine. The one here (``machine``) has no functions: names in a pickle stay names,
and of those only the few that stand for tensors mean something. What a file asks for beyond that is refused by its
name. The numbers themselves are never pickled; they lie beside, and are copied from there to a safetensors file.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path

from firstlight.build.bundle import link_or_copy
from firstlight.build.convert.checkpoint import SCRATCH
from firstlight.build.convert.pickled import legacy, zipped
from firstlight.build.convert.pickled.tensors import Located
from firstlight.build.convert.pickled.writing import write
from firstlight.runtime.errors import ConversionError

SINGLE, INDEX = "pytorch_model.bin", "pytorch_model.bin.index.json"
_NOT_TAKEN = (".bin", ".pt", ".pth", ".ckpt", ".pkl", ".pickle", ".h5", ".msgpack", ".ot", ".safetensors")
_ZIP, _TAR = b"PK\x03\x04", b"ustar"
_TAR_AT = 257
_MOST_TIMES = 3
"""A file of so many times the size of the pickled ones is no model: tensors may share their numbers, but not often."""


def to_safetensors(folder: Path, out: Path) -> Path:
    """A folder that has the weights as ``model.safetensors``, and all other files linked or copied.

    Args:
        folder: holds ``pytorch_model.bin``, or the parts that ``pytorch_model.bin.index.json`` lists.
        out: an empty folder of the caller's.

    Returns:
        ``out``.

    Raises:
        ConversionError: a file is missing, damaged, or asks for more than tensors; nothing of it was run and ``out``
            has no weights then.
    """
    found: dict[str, Located] = {}
    files = _files(folder)
    for file in files:
        found |= read(file)
    whole = sum(tensor.bytes for tensor in found.values())
    if whole > _MOST_TIMES * sum(file.stat().st_size for file in files):
        raise ConversionError(f"{folder}: the tensors are {whole} bytes, far more than the files hold")
    made = out / SCRATCH / "model.safetensors"
    made.parent.mkdir(parents=True, exist_ok=True)
    write(found, made)
    (out / made.name).symlink_to(Path(SCRATCH) / made.name)
    for file in _others(folder):
        place = out / file.relative_to(folder)
        place.parent.mkdir(parents=True, exist_ok=True)
        link_or_copy(file.resolve(), place)
    return out


def read(file: Path) -> Mapping[str, Located]:
    """The tensors of one file by name, and where their numbers lie.

    Raises:
        ConversionError: see ``to_safetensors``.
    """
    try:
        with file.open("rb") as opened:
            start = opened.read(_TAR_AT + len(_TAR))
        if start.startswith(_ZIP):
            return zipped.read(file)
        if start[_TAR_AT:] == _TAR:
            hint = "load it with torch and save it again with save_pretrained"
            raise ConversionError(f"{file} is of a format that torch left in 2017", hint)
        return legacy.read(file)
    except FileNotFoundError:
        raise ConversionError(f"{file} is missing", "download it too") from None
    except OSError as error:
        raise ConversionError(f"{file} cannot be read: {error.strerror}", "download it again") from error


def _files(folder: Path) -> list[Path]:
    single, index = folder / SINGLE, folder / INDEX
    if single.is_file():
        return [single]
    if not index.is_file():
        raise ConversionError(f"{folder} has neither {SINGLE} nor {INDEX}", "download the weights too")
    try:
        names = sorted(set(json.loads(index.read_text(encoding="utf-8"))["weight_map"].values()))
        plain = [Path(name).name == name for name in names]
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise ConversionError(
            f"{index} does not list the files of the weights", "download it again"
        ) from error
    if not names or not all(plain):
        raise ConversionError(f"{index} names files outside its folder", "do not use this model")
    return [folder / name for name in names]


def _others(folder: Path) -> Iterator[Path]:
    """What a converter may look at besides the weights, in the folder and one below."""
    for file in sorted([*folder.glob("*"), *folder.glob("[!.]*/*")]):
        if file.is_file() and file.suffix not in _NOT_TAKEN and file.name != INDEX:
            yield file
