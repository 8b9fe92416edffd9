"""Files of ggml from before GGUF (2023): magic ``ggml``, ``ggmf`` or ``ggjt``, read with every length checked.

Layout, little endian, as llama.cpp of May 2023, ggml's ``examples/gpt-neox`` and rustformers' ``llm`` wrote it:

    magic, version (not ``ggml``), sizes of the model (int32 each, the last is the file type)
    for each token: length, bytes, score (not ``ggml``)
    for each tensor: dimensions, length of the name, element type, sizes (features first), name,
                     zeros up to a multiple of 32 (``ggjt`` only), weights

The file type is ``1000 * version of the blocks + type`` where the writer says the version; llama.cpp did not, and then
it follows from the version of ``ggjt``: 1, 2 and 3 have blocks of version 0, 1 and 2.
"""

from __future__ import annotations

import mmap
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

from firstlight.build.gguf import old_blocks
from firstlight.runtime.errors import ConversionError

MAGICS = {b"tjgg": "ggjt", b"fmgg": "ggmf", b"lmgg": "ggml"}
_VERSIONS = {"ggjt": (1, 2, 3), "ggmf": (1,)}
_FACTOR = 1000
_LONGEST_NAME = 256
_LONGEST_TOKEN = 1 << 16
_ALIGNMENT = 32
_NEOX = ("tokens", "context", "features", "heads", "layers", "turning", "parallel", "file_type")
_LLAMA = ("tokens", "features", "multiple", "heads", "layers", "turning", "file_type")
LAYOUTS = {"gptneox": (_NEOX, "gpt_neox.embed_in.weight"), "llama": (_LLAMA, "tok_embeddings.weight")}
"""What the sizes mean, and a tensor that tells a model of this kind from others."""


@dataclass(frozen=True, slots=True)
class OldTensor:
    """Where one tensor lies.

    Attributes:
        shape: rows first, features of a row last.
        element: its type, as ``old_blocks`` names it.
    """

    shape: tuple[int, ...]
    element: str
    offset: int


@dataclass(frozen=True, slots=True)
class OldHeader:
    """What such a file says.

    Attributes:
        container: ``ggjt``, ``ggmf`` or ``ggml``.
        version: of the container; 0 for ``ggml``.
        architecture: ``gptneox`` or ``llama``.
        sizes: by the names of the layout; ``file_type`` without the version of the blocks.
        blocks: version of the blocks, 0 to 2.
        tokens: text and score of each.
    """

    file: Path
    container: str
    version: int
    architecture: str
    sizes: dict[str, int]
    blocks: int
    tokens: list[tuple[bytes, float]]
    tensors: dict[str, OldTensor]


def read(file: Path) -> OldHeader:
    """Read the header of a file.

    Raises:
        ConversionError: it is no such file, is cut short, or holds a model of another kind.
    """
    try:
        with file.open("rb") as opened:
            raw = mmap.mmap(opened.fileno(), 0, access=mmap.ACCESS_READ)
    except (OSError, ValueError) as error:
        raise ConversionError(f"{file} cannot be read: {error}", "check the path") from error
    with raw:
        container = MAGICS.get(raw[:4])
        if container is None:
            raise ConversionError(f"{file} is no file of ggml, ggmf or ggjt", "check the path")
        failures = []
        for architecture in LAYOUTS:
            try:
                return _Reader(raw, file, container).header(architecture)
            except ConversionError as error:
                failures.append(error)
    raise next((error for error in failures if not isinstance(error, _WrongLayout)), failures[0])


class _WrongLayout(ConversionError):
    """The sizes of a file make no sense read as those of one kind of model."""


class _Reader:
    """A place in the mapped file that never moves past its end."""

    def __init__(self, raw: mmap.mmap, file: Path, container: str) -> None:
        self.raw, self.file, self.container, self.at = raw, file, container, 4

    def fail(self, what: str) -> NoReturn:
        raise ConversionError(f"{self.file}: {what}", "download it again")

    def header(self, architecture: str) -> OldHeader:
        version = 0 if self.container == "ggml" else self.whole()
        if version not in _VERSIONS.get(self.container, (0,)):
            raise ConversionError(
                f"{self.file} is {self.container} of version {version}", "versions 1 to 3 are read"
            )
        names, telling = LAYOUTS[architecture]
        sizes = {name: self.whole() for name in names}
        self.check(architecture, sizes)
        blocks, sizes["file_type"] = self.blocks(version, sizes["file_type"])
        tokens = [self.token(version > 0) for _ in range(sizes["tokens"])]
        tensors: dict[str, OldTensor] = {}
        while self.at < len(self.raw):
            name, tensor = self.tensor(blocks)
            if name in tensors:
                self.fail(f"tensor {name!r} is there twice")
            tensors[name] = tensor
        if telling not in tensors:
            message = (
                f"{self.file} is a model of another kind; its tensors are {', '.join(sorted(tensors)[:3])}"
            )
            raise ConversionError(
                message, f"{self.container} files of {' and '.join(LAYOUTS)} models are converted"
            )
        return OldHeader(self.file, self.container, version, architecture, sizes, blocks, tokens, tensors)

    def check(self, architecture: str, sizes: dict[str, int]) -> None:
        """The sizes of one kind of model read as those of another are out of all proportion."""
        counted = ("tokens", "features", "heads", "layers")
        plausible = all(0 < sizes[name] < 1 << 24 for name in counted) and sizes["layers"] <= 1000
        if not plausible or sizes["features"] % sizes["heads"] or sizes.get("parallel", 0) not in (0, 1):
            raise _WrongLayout(
                f"{self.file}: its sizes are not those of a {architecture} model", "download it again"
            )
        if sizes["tokens"] * 4 > len(self.raw):
            raise _WrongLayout(
                f"{self.file}: {sizes['tokens']} tokens do not fit into it", "download it again"
            )

    def blocks(self, version: int, file_type: int) -> tuple[int, int]:
        blocks, kind = divmod(file_type, _FACTOR)
        if not blocks and self.container == "ggjt":
            blocks = version - 1
        if blocks not in old_blocks.VERSIONS or file_type < 0:
            raise _WrongLayout(f"{self.file}: blocks of version {blocks} are not known", "convert it again")
        return blocks, kind

    def whole(self) -> int:
        """A signed number of 32 bits."""
        return int.from_bytes(self.take(4, "a number"), "little", signed=True)

    def take(self, length: int, what: str) -> bytes:
        if not 0 <= length <= len(self.raw) - self.at:
            self.fail(
                f"{what} of {length} bytes at byte {self.at} does not fit into its {len(self.raw)} bytes"
            )
        self.at += length
        return self.raw[self.at - length : self.at]

    def token(self, scored: bool) -> tuple[bytes, float]:
        import struct

        length = self.whole()
        if not 0 <= length <= _LONGEST_TOKEN:
            raise _WrongLayout(f"{self.file}: a token of {length} bytes", "download it again")
        text = self.take(length, "a token")
        return text, struct.unpack("<f", self.take(4, "a score"))[0] if scored else 0.0

    def tensor(self, blocks: int) -> tuple[str, OldTensor]:
        dimensions, length, number = self.whole(), self.whole(), self.whole()
        if dimensions not in (1, 2) or not 0 < length <= _LONGEST_NAME:
            self.fail(f"a tensor of {dimensions} dimensions with a name of {length} bytes")
        shape = tuple(self.whole() for _ in range(dimensions))[::-1]
        name = self.take(length, "a name").decode("utf-8", "replace")
        element = old_blocks.element(number, blocks)
        if element is None:
            self.fail(
                f"tensor {name!r} has element type {number}, which blocks of version {blocks} do not have"
            )
        if min(shape) < 1 or shape[-1] % old_blocks.block(element):
            self.fail(f"tensor {name!r} of {element} has the shape {list(shape)}")
        if self.container == "ggjt":
            self.at = -(-self.at // _ALIGNMENT) * _ALIGNMENT
        size = old_blocks.row_bytes(shape[-1], element)
        for rows in shape[:-1]:
            size *= rows
        start = self.at
        if size > len(self.raw) - start:
            self.fail(f"it is cut short: {name} ends at byte {start + size} of {len(self.raw)}")
        self.at += size
        return name, OldTensor(shape, element, start)
