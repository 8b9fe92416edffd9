"""Small models with seeded random weights, as transformers holds them and as GGUF files of the same float32 numbers."""

from __future__ import annotations

from typing import Any

import gguf_files
import numpy as np
import torch
import transformers
from gguf_files import BOOL, FLOAT32, UINT32

WIDTH, HEADS, GROUPS, LAYERS, INNER, CONTEXT = 64, 4, 2, 3, 128, 512
TOKENS = len(gguf_files.byte_level()["tokenizer.ggml.tokens"])


def neox(seed: int = 0, parallel: bool = True) -> Any:
    """A GPT-NeoX (Pythia) model; rotated are half of the dimensions of a head."""
    config = transformers.GPTNeoXConfig(
        vocab_size=TOKENS,
        hidden_size=WIDTH,
        num_hidden_layers=LAYERS,
        num_attention_heads=HEADS,
        intermediate_size=INNER,
        max_position_embeddings=CONTEXT,
        rotary_pct=0.5,
        use_parallel_residual=parallel,
        bos_token_id=0,
        eos_token_id=0,
    )
    return _drawn(transformers.GPTNeoXForCausalLM, config, seed)


def llama(seed: int = 0) -> Any:
    """A Llama model whose heads share keys and values in pairs."""
    config = transformers.LlamaConfig(
        vocab_size=TOKENS,
        hidden_size=WIDTH,
        num_hidden_layers=LAYERS,
        num_attention_heads=HEADS,
        num_key_value_heads=GROUPS,
        intermediate_size=INNER,
        max_position_embeddings=CONTEXT,
        bos_token_id=0,
        eos_token_id=0,
    )
    return _drawn(transformers.LlamaForCausalLM, config, seed)


def _drawn(kind: Any, config: Any, seed: int) -> Any:
    """Weights wide enough for logits that differ by more than the two sides do."""
    torch.manual_seed(seed)
    model = kind(config).eval()
    with torch.no_grad():
        for name, numbers in model.named_parameters():
            if numbers.ndim > 1:
                numbers.normal_(0, 0.35 if "embed" in name or "head" in name else 0.2)
            elif name.endswith("bias"):
                numbers.normal_(0, 0.1)
    return model


def content(model: Any) -> bytes:
    """The GGUF file of a model."""
    numbers = {name: tensor.detach().numpy() for name, tensor in model.state_dict().items()}
    if isinstance(model, transformers.LlamaForCausalLM):
        return gguf_files.content(_values(model, "llama"), _llama_tensors(numbers))
    return gguf_files.content(_values(model, "gptneox"), _neox_tensors(numbers))


def _values(model: Any, name: str) -> dict[str, Any]:
    config = model.config
    own: dict[str, Any] = {
        "context_length": (UINT32, CONTEXT),
        "embedding_length": (UINT32, WIDTH),
        "block_count": (UINT32, LAYERS),
        "feed_forward_length": (UINT32, INNER),
        "attention.head_count": (UINT32, HEADS),
    }
    if name == "llama":
        own["attention.head_count_kv"] = (UINT32, GROUPS)
        own["attention.layer_norm_rms_epsilon"] = (FLOAT32, config.rms_norm_eps)
        own["rope.dimension_count"] = (UINT32, WIDTH // HEADS)
    else:
        own["attention.layer_norm_epsilon"] = (FLOAT32, config.layer_norm_eps)
        own["rope.dimension_count"] = (UINT32, WIDTH // HEADS // 2)
        own["use_parallel_residual"] = (BOOL, config.use_parallel_residual)
    return (
        {"general.architecture": name, "general.file_type": (UINT32, 0)}
        | {f"{name}.{key}": value for key, value in own.items()}
        | gguf_files.byte_level()
    )


def _neox_tensors(numbers: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    found = {
        "token_embd.weight": numbers["gpt_neox.embed_in.weight"],
        "output_norm.weight": numbers["gpt_neox.final_layer_norm.weight"],
        "output_norm.bias": numbers["gpt_neox.final_layer_norm.bias"],
        "output.weight": numbers["embed_out.weight"],
    }
    names = {
        "attention.dense": "attn_output",
        "mlp.dense_h_to_4h": "ffn_up",
        "mlp.dense_4h_to_h": "ffn_down",
        "input_layernorm": "attn_norm",
        "post_attention_layernorm": "ffn_norm",
    }
    size = WIDTH // HEADS
    for layer in range(LAYERS):
        theirs, ours = f"gpt_neox.layers.{layer}.", f"blk.{layer}."
        for part in ("weight", "bias"):
            mixed = numbers[f"{theirs}attention.query_key_value.{part}"]
            apart = np.moveaxis(mixed.reshape(HEADS, 3, size, -1), 1, 0)  # by head first in transformers
            found[f"{ours}attn_qkv.{part}"] = np.ascontiguousarray(apart.reshape(mixed.shape))
            for name, short in names.items():
                found[f"{ours}{short}.{part}"] = numbers[f"{theirs}{name}.{part}"]
    return found


def _llama_tensors(numbers: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    found = {
        "token_embd.weight": numbers["model.embed_tokens.weight"],
        "output_norm.weight": numbers["model.norm.weight"],
        "output.weight": numbers["lm_head.weight"],
    }
    names = {
        "self_attn.v_proj": "attn_v",
        "self_attn.o_proj": "attn_output",
        "mlp.gate_proj": "ffn_gate",
        "mlp.up_proj": "ffn_up",
        "mlp.down_proj": "ffn_down",
        "input_layernorm": "attn_norm",
        "post_attention_layernorm": "ffn_norm",
    }
    for layer in range(LAYERS):
        theirs, ours = f"model.layers.{layer}.", f"blk.{layer}."
        for name, short in names.items():
            found[f"{ours}{short}.weight"] = numbers[f"{theirs}{name}.weight"]
        for name, heads in (("q", HEADS), ("k", GROUPS)):
            found[f"{ours}attn_{name}.weight"] = _paired(
                numbers[f"{theirs}self_attn.{name}_proj.weight"], heads
            )
    return found


def _paired(rows: np.ndarray, heads: int) -> np.ndarray:
    """Rotated are neighbouring rows in GGUF, and a row of each half of a head in transformers."""
    halves = rows.reshape(heads, 2, -1, rows.shape[1])
    return np.ascontiguousarray(halves.swapaxes(1, 2).reshape(rows.shape))
