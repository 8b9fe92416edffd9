"""``torch.save`` since 2020: a zip archive, stored, with ``data.pkl`` and one entry for each storage.

Format: ``torch/serialization.py`` and ``caffe2/serialize/inline_container.h`` of torch 2; zip: PKWARE's APPNOTE 4.3.
"""

from __future__ import annotations

import struct
import zipfile
from collections.abc import Mapping
from io import BytesIO
from pathlib import Path, PurePosixPath

from firstlight.build.convert.pickled import machine
from firstlight.build.convert.pickled.tensors import SIZES, Located, Tensor
from firstlight.runtime.errors import ConversionError

_PICKLE = "data.pkl"
_LOCAL = struct.Struct("<4s22xHH")
_ENCRYPTED = 1
_LITTLE = b"little"


def read(file: Path) -> Mapping[str, Located]:
    """The tensors of an archive; see ``pickled.read``."""
    try:
        with zipfile.ZipFile(file) as archive:
            return _tensors(file, archive)
    except ConversionError as error:
        raise ConversionError(f"{file} is refused: {error.message}", error.hint) from None
    except (zipfile.BadZipFile, struct.error, NotImplementedError, ValueError, EOFError) as error:
        raise ConversionError(f"{file} is a damaged archive: {error}", "download it again") from error


def _tensors(file: Path, archive: zipfile.ZipFile) -> dict[str, Located]:
    entries: dict[str, zipfile.ZipInfo] = {}
    for entry in archive.infolist():
        _check(entry)
        if entry.filename in entries:
            raise ConversionError(f"the archive has two entries named {entry.filename!r}")
        entries[entry.filename] = entry
    pickles = [name for name in entries if PurePosixPath(name).name == _PICKLE]
    if len(pickles) != 1:
        raise ConversionError(f"the archive has {len(pickles)} entries named {_PICKLE}; weights have one")
    base = pickles[0].removesuffix(_PICKLE)
    if f"{base}constants.pkl" in entries:
        raise ConversionError("the archive is a TorchScript program, not weights")
    if entries[pickles[0]].file_size > machine.LARGEST:
        raise ConversionError(f"its pickle has {entries[pickles[0]].file_size} bytes")
    order = entries.get(f"{base}byteorder")
    if order is not None and (order.file_size > len(_LITTLE) or archive.read(order) != _LITTLE):
        raise ConversionError("its numbers are stored with the highest byte first")
    described = machine.run(BytesIO(archive.read(pickles[0])))
    return {
        name: _located(file, entries, f"{base}data/", tensor) for name, tensor in named(described).items()
    }


def named(described: object) -> dict[str, Tensor]:
    """The tensors of a state_dict; values of other kinds are no weights and are left out.

    Raises:
        ConversionError: it is something else, or has no tensors.
    """
    if not isinstance(described, dict):
        raise ConversionError(f"it holds a {type(described).__name__}, not tensors by name")
    found = {name: tensor for name, tensor in described.items() if isinstance(tensor, Tensor)}
    if not found or not all(isinstance(name, str) and name != "__metadata__" for name in found):
        hint = "only the state_dict of a model is read; save it with save_pretrained"
        raise ConversionError("it holds no tensors by name", hint)
    return found


def _check(entry: zipfile.ZipInfo) -> None:
    path = PurePosixPath(entry.filename)
    if path.is_absolute() or ".." in path.parts or "\\" in entry.filename:
        raise ConversionError(
            f"the archive has an entry named {entry.filename[:80]!r}, which is outside of it"
        )
    if entry.compress_type != zipfile.ZIP_STORED or entry.compress_size != entry.file_size:
        raise ConversionError(f"entry {entry.filename[:80]!r} is compressed, which weights never are")
    if entry.flag_bits & _ENCRYPTED:
        raise ConversionError(f"entry {entry.filename[:80]!r} is encrypted")


def _located(file: Path, entries: Mapping[str, zipfile.ZipInfo], base: str, tensor: Tensor) -> Located:
    storage = tensor.storage
    entry = entries.get(base + storage.key)
    if entry is None or entry.file_size < SIZES[storage.dtype] * (storage.first + storage.count):
        raise ConversionError(f"storage {storage.key[:40]!r} is missing or too short", "download it again")
    with file.open("rb") as opened:
        opened.seek(entry.header_offset)
        magic, name, extra = _LOCAL.unpack(opened.read(_LOCAL.size))
    start = entry.header_offset + _LOCAL.size + name + extra
    if magic != b"PK\x03\x04" or start + entry.file_size > file.stat().st_size:
        raise ConversionError(f"storage {storage.key[:40]!r} ends behind the archive", "download it again")
    return Located(tensor, file, start)
