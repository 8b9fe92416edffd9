"""Llama and its like: Mistral, SmolLM (both ``llama`` to llama.cpp), Qwen2 and Qwen3."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from firstlight.build.gguf import rope
from firstlight.build.gguf.model import Plan, Tensors, is_set, layers, whole
from firstlight.build.gguf.weights import Given, Mapped
from firstlight.build.gguf.writer import Content, Value
from firstlight.runtime.errors import ConversionError

PREFIXES = ("model.",)


class _Numbers:
    """Sizes of config.json."""

    def __init__(self, config: Mapping[str, Any]) -> None:
        self.layers = layers(config, "num_hidden_layers")
        self.features = whole(config, "hidden_size")
        self.inner = whole(config, "intermediate_size")
        self.heads = whole(config, "num_attention_heads")
        self.key_heads = self.heads
        if config.get("num_key_value_heads") is not None:
            self.key_heads = whole(config, "num_key_value_heads")
        if config.get("head_dim") is not None:
            self.head = whole(config, "head_dim")
        else:
            self.head = self.features // self.heads
        if self.heads % self.key_heads or self.head % 2:
            raise ConversionError(
                f"config.json: {self.heads} heads, {self.key_heads} of keys, of {self.head} features"
            )


def plan(architecture: str, config: Mapping[str, Any], tensors: Tensors) -> Plan:
    """Metadata and tensors of a model of this family."""
    _check(config)
    numbers = _Numbers(config)
    tied = is_set(config, "tie_word_embeddings", False)
    rows = tensors.rows("embed_tokens.weight")
    turning = rope.read(config, numbers.head)
    context = _window(config, turning.context)
    content: dict[str, Content] = {
        "token_embd.weight": tensors.take("embed_tokens.weight", rows, numbers.features),
        "output_norm.weight": tensors.take("norm.weight", numbers.features),
    }
    head = tensors.head("lm_head.weight", rows, numbers.features, tied)
    if head is not None:
        content["output.weight"] = head
    if turning.factors is not None:
        content["rope_freqs.weight"] = Given(turning.factors)
    for number in range(numbers.layers):
        content |= _layer(architecture, number, numbers, tensors)
    tensors.finish()
    metadata = _metadata(architecture, config, numbers, context) | {
        f"{architecture}.{key}": value for key, value in turning.metadata.items()
    }
    return Plan(metadata, content, context, numbers.layers, tied)


def _check(config: Mapping[str, Any]) -> None:
    activation = config.get("hidden_act", "silu")
    if activation not in ("silu", "swish"):
        raise ConversionError(f"config.json: hidden_act is {activation!r}; llama.cpp computes silu")


def _window(config: Mapping[str, Any], context: int) -> int:
    """The context, no longer than a sliding window: within it attention is what it is without one."""
    window = config.get("sliding_window")
    if not isinstance(window, int) or window <= 0 or not is_set(config, "use_sliding_window", True):
        return context
    return min(context, window)


def _metadata(
    architecture: str, config: Mapping[str, Any], numbers: _Numbers, context: int
) -> dict[str, Value]:
    found: dict[str, Value] = {
        "context_length": context,
        "embedding_length": numbers.features,
        "block_count": numbers.layers,
        "feed_forward_length": numbers.inner,
        "attention.head_count": numbers.heads,
        "attention.head_count_kv": numbers.key_heads,
        "attention.key_length": numbers.head,
        "attention.value_length": numbers.head,
        "attention.layer_norm_rms_epsilon": float(config.get("rms_norm_eps", 1e-6)),
    }
    return {f"{architecture}.{key}": value for key, value in found.items()}


def _layer(architecture: str, number: int, numbers: _Numbers, tensors: Tensors) -> dict[str, Content]:
    theirs, ours = f"layers.{number}.", f"blk.{number}."
    features, queries, keys = numbers.features, numbers.heads * numbers.head, numbers.key_heads * numbers.head
    shapes = {
        "self_attn.q_proj": ("attn_q", (queries, features)),
        "self_attn.k_proj": ("attn_k", (keys, features)),
        "self_attn.v_proj": ("attn_v", (keys, features)),
        "self_attn.o_proj": ("attn_output", (features, queries)),
        "mlp.gate_proj": ("ffn_gate", (numbers.inner, features)),
        "mlp.up_proj": ("ffn_up", (numbers.inner, features)),
        "mlp.down_proj": ("ffn_down", (features, numbers.inner)),
        "input_layernorm": ("attn_norm", (features,)),
        "post_attention_layernorm": ("ffn_norm", (features,)),
    }
    if architecture == "qwen3":
        shapes["self_attn.q_norm"] = ("attn_q_norm", (numbers.head,))
        shapes["self_attn.k_norm"] = ("attn_k_norm", (numbers.head,))
    found: dict[str, Content] = {}
    for name, (renamed, shape) in shapes.items():
        for part, size in (("weight", shape), ("bias", shape[:1])):
            if part == "weight" or tensors.has(f"{theirs}{name}.{part}"):
                taken = tensors.take(f"{theirs}{name}.{part}", *size)
                found[f"{ours}{renamed}.{part}"] = _turned(architecture, renamed, taken, numbers)
    return found


def _turned(architecture: str, name: str, tensor: Mapped, numbers: _Numbers) -> Mapped:
    """Queries and keys of ``llama``, whose halves of a head llama.cpp turns as neighbours and transformers apart."""
    if architecture != "llama" or name not in ("attn_q", "attn_k"):
        return tensor
    return tensor.in_order(neighbours(tensor.shape[0] // numbers.head, numbers.head))


def neighbours(heads: int, head: int) -> NDArray[np.int64]:
    """For each row of llama.cpp's the row of transformers': pairs (i, i + half) of each head become neighbours."""
    return np.arange(heads * head).reshape(heads, 2, head // 2).swapaxes(1, 2).reshape(-1)
