"""The names weights are quantised under, and what each makes of every tensor.

Names and numbers are llama.cpp's (``enum llama_ftype``). A name ending in ``_m`` is a mixture: the tensors whose errors
show most are kept in more bits. Which these are follows llama.cpp's choice of 2023, when K-quants were made: the last
projection, half of the value and down projections, and a fused query-key-value projection.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from firstlight.build.gguf import elements
from firstlight.runtime.errors import ConversionError

SMALL = 500_000_000
"""Models of up to so many weights become q8_0 where nothing is asked for, larger ones q4_k_m."""

SLOW = "q5_1"
"""The slowest on a CPU (docs/gguf.md has figures)."""


@dataclass(frozen=True, slots=True)
class Quantisation:
    """One way of making weights smaller.

    Attributes:
        file_type: its number in ``general.file_type``.
        element: type of most tensors.
        sensitive: type of the half of value and down projections that is kept in more bits.
        fused: type of a fused query-key-value projection.
        last: type of the last projection (and of the embeddings where these are the same tensor).
    """

    name: str
    file_type: int
    element: str
    sensitive: str
    fused: str
    last: str


def _plain(name: str, file_type: int, last: str = "") -> Quantisation:
    return Quantisation(name, file_type, name, name, name, last or name)


QUANTISATIONS = {
    found.name: found
    for found in (
        _plain("f32", 0),
        _plain("f16", 1),
        _plain("bf16", 32),
        _plain("q8_0", 7),
        _plain("q6_k", 18),
        Quantisation("q5_k_m", 17, "q5_k", "q6_k", "q6_k", "q6_k"),
        _plain("q5_1", 9, "q6_k"),
        _plain("q5_0", 8, "q6_k"),
        Quantisation("q4_k_m", 15, "q4_k", "q6_k", "q5_k", "q6_k"),
        _plain("q4_1", 3, "q6_k"),
        _plain("q4_0", 2, "q6_k"),
    )
}
_ALIASES = {"fp32": "f32", "fp16": "f16"}
_FALLBACK = {"q4_k": "q5_0", "q5_k": "q8_0", "q6_k": "q8_0"}
"""Rows that do not divide into blocks of 256. llama.cpp takes q5_1 for q5_k; that one is slow."""
_LAYER = re.compile(r"blk\.(\d+)\.(.*)\.weight")
_LAST = "output.weight"
_EMBEDDINGS = "token_embd.weight"
_EXACT = ("position_embd.weight", "rope_freqs.weight")


def named(precision: str) -> Quantisation:
    """The quantisation of a name in any case.

    Raises:
        ConversionError: none has it.
    """
    name = precision.lower()
    found = QUANTISATIONS.get(_ALIASES.get(name, name))
    if found is None:
        known = ", ".join(QUANTISATIONS)
        raise ConversionError(f"a language model cannot be quantised as {precision!r}", f"kinds: {known}")
    return found


def chosen(precision: str | None, weights: int) -> Quantisation:
    """The quantisation that is asked for, or what fits a model of that many weights."""
    return named(precision or ("q8_0" if weights <= SMALL else "q4_k_m"))


def of_file(file_type: int | None) -> str | None:
    """The name behind ``general.file_type``; None for one that is not made here."""
    return next((found.name for found in QUANTISATIONS.values() if found.file_type == file_type), None)


def element_for(kind: Quantisation, name: str, shape: tuple[int, ...], layers: int, tied: bool) -> str:
    """The type one tensor is written in.

    Args:
        name: as GGUF has it.
        shape: rows first, features of a row last.
        layers: of the model.
        tied: whether the embeddings are the last projection too.
    """
    if len(shape) < 2 or name in _EXACT:
        return "f32"
    element = _wished(kind, name, layers, tied)
    if shape[-1] % elements.block(element):
        element = _FALLBACK.get(element, element)
    return "f16" if shape[-1] % elements.block(element) else element


def _wished(kind: Quantisation, name: str, layers: int, tied: bool) -> str:
    if name == _LAST or (tied and name == _EMBEDDINGS):
        return kind.last
    found = _LAYER.fullmatch(name)
    if found is None:
        return kind.element
    if found[2] == "attn_qkv":
        return kind.fused
    if found[2] in ("attn_v", "ffn_down") and _more_bits(int(found[1]), layers):
        return kind.sensitive
    return kind.element


def _more_bits(layer: int, layers: int) -> bool:
    """The first and last eighth of the layers, and every third between them."""
    eighth = layers // 8
    return layer < eighth or layer >= 7 * layers // 8 or (layer - eighth) % 3 == 2
