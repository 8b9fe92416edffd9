"""Writes a model as CTranslate2 opens it, with large tensors where they can be mapped.

The format is the one of ``ctranslate2.specs.ModelSpec.save`` (binary version 6): a header, then each tensor's name,
shape, element type, size and bytes, in the order of names, then aliases. CTranslate2 copies the file into memory of
each process. There a large tensor begins 128 bytes behind the start of a page; where its bytes lie so in the file
too, an idle worker can let the file stand in for its copy (``runtime.engines.ctranslate2_sharing``). A tensor of zeros
that nothing asks for goes before each large one to move it there.
"""

from __future__ import annotations

import json
import struct
from pathlib import Path
from typing import Any, BinaryIO

from firstlight.runtime.errors import ConversionError

VERSION = 6
PAGE, PLACE = 4096, 128
LARGE = 1 << 16
"""Bytes of a tensor that is worth a place of its own."""

FILLING = "firstlight/filling_"
"""How the tensors in between are called, followed by a number."""

_TYPES = ("float32", "int8", "int16", "int32", "float16", "bfloat16")
_INT8 = 1


def write(spec: Any, weights: str, out: Path) -> None:
    """Check a filled specification, bring its weights to an element type, and write it with its vocabularies.

    Args:
        spec: of ``ctranslate2.specs``.
        weights: ``float32``, ``float16`` or ``int8``.
        out: a folder.

    Raises:
        ConversionError: a tensor is missing or has another shape than the vocabulary.
    """
    try:
        spec.validate()
    except ValueError as error:
        message = f"the weights do not fit the architecture: {error}"
        raise ConversionError(
            message, "config.json is of another model, or the file is incomplete"
        ) from error
    spec.optimize(quantization=weights)
    with (out / "model.bin").open("wb") as file:
        _Writer(file).model(spec)
    spec.config.save_as_json(str(out / "config.json"))


def write_vocabularies(out: Path, *sides: list[str]) -> None:
    """The tokens of a decoder, or of an encoder and a decoder, by id."""
    named = {"vocabulary": sides[0]}
    if len(sides) == 2:
        alike = sides[0] == sides[1]
        named = {"shared_vocabulary": sides[0]} if alike else dict(zip(_TWO, sides, strict=True))
    for name, tokens in named.items():
        (out / f"{name}.json").write_text(json.dumps(tokens, indent=2), encoding="utf-8")


_TWO = ("source_vocabulary", "target_vocabulary")


class _Writer:
    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._at = 0

    def model(self, spec: Any) -> None:
        found = spec.variables(ordered=True)
        tensors = [(name, value) for name, value in found if not isinstance(value, str)]
        aliases = [(name, value) for name, value in found if isinstance(value, str)]
        large = sum(value.num_bytes() >= LARGE for _, value in tensors)
        self._put(struct.pack("<I", VERSION) + _text(spec.name))
        self._put(struct.pack("<II", spec.revision, len(tensors) + large))
        fillings = 0
        for name, value in tensors:
            head = _head(name, value.shape, _TYPES.index(value.dtype), value.num_bytes())
            if value.num_bytes() >= LARGE:
                self._fill(len(head), f"{FILLING}{fillings}")
                fillings += 1
            self._put(head)
            self._put(memoryview(value.numpy()).cast("B") if value.shape else value.to_bytes())
        self._put(struct.pack("<I", len(aliases)))
        for name, other in aliases:
            self._put(_text(name) + _text(other))

    def _fill(self, following: int, name: str) -> None:
        """A tensor so long that the one behind it, whose head has ``following`` bytes, lies in its place."""
        size = (PLACE - self._at - len(_head(name, [0], _INT8, 0)) - following) % PAGE
        self._put(_head(name, [size], _INT8, size) + bytes(size))

    def _put(self, content: bytes | memoryview) -> None:
        self._at += self._file.write(content)


def _text(text: str) -> bytes:
    content = text.encode()
    return struct.pack("<H", len(content) + 1) + content + b"\0"


def _head(name: str, shape: Any, kind: int, size: int) -> bytes:
    return _text(name) + struct.pack(f"<B{len(shape)}IBI", len(shape), *shape, kind, size)
