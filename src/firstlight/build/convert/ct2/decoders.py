"""Decoder-only models: GPT-2, GPT-NeoX (Pythia), Llama, Mistral and Qwen2.

Names in checkpoints and meanings in config.json: ``transformers.models.{gpt2,gpt_neox,llama,mistral,qwen2}`` 4.57.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from firstlight.build.convert.ct2.settings import Settings
from firstlight.build.convert.ct2.tensors import Tensors
from firstlight.runtime.errors import ConversionError

TYPES = ("gpt2", "gpt_neox", "llama", "mistral", "qwen2")
_LLAMA_PARTS, _LLAMA_OUT = ("q_proj", "k_proj", "v_proj"), "o_proj"
_EPSILON = 1e-5


def specification(settings: Settings, tensors: Tensors) -> Any:
    """CTranslate2's specification of a model, filled.

    Raises:
        ConversionError: a way of stretching positions that CTranslate2 does not have.
    """
    if settings.type == "gpt2":
        return _gpt2(settings, tensors)
    if settings.type == "gpt_neox":
        return _gpt_neox(settings, tensors)
    return _llama(settings, tensors)


def _gpt2(settings: Settings, tensors: Tensors) -> Any:
    from ctranslate2.specs import TransformerDecoderModelSpec

    spec = TransformerDecoderModelSpec.from_config(
        settings.count("n_layer"),
        settings.count("n_head"),
        pre_norm=True,
        activation=settings.activation("activation_function"),
    )
    top = "transformer." if "transformer.wte.weight" in tensors else ""
    decoder = spec.decoder
    decoder.scale_embeddings = False
    decoder.embeddings.weight = tensors.array(f"{top}wte.weight")
    decoder.position_encodings.encodings = tensors.array(f"{top}wpe.weight")
    decoder.projection.weight = tensors.array(tensors.first("lm_head.weight", f"{top}wte.weight"))
    tensors.norm(decoder.layer_norm, f"{top}ln_f")
    for number, layer in enumerate(decoder.layer):
        name = f"{top}h.{number}"
        tensors.norm(layer.self_attention.layer_norm, f"{name}.ln_1")
        tensors.linear(layer.self_attention.linear[0], f"{name}.attn.c_attn", transposed=True)
        tensors.linear(layer.self_attention.linear[1], f"{name}.attn.c_proj", transposed=True)
        tensors.norm(layer.ffn.layer_norm, f"{name}.ln_2")
        tensors.linear(layer.ffn.linear_0, f"{name}.mlp.c_fc", transposed=True)
        tensors.linear(layer.ffn.linear_1, f"{name}.mlp.c_proj", transposed=True)
    _epsilon(spec, settings.number("layer_norm_epsilon", _EPSILON))
    return spec


def _gpt_neox(settings: Settings, tensors: Tensors) -> Any:
    from ctranslate2.specs import TransformerDecoderModelSpec

    heads = settings.count("num_attention_heads")
    rope = _rope(settings)
    share = rope.get("partial_rotary_factor", settings.number("rotary_pct", 0.25))
    spec = TransformerDecoderModelSpec.from_config(
        settings.count("num_hidden_layers"),
        heads,
        pre_norm=True,
        activation=settings.activation("hidden_act"),
        rotary_dim=int(share * (settings.count("hidden_size") // heads)),
        rotary_interleave=False,
        rotary_base=rope.get("rope_theta", settings.number("rotary_emb_base", 10_000)),
        parallel_residual=settings.get("use_parallel_residual", True),
        shared_layer_norm=False,
    )
    decoder = spec.decoder
    decoder.scale_embeddings = False
    decoder.embeddings.weight = tensors.array("gpt_neox.embed_in.weight")
    decoder.projection.weight = tensors.array(tensors.first("embed_out.weight", "gpt_neox.embed_in.weight"))
    tensors.norm(decoder.layer_norm, "gpt_neox.final_layer_norm")
    for number, layer in enumerate(decoder.layer):
        name = f"gpt_neox.layers.{number}"
        parallel = hasattr(layer, "input_layer_norm")
        before = layer.input_layer_norm if parallel else layer.self_attention.layer_norm
        after = layer.post_attention_layer_norm if parallel else layer.ffn.layer_norm
        tensors.norm(before, f"{name}.input_layernorm")
        tensors.norm(after, f"{name}.post_attention_layernorm")
        _by_part(layer.self_attention.linear[0], f"{name}.attention.query_key_value", heads, tensors)
        tensors.linear(layer.self_attention.linear[1], f"{name}.attention.dense")
        tensors.linear(layer.ffn.linear_0, f"{name}.mlp.dense_h_to_4h")
        tensors.linear(layer.ffn.linear_1, f"{name}.mlp.dense_4h_to_h")
    _epsilon(spec, settings.number("layer_norm_eps", _EPSILON))
    return spec


def _by_part(spec: Any, name: str, heads: int, tensors: Tensors) -> None:
    """Rows come head by head, each with its query, key and value; they have to be all queries, all keys, all values."""
    tensors.linear(spec, name)
    rows, width = spec.weight.shape
    spec.weight = np.ascontiguousarray(
        spec.weight.reshape(heads, 3, -1, width).swapaxes(0, 1).reshape(rows, width)
    )
    if spec.has_bias():
        spec.bias = np.ascontiguousarray(spec.bias.reshape(heads, 3, -1).swapaxes(0, 1).reshape(rows))


def _llama(settings: Settings, tensors: Tensors) -> Any:
    from ctranslate2.specs import Activation, TransformerDecoderModelSpec

    heads = settings.count("num_attention_heads")
    shared = settings.count("num_key_value_heads", heads)
    rope = _rope(settings)
    scaling, factor = _scaling(settings, rope)
    width = settings.count("hidden_size") // heads
    own = settings.count("head_dim", width)
    spec = TransformerDecoderModelSpec.from_config(
        settings.count("num_hidden_layers"),
        heads,
        activation=Activation.SWISH,
        pre_norm=True,
        ffn_glu=True,
        rms_norm=True,
        rotary_dim=0,
        rotary_interleave=False,
        rotary_scaling_type=scaling,
        rotary_scaling_factor=factor,
        rotary_base=rope.get("rope_theta", settings.number("rope_theta", 10_000)),
        num_heads_kv=None if shared == heads else shared,
        head_dim=None if own == width else own,
        sliding_window=settings.get("sliding_window") if settings.type == "mistral" else None,
    )
    decoder = spec.decoder
    decoder.scale_embeddings = False
    decoder.embeddings.weight = tensors.array("model.embed_tokens.weight")
    decoder.projection.weight = tensors.array(tensors.first("lm_head.weight", "model.embed_tokens.weight"))
    tensors.norm(decoder.layer_norm, "model.norm")
    for number, layer in enumerate(decoder.layer):
        name = f"model.layers.{number}"
        tensors.norm(layer.self_attention.layer_norm, f"{name}.input_layernorm")
        tensors.norm(layer.ffn.layer_norm, f"{name}.post_attention_layernorm")
        tensors.attention(layer.self_attention, f"{name}.self_attn", _LLAMA_PARTS, _LLAMA_OUT, own=True)
        tensors.linear(layer.ffn.linear_0, f"{name}.mlp.gate_proj")
        tensors.linear(layer.ffn.linear_0_noact, f"{name}.mlp.up_proj")
        tensors.linear(layer.ffn.linear_1, f"{name}.mlp.down_proj")
    spec.config.layer_norm_epsilon = settings.number("rms_norm_eps", 1e-6)
    return spec


def _rope(settings: Settings) -> Mapping[str, Any]:
    """How positions turn: ``rope_parameters`` (transformers 5) or ``rope_scaling`` (before)."""
    found = settings.get("rope_parameters") or settings.get("rope_scaling") or {}
    return found if isinstance(found, Mapping) else {}


def _scaling(settings: Settings, rope: Mapping[str, Any]) -> tuple[Any, float]:
    from ctranslate2.specs import RotaryScalingType

    kind = rope.get("rope_type") or rope.get("type") or "default"
    if kind == "default":
        return None, 1
    if kind == "linear":
        return RotaryScalingType.Linear, rope.get("factor", 1)
    raise ConversionError(
        f"{settings.file}: positions are stretched by {kind!r}, which CTranslate2 does in another way",
        "serve the model as GGUF, by the engine llama",
    )


def _epsilon(spec: Any, value: float) -> None:
    if value != _EPSILON:  # CTranslate2's own
        spec.config.layer_norm_epsilon = value
