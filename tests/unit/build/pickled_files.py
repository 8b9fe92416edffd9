"""Files as torch.save writes them, put together by hand, and the pickles of attackers."""

from __future__ import annotations

import struct
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

STOP = b"."
ORDERED = b"ccollections\nOrderedDict\n)R"
KINDS = {
    "float32": b"FloatStorage",
    "float16": b"HalfStorage",
    "int64": b"LongStorage",
    "bool": b"BoolStorage",
}


def text(value: str) -> bytes:
    content = value.encode()
    return b"X" + struct.pack("<I", len(content)) + content


def number(value: int) -> bytes:
    return b"J" + struct.pack("<i", value)


def numbers(values: Sequence[int]) -> bytes:
    return b"(" + b"".join(map(number, values)) + b"t"


def storage(key: str, count: int, kind: bytes = b"FloatStorage", more: bytes = b"") -> bytes:
    return (
        b"("
        + text("storage")
        + b"ctorch\n"
        + kind
        + b"\n"
        + text(key)
        + text("cpu")
        + number(count)
        + more
        + b"tQ"
    )


def tensor(
    key: str, count: int, shape: Sequence[int], steps: Sequence[int], offset: int = 0, kind: bytes = b"FloatStorage",
    more: bytes = b"",
) -> bytes:  # fmt: skip
    arguments = storage(key, count, kind, more) + number(offset) + numbers(shape) + numbers(steps)
    return b"ctorch._utils\n_rebuild_tensor_v2\n(" + arguments + b"\x89" + ORDERED + b"tR"


def state(entries: Mapping[str, bytes]) -> bytes:
    """A state_dict with the attribute torch gives it."""
    pairs = b"".join(text(name) + value for name, value in entries.items())
    attributes = b"}" + text("_metadata") + ORDERED + b"s"
    return ORDERED + b"(" + pairs + b"u" + attributes + b"b"


def of(arrays: Mapping[str, np.ndarray]) -> bytes:
    """The state_dict of arrays, each in a storage of its own numbered from 0."""
    entries = {}
    for key, (name, array) in enumerate(arrays.items()):
        steps = [step // array.itemsize for step in array.strides]
        entries[name] = tensor(str(key), array.size, array.shape, steps, kind=KINDS[array.dtype.name])
    return b"\x80\x02" + state(entries) + STOP


def zipped(file: Path, pickle: bytes, storages: Mapping[str, bytes], **more: bytes) -> Path:
    file.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("model/data.pkl", pickle)
        archive.writestr("model/byteorder", b"little")
        for key, content in storages.items():
            archive.writestr(f"model/data/{key}", content)
        for name, content in more.items():
            archive.writestr(name, content)
    return file


def saved(file: Path, arrays: Mapping[str, np.ndarray]) -> Path:
    """As torch.save has written it since 2020."""
    return zipped(file, of(arrays), {str(key): array.tobytes() for key, array in enumerate(arrays.values())})


def saved_long_ago(file: Path, arrays: Mapping[str, np.ndarray], pickle: bytes | None = None) -> Path:
    """As torch.save wrote it before."""
    file.parent.mkdir(parents=True, exist_ok=True)
    magic = b"\x80\x02\x8a\x0al\xfc\x9cF\xf9 j\xa8P\x19."
    facts = b"\x80\x02}" + text("little_endian") + b"\x88s."
    keys = b"\x80\x02](" + b"".join(text(str(key)) for key in range(len(arrays))) + b"e."
    views = {}
    for key, (name, array) in enumerate(arrays.items()):
        steps = [step // array.itemsize for step in array.strides]
        views[name] = tensor(
            str(key), array.size, array.shape, steps, kind=KINDS[array.dtype.name], more=b"N"
        )
    data = b"".join(struct.pack("<q", array.size) + array.tobytes() for array in arrays.values())
    whole = pickle if pickle is not None else b"\x80\x02" + state(views) + STOP
    file.write_bytes(magic + b"\x80\x02M\xe9\x03." + facts + whole + keys + data)
    return file
