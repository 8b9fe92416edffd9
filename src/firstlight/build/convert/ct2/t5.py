"""T5 (and 1.1, Flan-T5, mT5): no positions but a bias of attention by distance, no biases, root-mean-square norms.

Names in checkpoints: ``transformers.models.t5.modeling_t5`` 4.57.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from firstlight.build.convert.ct2.settings import Settings
from firstlight.build.convert.ct2.tensors import Tensors

TYPES = ("t5", "mt5")
_PARTS, _OUT = ("q", "k", "v"), "o"
_EPSILON = 1e-6
_DISTANCE = 128


def specification(settings: Settings, tensors: Tensors) -> Any:
    """CTranslate2's specification of a model, filled."""
    from ctranslate2.specs import TransformerSpec

    gated, function = _activation(settings)
    layers = settings.count("num_layers")
    spec = TransformerSpec.from_config(
        (layers, settings.count("num_decoder_layers", layers)),
        settings.count("num_heads"),
        pre_norm=True,
        activation=function,
        ffn_glu=gated,
        relative_attention_bias=True,
        rms_norm=True,
    )
    tied = settings.get("tie_word_embeddings", True)
    _stack(spec.encoder, "encoder", settings, tensors)
    _stack(spec.decoder, "decoder", settings, tensors)
    output = _shared(tensors) if tied or "lm_head.weight" not in tensors else "lm_head.weight"
    spec.decoder.projection.weight = tensors.array(output)
    if tied:
        spec.decoder.scale_outputs = settings.count("d_model") ** -0.5
    epsilon = settings.number("layer_norm_epsilon", _EPSILON)
    if epsilon != _EPSILON:  # CTranslate2's own
        spec.config.layer_norm_epsilon = epsilon
    return spec


def _shared(tensors: Tensors) -> str:
    return tensors.first("shared.weight", "encoder.embed_tokens.weight", "decoder.embed_tokens.weight")


def _activation(settings: Settings) -> tuple[bool, Any]:
    """Whether the feed-forward layer has a gate, and its function (``T5Config``: "gated-gelu" is ``gelu_new``)."""
    named = str(settings.get("feed_forward_proj", "relu"))
    gate, _, function = named.rpartition("-")
    if named == "gated-gelu":
        function = "gelu_new"
    return gate == "gated", settings.activation("feed_forward_proj", function)


def _stack(spec: Any, side: str, settings: Settings, tensors: Tensors) -> None:
    table = spec.embeddings[0] if isinstance(spec.embeddings, list) else spec.embeddings
    table.weight = tensors.array(tensors.first("shared.weight", f"{side}.embed_tokens.weight"))
    spec.scale_embeddings = False
    tensors.norm(spec.layer_norm, f"{side}.final_layer_norm")
    buckets = tensors.array(f"{side}.block.0.layer.0.SelfAttention.relative_attention_bias.weight")
    distance = np.int32(settings.count("relative_attention_max_distance", _DISTANCE))
    for number, layer in enumerate(spec.layer):
        name = f"{side}.block.{number}.layer"
        own = layer.self_attention
        own.queries_scale = 1.0
        own.relative_attention_bias = buckets  # of the first layer, for all
        own.relative_attention_max_distance = distance
        tensors.attention(own, f"{name}.0.SelfAttention", _PARTS, _OUT, own=True)
        tensors.norm(own.layer_norm, f"{name}.0.layer_norm")
        if hasattr(layer, "attention"):
            layer.attention.queries_scale = 1.0
            tensors.attention(layer.attention, f"{name}.1.EncDecAttention", _PARTS, _OUT, own=False)
            tensors.norm(layer.attention.layer_norm, f"{name}.1.layer_norm")
        last = f"{name}.{2 if hasattr(layer, 'attention') else 1}"
        _feed_forward(layer.ffn, last, tensors)


def _feed_forward(spec: Any, name: str, tensors: Tensors) -> None:
    if hasattr(spec, "linear_0_noact"):
        tensors.linear(spec.linear_0, f"{name}.DenseReluDense.wi_0")
        tensors.linear(spec.linear_0_noact, f"{name}.DenseReluDense.wi_1")
    else:
        tensors.linear(spec.linear_0, f"{name}.DenseReluDense.wi")
    tensors.linear(spec.linear_1, f"{name}.DenseReluDense.wo")
    tensors.norm(spec.layer_norm, f"{name}.layer_norm")
