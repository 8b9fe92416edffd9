"""Small language models of real architectures with seeded weights, as the hub keeps them; torch is not needed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import old_files
from safetensors.numpy import save_file

Array = np.ndarray
FEATURES, INNER, HEADS, KEYS, LAYERS, CONTEXT = 64, 96, 4, 2, 2, 128


def llama(folder: Path, rows: int | None = None, dtype: Any = np.float32, **config: Any) -> dict[str, Array]:
    """A Llama with grouped queries; returns its weights."""
    tokens = old_files.tokenizer(folder)
    settings = {
        "architectures": ["LlamaForCausalLM"],
        "hidden_size": FEATURES,
        "intermediate_size": INNER,
        "num_hidden_layers": LAYERS,
        "num_attention_heads": HEADS,
        "num_key_value_heads": KEYS,
        "max_position_embeddings": CONTEXT,
        "rms_norm_eps": 1e-5,
        "tie_word_embeddings": False,
        **config,
    }
    head = settings.get("head_dim") or FEATURES // HEADS
    shapes: dict[str, tuple[int, ...]] = {
        "model.embed_tokens.weight": (rows or tokens, FEATURES),
        "model.norm.weight": (FEATURES,),
    }
    if not settings["tie_word_embeddings"]:
        shapes["lm_head.weight"] = (rows or tokens, FEATURES)
    for layer in range(LAYERS):
        of = f"model.layers.{layer}."
        shapes |= {
            f"{of}self_attn.q_proj.weight": (HEADS * head, FEATURES),
            f"{of}self_attn.k_proj.weight": (KEYS * head, FEATURES),
            f"{of}self_attn.v_proj.weight": (KEYS * head, FEATURES),
            f"{of}self_attn.o_proj.weight": (FEATURES, HEADS * head),
            f"{of}mlp.gate_proj.weight": (INNER, FEATURES),
            f"{of}mlp.up_proj.weight": (INNER, FEATURES),
            f"{of}mlp.down_proj.weight": (FEATURES, INNER),
            f"{of}input_layernorm.weight": (FEATURES,),
            f"{of}post_attention_layernorm.weight": (FEATURES,),
        }
    draw = np.random.default_rng(1)
    weights = {name: _drawn(draw, shape).astype(dtype) for name, shape in shapes.items()}
    write(folder, settings, weights)
    return weights


def neox(folder: Path, **config: Any) -> dict[str, Array]:
    """A GPT-NeoX; returns its weights."""
    sizes = old_files.SIZES
    weights = old_files.neox(old_files.tokenizer(folder))
    settings = {
        "architectures": ["GPTNeoXForCausalLM"],
        "hidden_size": sizes["features"],
        "intermediate_size": sizes["inner"],
        "num_hidden_layers": sizes["layers"],
        "num_attention_heads": sizes["heads"],
        "max_position_embeddings": sizes["context"],
        "rotary_pct": sizes["turning"] * sizes["heads"] / sizes["features"],
        **config,
    }
    write(folder, settings, weights)
    return weights


def write(folder: Path, config: dict[str, Any], weights: dict[str, Array]) -> None:
    """config.json and model.safetensors."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.json").write_text(json.dumps(config))
    save_file(weights, str(folder / "model.safetensors"))


def _drawn(draw: np.random.Generator, shape: tuple[int, ...]) -> Array:
    return 1 + 0.1 * draw.standard_normal(shape) if len(shape) == 1 else draw.standard_normal(shape) / 8
