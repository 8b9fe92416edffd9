"""BART and the architectures that share its layers: mBART, Marian, M2M100 (NLLB) and Pegasus.

What stands where in their checkpoints, and which of them normalise before a layer and which after it:
``transformers.models.{bart,mbart,marian,m2m_100,pegasus}`` 4.57.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from firstlight.build.convert.checkpoint import Floats
from firstlight.build.convert.ct2.settings import Settings
from firstlight.build.convert.ct2.tensors import Tensors

_PARTS, _OUT = ("q_proj", "k_proj", "v_proj"), "out_proj"
_OFFSET = 2
"""Rows of the tables of positions that fairseq keeps for padding."""


@dataclass(frozen=True, slots=True)
class _Kind:
    """What tells the architectures apart.

    Attributes:
        before: layers normalise what goes in, not what comes out.
        embedding: embeddings are normalised.
        positions: ``learned``, ``marian`` (sines, then cosines, in double precision) or ``fairseq``.
    """

    before: bool
    embedding: bool
    positions: str


_KINDS: Mapping[str, _Kind] = {
    "bart": _Kind(False, True, "learned"),
    "mbart": _Kind(True, True, "learned"),
    "marian": _Kind(False, False, "marian"),
    "m2m_100": _Kind(True, False, "fairseq"),
    "pegasus": _Kind(True, False, "marian"),
}
TYPES = tuple(_KINDS)


def specification(settings: Settings, tensors: Tensors) -> Any:
    """CTranslate2's specification of a model, filled.

    Args:
        settings: config.json.
        tensors: of the checkpoint.
    """
    from ctranslate2.specs import TransformerSpec

    kind = _KINDS[settings.type]
    spec = TransformerSpec.from_config(
        (settings.count("encoder_layers"), settings.count("decoder_layers")),
        settings.count("encoder_attention_heads"),
        pre_norm=kind.before,
        activation=settings.activation("activation_function"),
        layernorm_embedding=kind.embedding,
    )
    spec.decoder.num_heads = np.int16(settings.count("decoder_attention_heads"))
    _stack(spec.encoder, "encoder", settings, tensors)
    _stack(spec.decoder, "decoder", settings, tensors)
    _output(spec.decoder.projection, settings, tensors)
    return spec


def embedding(side: str, settings: Settings, tensors: Tensors) -> str:
    """Name of the table of one side's embeddings."""
    own = f"model.{side}.embed_tokens.weight"
    if settings.type == "marian" and not settings.get("share_encoder_decoder_embeddings", True):
        return own
    other = "decoder" if side == "encoder" else "encoder"
    return tensors.first("model.shared.weight", own, f"model.{other}.embed_tokens.weight", "lm_head.weight")


def _stack(spec: Any, side: str, settings: Settings, tensors: Tensors) -> None:
    table = spec.embeddings[0] if isinstance(spec.embeddings, list) else spec.embeddings
    table.weight = tensors.array(embedding(side, settings, tensors))
    width = settings.count("d_model")
    spec.scale_embeddings = math.sqrt(width) if settings.get("scale_embedding", False) else 1.0
    spec.position_encodings.encodings = _positions(f"model.{side}.embed_positions.weight", settings, tensors)
    if hasattr(spec, "layernorm_embedding"):
        tensors.norm(spec.layernorm_embedding, f"model.{side}.layernorm_embedding")
    if hasattr(spec, "layer_norm"):
        tensors.norm(spec.layer_norm, f"model.{side}.layer_norm")
    for number, layer in enumerate(spec.layer):
        _layer(layer, f"model.{side}.layers.{number}", tensors)


def _layer(spec: Any, name: str, tensors: Tensors) -> None:
    tensors.attention(spec.self_attention, f"{name}.self_attn", _PARTS, _OUT, own=True)
    tensors.norm(spec.self_attention.layer_norm, f"{name}.self_attn_layer_norm")
    if hasattr(spec, "attention"):
        tensors.attention(spec.attention, f"{name}.encoder_attn", _PARTS, _OUT, own=False)
        tensors.norm(spec.attention.layer_norm, f"{name}.encoder_attn_layer_norm")
    tensors.linear(spec.ffn.linear_0, f"{name}.fc1")
    tensors.linear(spec.ffn.linear_1, f"{name}.fc2")
    tensors.norm(spec.ffn.layer_norm, f"{name}.final_layer_norm")


def _output(spec: Any, settings: Settings, tensors: Tensors) -> None:
    tied = settings.get("tie_word_embeddings", True) or "lm_head.weight" not in tensors
    spec.weight = tensors.array(embedding("decoder", settings, tensors) if tied else "lm_head.weight")
    if "final_logits_bias" in tensors:
        bias = tensors.array("final_logits_bias").reshape(-1)
        if bias.any():
            spec.bias = bias


def _positions(name: str, settings: Settings, tensors: Tensors) -> Floats:
    kind = _KINDS[settings.type].positions
    if kind == "learned":
        return tensors.array(name)[_OFFSET:]
    if name in tensors and kind == "marian":
        return tensors.array(name)
    count, width = settings.count("max_position_embeddings"), settings.count("d_model")
    return marian_positions(count, width) if kind == "marian" else fairseq_positions(count, width)


def marian_positions(count: int, width: int) -> Floats:
    """Sines, then cosines, of position / 10000^(2i / width); [count, width]."""
    rates = np.power(10000, 2 * (np.arange(width) // 2) / width)
    angles = np.arange(count)[:, None] / rates
    half = (width + 1) // 2
    values = np.empty((count, width))
    values[:, :half], values[:, half:] = np.sin(angles[:, 0::2]), np.cos(angles[:, 1::2])
    return values.astype(np.float32)


def fairseq_positions(count: int, width: int) -> Floats:
    """Sines, then cosines, of (position + 2) / 10000^(i / (width / 2 - 1)), in single precision; [count, width]."""
    half = width // 2
    step = np.float32(math.log(10000) / (half - 1))
    rates = np.exp((np.arange(half, dtype=np.float32) * -step).astype(np.float64)).astype(np.float32)
    positions = np.arange(_OFFSET, count + _OFFSET, dtype=np.float32)
    angles = (positions[:, None] * rates[None, :]).astype(np.float64)
    values = np.zeros((count, width), np.float32)
    values[:, :half], values[:, half : 2 * half] = np.sin(angles), np.cos(angles)
    return values


def without_padding(spec: Any, start: int) -> bool:
    """Take the last row off a Marian model's vocabulary where that is what its decoder begins with: zeros.

    Marian has no such token; transformers put it there so that decoding could begin with an embedding of zeros, which
    CTranslate2 does without one. Where the row is not the last, or not zeros (a model trained with transformers
    alone), it stays, decoding begins with it, and it may not be generated.

    Args:
        start: id of the decoder's first token.

    Returns:
        Whether it was taken off.
    """
    table = spec.decoder.embeddings
    last = len(table.weight) - 1
    if start != last or table.weight[last].any():
        return False
    spec.decoder.start_from_zero_embedding = True
    for part in (spec.encoder.embeddings[0], table, spec.decoder.projection):
        if len(part.weight) == last + 1:
            part.weight = part.weight[:-1]
    if spec.decoder.projection.has_bias() and len(spec.decoder.projection.bias) == last + 1:
        spec.decoder.projection.bias = spec.decoder.projection.bias[:-1]
    return True
