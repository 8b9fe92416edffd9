"""SentencePiece model files, read without the library.

A model is one protocol buffer (https://github.com/google/sentencepiece, ``sentencepiece_model.proto``); of its fields
those are read that decide how a text is cut. The encoding: a varint key of field number and wire type, then a varint,
8 bytes, 4 bytes, or a varint length and that many bytes (https://protobuf.dev/programming-guides/encoding).
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from firstlight.runtime.errors import ConversionError

NORMAL, UNKNOWN, CONTROL, USER_DEFINED, UNUSED, BYTE = 1, 2, 3, 4, 5, 6
UNIGRAM, BPE = 1, 2
_PIECES, _TRAINER, _NORMALIZER = 1, 2, 3
_VARINT, _EIGHT, _BYTES, _FOUR = 0, 1, 2, 5

Value = int | bytes


@dataclass(frozen=True, slots=True)
class Piece:
    """An entry of the vocabulary: its text (with U+2581 for a space), its score and its type."""

    text: str
    score: float = 0.0
    kind: int = NORMAL


@dataclass(slots=True)
class SentencePieces:
    """A model.

    Attributes:
        pieces: by id.
        kind: ``UNIGRAM`` or ``BPE``; words and characters are 3 and 4.
        unknown: id of the piece for what no other piece covers.
        byte_fallback: whether that is spelt out in pieces of single bytes instead.
        charsmap: what replaces characters before anything else; empty for none.
        dummy_prefix: whether a space is put before a text.
        trims: whether spaces around a text and repeated ones are removed.
    """

    pieces: list[Piece] = field(default_factory=list)
    kind: int = UNIGRAM
    unknown: int = 0
    byte_fallback: bool = False
    charsmap: bytes = b""
    dummy_prefix: bool = True
    trims: bool = True


def read(file: Path) -> SentencePieces:
    """The model in a file.

    Raises:
        ConversionError: there is no such file, it is not of this format, or its algorithm is not known here.
    """
    try:
        model = parsed(file.read_bytes())
    except OSError as error:
        raise ConversionError(f"{file} cannot be read: {error.strerror}", "download it again") from error
    except (ValueError, struct.error, IndexError) as error:
        raise ConversionError(f"{file} is not a SentencePiece model: {error}", "download it again") from error
    if model.kind not in (UNIGRAM, BPE):
        raise ConversionError(f"{file} cuts texts into words or characters, which is not known here")
    return model


def parsed(content: bytes) -> SentencePieces:
    """A model from its bytes.

    Raises:
        ValueError: it is not one.
    """
    model = SentencePieces()
    for number, value in _fields(content):
        if number == _PIECES and isinstance(value, bytes):
            model.pieces.append(_piece(value))
        elif number == _TRAINER and isinstance(value, bytes):
            _trainer(model, value)
        elif number == _NORMALIZER and isinstance(value, bytes):
            _normalizer(model, value)
    if not model.pieces:
        raise ValueError("it has no pieces")
    if not 0 <= model.unknown < len(model.pieces):
        raise ValueError(f"its unknown piece is number {model.unknown} of {len(model.pieces)}")
    return model


def _piece(content: bytes) -> Piece:
    text, score, kind = "", 0.0, NORMAL
    for number, value in _fields(content):
        if number == 1 and isinstance(value, bytes):
            text = value.decode("utf-8")
        elif number == 2 and isinstance(value, bytes):
            (score,) = struct.unpack("<f", value)
        elif number == 3 and isinstance(value, int):
            kind = value
    return Piece(text, score, kind)


def _trainer(model: SentencePieces, content: bytes) -> None:
    for number, value in _fields(content):
        if number == 3 and isinstance(value, int):
            model.kind = value
        elif number == 35 and isinstance(value, int):
            model.byte_fallback = bool(value)
        elif number == 40 and isinstance(value, int):
            model.unknown = value


def _normalizer(model: SentencePieces, content: bytes) -> None:
    for number, value in _fields(content):
        if number == 2 and isinstance(value, bytes):
            model.charsmap = value
        elif number == 3 and isinstance(value, int):
            model.dummy_prefix = bool(value)
        elif number == 4 and isinstance(value, int):
            model.trims = bool(value)


def _fields(content: bytes) -> Iterator[tuple[int, Value]]:
    """Number and value of each field of a message; numbers of fixed width as their bytes."""
    at = 0
    while at < len(content):
        key, at = _varint(content, at)
        number, wire = key >> 3, key & 7
        if wire == _VARINT:
            value, at = _varint(content, at)
            yield number, value
            continue
        if wire == _BYTES:
            length, at = _varint(content, at)
        elif wire in (_EIGHT, _FOUR):
            length = 8 if wire == _EIGHT else 4
        else:
            raise ValueError(f"a field has wire type {wire}")
        if at + length > len(content):
            raise ValueError(f"a field ends at byte {at + length} of {len(content)}")
        yield number, content[at : at + length]
        at += length


def _varint(content: bytes, at: int) -> tuple[int, int]:
    """A number of seven bits a byte, lowest first, and where the next field begins."""
    value = shift = 0
    while shift < 64:
        byte = content[at]
        at += 1
        value |= (byte & 127) << shift
        if byte < 128:
            return value, at
        shift += 7
    raise ValueError("a number is longer than 64 bits")
