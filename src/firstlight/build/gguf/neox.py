"""GPT-NeoX: Pythia, RedPajama's INCITE, StableLM of the first kind."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from firstlight.build.gguf import rope
from firstlight.build.gguf.model import Plan, Tensors, is_set, layers, whole, zeros
from firstlight.build.gguf.weights import Mapped
from firstlight.build.gguf.writer import Content, Value
from firstlight.runtime.errors import ConversionError

PREFIXES = ("gpt_neox.",)
_ACTIVATIONS = ("gelu", "gelu_new", "gelu_fast", "gelu_pytorch_tanh")
"""llama.cpp computes the tanh form for all of them; it differs from the exact one by less than 0.001."""
LAYER = {
    "attention.query_key_value": "attn_qkv",
    "attention.dense": "attn_output",
    "mlp.dense_h_to_4h": "ffn_up",
    "mlp.dense_4h_to_h": "ffn_down",
    "input_layernorm": "attn_norm",
    "post_attention_layernorm": "ffn_norm",
}
"""Names of a layer's parts, transformers' -> GGUF's."""


def plan(architecture: str, config: Mapping[str, Any], tensors: Tensors) -> Plan:
    """Metadata and tensors of a model of this family."""
    activation = config.get("hidden_act", "gelu")
    if activation not in _ACTIVATIONS:
        raise ConversionError(f"config.json: hidden_act is {activation!r}; llama.cpp computes gelu")
    count, features = layers(config, "num_hidden_layers"), whole(config, "hidden_size")
    heads, inner = whole(config, "num_attention_heads"), whole(config, "intermediate_size")
    if features % heads:
        raise ConversionError(f"config.json: {heads} heads do not divide {features} features")
    turning = rope.read(config, features // heads, float(config.get("rotary_pct", 0.25)))
    rows = tensors.rows("embed_in.weight")
    tied = is_set(config, "tie_word_embeddings", False)
    embeddings = tensors.take("embed_in.weight", rows, features)
    content: dict[str, Content] = {
        "token_embd.weight": embeddings,
        "output_norm.weight": tensors.take("final_layer_norm.weight", features),
        "output_norm.bias": tensors.take("final_layer_norm.bias", features),
        # llama.cpp asks for this tensor also where it is the embeddings.
        "output.weight": tensors.head("embed_out.weight", rows, features, tied) or embeddings,
    }
    for number in range(count):
        content |= _layer(number, features, heads, inner, tensors)
    tensors.finish()
    sizes = {"features": features, "layers": count, "inner": inner, "heads": heads}
    metadata = numbers(
        sizes, is_set(config, "use_parallel_residual", True), float(config.get("layer_norm_eps", 1e-5))
    )
    metadata |= {f"{architecture}.{key}": value for key, value in turning.metadata.items()}
    metadata["gptneox.context_length"] = turning.context
    return Plan(metadata, content, turning.context, count, False)


def numbers(sizes: Mapping[str, int], parallel: bool, epsilon: float) -> dict[str, Value]:
    """The metadata of a model of these sizes, all but its positions."""
    return {
        "gptneox.embedding_length": sizes["features"],
        "gptneox.block_count": sizes["layers"],
        "gptneox.feed_forward_length": sizes["inner"],
        "gptneox.attention.head_count": sizes["heads"],
        "gptneox.attention.layer_norm_epsilon": epsilon,
        "gptneox.use_parallel_residual": parallel,
    }


def _layer(number: int, features: int, heads: int, inner: int, tensors: Tensors) -> dict[str, Content]:
    shapes = {
        "attn_qkv": (3 * features, features),
        "attn_output": (features, features),
        "ffn_up": (inner, features),
        "ffn_down": (features, inner),
        "attn_norm": (features,),
        "ffn_norm": (features,),
    }
    found: dict[str, Content] = {}
    for theirs, ours in LAYER.items():
        name = f"layers.{number}.{theirs}"
        weight = tensors.take(f"{name}.weight", *shapes[ours])
        bias: Content = zeros(shapes[ours][0])
        if tensors.has(f"{name}.bias"):
            bias = tensors.take(f"{name}.bias", shapes[ours][0])
        if ours == "attn_qkv":
            weight, bias = (
                together(weight, heads),
                together(bias, heads) if isinstance(bias, Mapped) else bias,
            )
        found[f"blk.{number}.{ours}.weight"], found[f"blk.{number}.{ours}.bias"] = weight, bias
    return found


def together(tensor: Mapped, heads: int) -> Mapped:
    """The fused projection in llama.cpp's order: all queries, all keys, all values, instead of head by head."""
    return tensor.in_order(order(tensor.shape[0], heads))


def order(rows: int, heads: int) -> NDArray[np.int64]:
    """For each row of llama.cpp's fused projection the row of transformers'."""
    return np.arange(rows).reshape(heads, 3, -1).swapaxes(0, 1).reshape(-1)
