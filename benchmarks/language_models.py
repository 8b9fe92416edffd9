"""Hugging Face folders of language models of real shapes, with seeded random weights and a made-up vocabulary."""

from __future__ import annotations

import json
import random
from pathlib import Path

import numpy as np
from safetensors.numpy import save_file
from tokenizers import Tokenizer, decoders, models, pre_tokenizers

END = "<|endoftext|>"


def pythia(
    folder: Path, layers: int = 24, width: int = 1024, heads: int = 16, vocabulary: int = 50304
) -> Path:
    """Pythia's architecture (GPT-NeoX); 405 million parameters at the default size, the model of 410M."""
    rng = np.random.default_rng(0)
    tensors: dict[str, np.ndarray] = {}

    def add(name: str, *shape: int, middle: float = 0.0) -> None:
        values = rng.standard_normal(shape, dtype=np.float32)
        tensors[name] = (values * 0.02 + middle).astype(np.float16)

    def linear(name: str, outputs: int, inputs: int) -> None:
        add(f"{name}.weight", outputs, inputs)
        add(f"{name}.bias", outputs)

    def norm(name: str) -> None:
        add(f"{name}.weight", width, middle=1.0)
        add(f"{name}.bias", width)

    add("gpt_neox.embed_in.weight", vocabulary, width)
    for layer in range(layers):
        at = f"gpt_neox.layers.{layer}"
        norm(f"{at}.input_layernorm")
        norm(f"{at}.post_attention_layernorm")
        linear(f"{at}.attention.query_key_value", 3 * width, width)
        linear(f"{at}.attention.dense", width, width)
        linear(f"{at}.mlp.dense_h_to_4h", 4 * width, width)
        linear(f"{at}.mlp.dense_4h_to_h", width, 4 * width)
    norm("gpt_neox.final_layer_norm")
    add("embed_out.weight", vocabulary, width)
    config = {
        "architectures": ["GPTNeoXForCausalLM"],
        "model_type": "gpt_neox",
        "bos_token_id": 0,
        "eos_token_id": 0,
        "hidden_act": "gelu",
        "hidden_size": width,
        "intermediate_size": 4 * width,
        "layer_norm_eps": 1e-5,
        "max_position_embeddings": 2048,
        "num_attention_heads": heads,
        "num_hidden_layers": layers,
        "rotary_pct": 0.25,
        "rotary_emb_base": 10000,
        "tie_word_embeddings": False,
        "torch_dtype": "float16",
        "use_parallel_residual": True,
        "vocab_size": vocabulary,
    }
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.json").write_text(json.dumps(config, indent=1))
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
    _tokenizer(vocabulary - 27).save(str(folder / "tokenizer.json"))
    about = {"tokenizer_class": "GPTNeoXTokenizer", "bos_token": END, "eos_token": END, "unk_token": END}
    (folder / "tokenizer_config.json").write_text(json.dumps({**about, "add_prefix_space": False}))
    return folder


def _tokenizer(size: int) -> Tokenizer:
    """Byte-level BPE with as many merges as a real one: reading them is a part of every cold start."""
    draw = random.Random(0)
    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    words = [END, *letters]
    parts = [letter for letter in letters if letter.isascii() and letter.isalpha()] + ["Ġ"]
    known, merges = set(words), []
    while len(words) < size:
        left, right = draw.choice(parts), draw.choice(parts)
        word = left + right
        if word not in known and len(word) <= 12 and "Ġ" not in word[1:]:
            known.add(word)
            words.append(word)
            parts.append(word)
            merges.append((left, right))
    vocabulary = {word: at for at, word in enumerate(words)}
    tokenizer = Tokenizer(models.BPE(vocabulary, merges))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens([END])
    return tokenizer
