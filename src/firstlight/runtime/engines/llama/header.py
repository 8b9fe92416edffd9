"""What stands at the head of a GGUF file: metadata and the list of tensors, read without the library.

The format: github.com/ggml-org/ggml/blob/master/docs/gguf.md. Nothing is believed: every count and length is compared
with the size of the file before it is used.
"""

from __future__ import annotations

import os
from _struct import Struct
from _struct import error as StructError  # type: ignore[attr-defined]  # noqa: N812

from firstlight.runtime.errors import EngineError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

VERSIONS = (2, 3)
ALIGNMENT = 32
"""Bytes that the weights are aligned to where ``general.alignment`` does not say."""

TOKENS = "tokenizer.ggml.tokens"
_MOST_DIMENSIONS, _LONGEST_NAME = 4, 63
_KEPT = 4096  # numbers of an array that are kept: as many as there can be layers, not as there are tokens

# Value types (gguf_type); the numbers with their format in struct.
STRING, ARRAY = 8, 9
_FORMS = {
    kind: Struct(f"<{form}")
    for kind, form in zip((0, 1, 2, 3, 4, 5, 6, 7, 10, 11, 12), "BbHhIif?Qqd", strict=True)
}
_HEAD, _LENGTH, _COUNT, _ARRAY_HEAD = Struct("<4sIQQ"), Struct("<Q"), Struct("<I"), Struct("<IQ")

_AGAIN = "fetch or convert the file again"
_OTHERS = (
    (b"lmgg", "a GGML file from before GGUF", "convert it to GGUF"),
    (b"fmgg", "a GGMF file from before GGUF", "convert it to GGUF"),
    (b"tjgg", "a GGJT file from before GGUF", "firstlight converts it: serve the file itself"),
    (
        b"PK\3\4",
        "a zip archive, as PyTorch writes them",
        "serve the folder of the model, or convert it to GGUF",
    ),
    (b"version https://git-lfs", "a Git LFS pointer in place of the file", "run `git lfs pull`"),
    (b"<", "a web page", "the download was refused or redirected"),
)


class Array:
    """An array of the metadata.

    Attributes:
        kind: the value type (gguf_type) of its items.
        count: how many it has.
        items: the items: all tokens as bytes, numbers where they are few, otherwise none.
    """

    __slots__ = ("count", "items", "kind")

    def __init__(self, kind: int, count: int, items: Sequence[Any]) -> None:
        self.kind = kind
        self.count = count
        self.items = items


class Weights:
    """A tensor: ``name``, ``shape`` (innermost first), ``kind`` (ggml_type), ``offset`` from the header's ``start``."""

    __slots__ = ("kind", "name", "offset", "shape")

    def __init__(self, name: str, shape: tuple[int, ...], kind: int, offset: int) -> None:
        self.name = name
        self.shape = shape
        self.kind = kind
        self.offset = offset


class Header:
    """Everything before the weights.

    Attributes:
        values: metadata by key; numbers, texts, and ``Array``.
        tensors: in the file's order.
        start: where in the file the weights begin.
        size: bytes of the whole file.
        places: where the entry of each key of the metadata begins and ends.
    """

    def __init__(
        self,
        values: dict[str, Any],
        tensors: list[Weights],
        start: int,
        size: int,
        places: dict[str, tuple[int, int]] | None = None,
    ) -> None:
        self.values = values
        self.places = places or {}
        self.tensors = tensors
        self.start = start
        self.size = size

    @property
    def architecture(self) -> str:
        """The name by which libllama knows how the layers are put together; empty where there is none."""
        found = self.values.get("general.architecture")
        return found if isinstance(found, str) else ""

    def own(self, key: str) -> Any:
        """A value that the architecture names its own, such as ``context_length``; None where there is none."""
        return self.values.get(f"{self.architecture}.{key}")


class Damaged(Exception):
    """The bytes are not a header; ``str()`` says why, after the name of the file."""


def read(path: str) -> Header:
    """Read the header of a GGUF file.

    Raises:
        EngineError: the file cannot be opened, is something else, or is damaged.
    """
    import mmap

    try:
        descriptor = os.open(path, os.O_RDONLY)
    except OSError as error:
        raise EngineError(f"{path} cannot be opened ({error.strerror})") from error
    try:
        size = os.fstat(descriptor).st_size
        if size < _HEAD.size:
            raise EngineError(f"{path} has {size} bytes, too few for a GGUF file", _AGAIN)
        with mmap.mmap(descriptor, size, access=mmap.ACCESS_READ) as content:
            return parsed(content, size)
    except (Damaged, StructError, OverflowError) as error:
        reason = str(error) if isinstance(error, Damaged) else "its header ends in the middle of a value"
        raise EngineError(f"{path}: {reason}", _AGAIN) from error
    except OSError as error:
        raise EngineError(f"{path} cannot be read ({error.strerror})") from error
    finally:
        os.close(descriptor)


def parsed(content: Any, size: int) -> Header:
    """The header at the beginning of bytes (or a map of them).

    Raises:
        Damaged: they hold none.
        struct.error: they end before it does.
    """
    magic, version, tensors, values = _HEAD.unpack_from(content, 0)
    if magic != b"GGUF":
        raise Damaged(_other(content[:32]))
    if version not in VERSIONS:
        known = " or ".join(map(str, VERSIONS))
        swapped = "; it may be written for big-endian machines" if version & 0xFFFF == 0 else ""
        raise Damaged(f"it is GGUF of version {version}, not {known}{swapped}")
    reader = _Reader(content, size, _HEAD.size)
    metadata = reader.metadata(values)
    weights = reader.tensors(tensors)
    alignment = metadata.get("general.alignment", ALIGNMENT)
    if type(alignment) is not int or alignment <= 0 or alignment % ALIGNMENT or alignment & (alignment - 1):
        # libllama ends the process where weights do not lie on multiples of 32.
        raise Damaged(f"general.alignment is {alignment!r}, not a power of two from {ALIGNMENT} on")
    return Header(metadata, weights, -(-reader.at // alignment) * alignment, size, reader.places)


def _other(start: bytes) -> str:
    for magic, what, hint in _OTHERS:
        if start.lstrip().startswith(magic):
            return f"it is {what}, not GGUF; {hint}"
    return f"it is not a GGUF file: it begins with {start[:4]!r}"


class _Reader:
    """Walks over the bytes of a header."""

    def __init__(self, content: Any, size: int, at: int) -> None:
        self._content = content
        self._size = size
        self.at = at
        self.places: dict[str, tuple[int, int]] = {}

    def metadata(self, count: int) -> dict[str, Any]:
        if count > self._size // 13:  # a key's length, a type and a byte
            raise Damaged(f"it claims {count} metadata values, more than it has room for")
        found: dict[str, Any] = {}
        for _ in range(count):
            start = self.at
            key = self._text()
            if key in found:
                raise Damaged(f"its metadata has {key!r} twice")
            (kind,) = self._numbers(_COUNT)
            found[key] = self._value(kind, key)
            self.places[key] = (start, self.at)
        return found

    def tensors(self, count: int) -> list[Weights]:
        if count > self._size // 24:  # a name's length, a number of dimensions, a type and an offset
            raise Damaged(f"it claims {count} tensors, more than it has room for")
        found: dict[str, Weights] = {}
        for _ in range(count):
            name = self._text()
            (dimensions,) = self._numbers(_COUNT)
            if not 1 <= dimensions <= _MOST_DIMENSIONS or not 1 <= len(name) <= _LONGEST_NAME:
                raise Damaged(
                    f"the tensor {name[:_LONGEST_NAME]!r} has {dimensions} dimensions or no proper name"
                )
            shape = self._numbers(Struct(f"<{dimensions}Q"))
            if name in found:
                raise Damaged(f"it has the tensor {name!r} twice")
            found[name] = Weights(name, shape, *self._numbers(_ARRAY_HEAD))
        return list(found.values())

    def _numbers(self, form: Struct) -> tuple[Any, ...]:
        values = form.unpack_from(self._content, self.at)
        self.at += form.size
        return values

    def _text(self) -> str:
        (length,) = self._numbers(_LENGTH)
        end = self.at + length
        if end > self._size:
            raise Damaged("a text in its header is longer than the file")
        raw: bytes = self._content[self.at : end]
        self.at = end
        return raw.decode("utf-8", "replace")

    def _value(self, kind: int, key: str) -> Any:
        if kind == STRING:
            return self._text()
        if kind == ARRAY:
            return self._array(key)
        if kind not in _FORMS:
            raise Damaged(f"its metadata value {key!r} has the unknown type {kind}")
        return self._numbers(_FORMS[kind])[0]

    def _array(self, key: str) -> Array:
        kind, count = self._numbers(_ARRAY_HEAD)
        if kind == STRING:
            return Array(kind, count, self._texts(count, key))
        if kind not in _FORMS:
            raise Damaged(f"its metadata array {key!r} has items of the unknown type {kind}")
        form = _FORMS[kind]
        if count > (self._size - self.at) // form.size:
            raise Damaged(f"its metadata array {key!r} is longer than the file")
        items: Sequence[Any] = ()
        if count <= _KEPT:
            items = Struct(f"<{count}{form.format[1:]}").unpack_from(self._content, self.at)
        self.at += count * form.size
        return Array(kind, count, items)

    def _texts(self, count: int, key: str) -> list[bytes]:
        """Skip the texts of an array, which can be a few hundred thousand, and keep them where they are the tokens."""
        if count > (self._size - self.at) // 8:
            raise Damaged(f"its metadata array {key!r} is longer than the file")
        unpack, content, at, found = _LENGTH.unpack_from, self._content, self.at, []
        if key == TOKENS:
            for _ in range(count):
                (length,) = unpack(content, at)
                start = at + 8
                at = start + length
                found.append(content[start:at])
        else:
            for _ in range(count):
                (length,) = unpack(content, at)
                at += 8 + length
        if at > self._size:
            raise Damaged(f"a text in its metadata array {key!r} is longer than the file")
        self.at = at
        return found
