"""GPT-2 and its distilled form."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from firstlight.build.gguf.model import Plan, Tensors, is_set, layers, whole
from firstlight.build.gguf.writer import Content, Value
from firstlight.runtime.errors import ConversionError

PREFIXES = ("transformer.",)
_UNLIKE = ("scale_attn_by_inverse_layer_idx", "add_cross_attention")
_NORMS = {"ln_1": "attn_norm", "ln_2": "ffn_norm"}


def plan(architecture: str, config: Mapping[str, Any], tensors: Tensors) -> Plan:
    """Metadata and tensors of a model of this family."""
    _check(config)
    count, features = layers(config, "n_layer"), whole(config, "n_embd")
    heads, context = whole(config, "n_head"), whole(config, "n_positions")
    inner = whole(config, "n_inner") if config.get("n_inner") else 4 * features
    rows = tensors.rows("wte.weight")
    tied = is_set(config, "tie_word_embeddings", True)
    content: dict[str, Content] = {
        "token_embd.weight": tensors.take("wte.weight", rows, features),
        "position_embd.weight": tensors.take("wpe.weight", context, features),
        "output_norm.weight": tensors.take("ln_f.weight", features),
        "output_norm.bias": tensors.take("ln_f.bias", features),
    }
    head = tensors.head("lm_head.weight", rows, features, tied)
    if head is not None:
        content["output.weight"] = head
    for number in range(count):
        content |= _layer(number, features, inner, tensors)
    tensors.finish()
    metadata: dict[str, Value] = {
        "context_length": context,
        "embedding_length": features,
        "block_count": count,
        "feed_forward_length": inner,
        "attention.head_count": heads,
        "attention.layer_norm_epsilon": float(config.get("layer_norm_epsilon", 1e-5)),
    }
    return Plan(
        {f"{architecture}.{key}": value for key, value in metadata.items()}, content, context, count, tied
    )


def _check(config: Mapping[str, Any]) -> None:
    activation = config.get("activation_function", "gelu_new")
    if activation not in ("gelu_new", "gelu_fast", "gelu_pytorch_tanh", "gelu"):
        raise ConversionError(f"config.json: activation_function is {activation!r}; llama.cpp computes gelu")
    unlike = [key for key in _UNLIKE if config.get(key)]
    if unlike or not is_set(config, "scale_attn_weights", True):
        raise ConversionError(
            f"config.json asks for {unlike or 'unscaled attention'}, which llama.cpp does not compute"
        )


def _layer(number: int, features: int, inner: int, tensors: Tensors) -> dict[str, Content]:
    theirs, ours = f"h.{number}.", f"blk.{number}."
    found: dict[str, Content] = {}
    for name, renamed in _NORMS.items():
        for part in ("weight", "bias"):
            found[f"{ours}{renamed}.{part}"] = tensors.take(f"{theirs}{name}.{part}", features)
    projections = {
        "attn.c_attn": ("attn_qkv", features, 3 * features),
        "attn.c_proj": ("attn_output", features, features),
        "mlp.c_fc": ("ffn_up", features, inner),
        "mlp.c_proj": ("ffn_down", inner, features),
    }
    for name, (renamed, inputs, outputs) in projections.items():
        # GPT-2 keeps its projections as [inputs, outputs].
        found[f"{ours}{renamed}.weight"] = tensors.take(
            f"{theirs}{name}.weight", inputs, outputs
        ).transposed()
        found[f"{ours}{renamed}.bias"] = tensors.take(f"{theirs}{name}.bias", outputs)
    return found
