"""A GGUF file as it is found: its header, read and checked as the engine does, and the bounds of its tensors."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from firstlight.build.gguf.elements import ELEMENTS
from firstlight.build.gguf.weights import Mapped
from firstlight.build.gguf.writer import Copied
from firstlight.runtime.engines.llama import checks, header
from firstlight.runtime.errors import ConversionError, EngineError

_AGAIN = "download it again; a GGUF file is written in one piece"


@dataclass(frozen=True, slots=True)
class File:
    """One GGUF file.

    Attributes:
        tensors: where each lies, by name.
    """

    path: Path
    header: header.Header
    tensors: dict[str, Mapped]

    @property
    def architecture(self) -> str:
        """``llama``, ``gptneox`` and so on; empty where the file does not say."""
        return self.header.architecture

    def value(self, key: str) -> Any:
        """A value of the metadata; None where there is none."""
        return self.header.values.get(key)

    def text(self, key: str) -> str:
        """A text of the metadata; empty where there is none."""
        found = self.value(key)
        return found if isinstance(found, str) else ""

    def number(self, key: str) -> int:
        """A whole number of the metadata; 0 where there is none."""
        found = self.value(key)
        return found if isinstance(found, int) and not isinstance(found, bool) else 0

    def entries(self) -> dict[str, Copied]:
        """The metadata as it stands in the file."""
        found = {}
        with self.path.open("rb") as opened:
            for key, (start, end) in self.header.places.items():
                opened.seek(start)
                found[key] = Copied(opened.read(end - start))
        return found


def read(path: Path) -> File:
    """Read the header of a file and place its tensors.

    Raises:
        ConversionError: it is no GGUF file, or is cut short.
    """
    try:
        found = header.read(str(path))
    except EngineError as error:
        raise ConversionError(error.message, error.hint) from error
    return File(path, found, {tensor.name: _placed(path, found, tensor) for tensor in found.tensors})


def approve(path: Path) -> None:
    """Read a file and check all that the engine checks before it loads one.

    Raises:
        ConversionError: the engine would not take it.
    """
    try:
        checks.check(read(path).header, str(path))
    except EngineError as error:
        raise ConversionError(error.message, error.hint) from error


def _placed(path: Path, found: header.Header, tensor: header.Weights) -> Mapped:
    if tensor.kind not in ELEMENTS:
        message = f"{path}: tensor {tensor.name!r} has element type {tensor.kind}, which is not known here"
        raise ConversionError(message, "the file may be newer than this version of firstlight")
    name, block, length = ELEMENTS[tensor.kind]
    count = 1
    for size in tensor.shape:
        count *= size
    if count < 1 or tensor.shape[0] % block:
        raise ConversionError(
            f"{path}: tensor {tensor.name!r} of {name} has the shape {tensor.shape}", _AGAIN
        )
    start = found.start + tensor.offset
    end = start + count // block * length
    if end > found.size:
        raise ConversionError(
            f"{path} is cut short: {tensor.name} ends at byte {end} of {found.size}", _AGAIN
        )
    return Mapped(path, start, tensor.shape[::-1], name)
