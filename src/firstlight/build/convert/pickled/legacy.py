"""``torch.save`` before 2020: pickles and numbers one behind the other.

A magic number, a protocol number, facts of the machine, the tensors, and the keys of the storages are a pickle each;
then, in the order of the keys, each storage is 8 bytes with its number of elements and the elements
(``_legacy_save`` in ``torch/serialization.py``).
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from io import BytesIO
from pathlib import Path

from firstlight.build.convert.pickled import machine
from firstlight.build.convert.pickled.tensors import SIZES, Located, Tensor
from firstlight.build.convert.pickled.zipped import named
from firstlight.runtime.errors import ConversionError

_MAGIC = 0x1950A86A20F9469CFC6C
_PROTOCOL = 1001
_COUNT = struct.Struct("<q")


def read(file: Path) -> Mapping[str, Located]:
    """The tensors of a file; see ``pickled.read``."""
    try:
        return _tensors(file)
    except ConversionError as error:
        raise ConversionError(f"{file} is refused: {error.message}", error.hint) from None


def _tensors(file: Path) -> dict[str, Located]:
    with file.open("rb") as opened:
        start = BytesIO(opened.read(machine.LARGEST))
    if machine.run(start) != _MAGIC or machine.run(start) != _PROTOCOL:
        raise ConversionError("it is not a file of torch.save")
    facts = machine.run(start)
    if not isinstance(facts, dict) or facts.get("little_endian") is not True:
        raise ConversionError("its numbers are stored with the highest byte first")
    found = named(machine.run(start))
    places = _places(file, machine.run(start), start.tell(), found)
    return {name: Located(tensor, file, places[tensor.storage.key]) for name, tensor in found.items()}


def _places(file: Path, keys: object, at: int, found: Mapping[str, Tensor]) -> dict[str, int]:
    """The first byte of each storage's elements."""
    storages = [tensor.storage for tensor in found.values()]
    sizes = {storage.key: SIZES[storage.dtype] for storage in storages}
    needed = dict.fromkeys(sizes, 0)
    for storage in storages:
        needed[storage.key] = max(needed[storage.key], storage.first + storage.count)
    if not isinstance(keys, list) or set(map(str, keys)) != set(sizes):
        raise ConversionError("its storages are not those of its tensors", "download it again")
    places: dict[str, int] = {}
    end = file.stat().st_size
    with file.open("rb") as opened:
        for key in map(str, keys):
            opened.seek(at)
            head = opened.read(_COUNT.size)
            count = _COUNT.unpack(head)[0] if len(head) == _COUNT.size else -1
            places[key] = at + _COUNT.size
            at = places[key] + count * sizes[key]
            if count < needed[key] or at > end:
                raise ConversionError(f"storage {key[:40]!r} is cut short", "download it again")
    return places
