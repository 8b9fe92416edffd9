"""Hugging Face folders of encoder-decoder models of real shapes: seeded random weights, made-up vocabularies."""

from __future__ import annotations

import json
import random
import struct
from pathlib import Path

import numpy as np
from safetensors.numpy import save_file
from tokenizers import pre_tokenizers

SPACE = "\u2581"


def marian(folder: Path, width: int = 512, layers: int = 6, vocabulary: int = 58101) -> Path:
    """The architecture of the opus-mt models; 75 million parameters at the default size."""
    folder.mkdir(parents=True, exist_ok=True)
    words = _words(vocabulary // 2 - 200, 0), _words(vocabulary // 2 - 200, 1)
    for name, own in zip(("source.spm", "target.spm"), words, strict=True):
        (folder / name).write_bytes(_pieces(own))
    known = dict.fromkeys(["</s>", "<unk>", *_letters(), *words[0], *words[1]])
    filled = [*known, *(f"{SPACE}spare{number}" for number in range(vocabulary - 1 - len(known)))]
    tokens = [*filled[: vocabulary - 1], "<pad>"]
    (folder / "vocab.json").write_text(json.dumps({token: number for number, token in enumerate(tokens)}))
    about = {
        "source_lang": "en",
        "target_lang": "fr",
        "model_max_length": 512,
        "tokenizer_class": "MarianTokenizer",
    }
    (folder / "tokenizer_config.json").write_text(json.dumps(about))
    config = _config(width, layers, vocabulary, 2048 * width // 512, 8) | {
        "architectures": ["MarianMTModel"], "model_type": "marian", "activation_function": "swish",
        "pad_token_id": vocabulary - 1, "decoder_start_token_id": vocabulary - 1, "eos_token_id": 0,
        "scale_embedding": True, "bad_words_ids": [[vocabulary - 1]], "static_position_embeddings": True,
        "decoder_vocab_size": vocabulary, "share_encoder_decoder_embeddings": True,
    }  # fmt: skip
    tensors = _tensors(config, vocabulary)
    tensors["model.shared.weight"][-1] = 0
    return _written(folder, config, tensors)


def bart(folder: Path, width: int = 1024, layers: int = 6, vocabulary: int = 50264) -> Path:
    """The architecture of distilbart-cnn-6-6; 230 million parameters at the default size."""
    folder.mkdir(parents=True, exist_ok=True)
    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    known, merges, draw = ["<s>", "<pad>", "</s>", "<unk>", *letters], [], random.Random(0)
    parts, seen = [letter for letter in letters if letter.isascii() and letter.isalpha()] + ["Ġ"], set(known)
    while len(known) < vocabulary - 1:
        left, right = draw.choice(parts), draw.choice(parts)
        if left + right not in seen and len(left + right) <= 12 and "Ġ" not in (left + right)[1:]:
            seen.add(left + right)
            known.append(left + right)
            parts.append(left + right)
            merges.append(f"{left} {right}")
    known.append("<mask>")
    (folder / "vocab.json").write_text(json.dumps({token: number for number, token in enumerate(known)}))
    (folder / "merges.txt").write_text("\n".join(["#version: 0.2", *merges, ""]))
    about = {"model_max_length": 1024, "tokenizer_class": "BartTokenizer"}
    (folder / "tokenizer_config.json").write_text(json.dumps(about))
    config = _config(width, layers, vocabulary, 4 * width, 16) | {
        "architectures": ["BartForConditionalGeneration"], "model_type": "bart", "activation_function": "gelu",
        "pad_token_id": 1, "bos_token_id": 0, "eos_token_id": 2, "decoder_start_token_id": 2,
        "forced_bos_token_id": 0, "forced_eos_token_id": 2, "max_position_embeddings": 1024,
    }  # fmt: skip
    tensors = _tensors(config, vocabulary)
    rng = np.random.default_rng(1)
    for side in ("encoder", "decoder"):
        tensors[f"model.{side}.embed_positions.weight"] = (
            rng.standard_normal((1026, width), np.float32) * 0.02
        )
        tensors[f"model.{side}.layernorm_embedding.weight"] = np.ones(width, np.float32)
        tensors[f"model.{side}.layernorm_embedding.bias"] = np.zeros(width, np.float32)
    return _written(folder, config, tensors)


def _config(width: int, layers: int, vocabulary: int, inner: int, heads: int) -> dict:
    return {
        "d_model": width, "encoder_layers": layers, "decoder_layers": layers, "encoder_ffn_dim": inner,
        "decoder_ffn_dim": inner, "encoder_attention_heads": heads, "decoder_attention_heads": heads,
        "vocab_size": vocabulary, "max_position_embeddings": 512, "is_encoder_decoder": True, "dtype": "float32",
        "normalize_before": False, "num_beams": 4,
    }  # fmt: skip


def _tensors(config: dict, vocabulary: int) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(0)
    width, inner = config["d_model"], config["encoder_ffn_dim"]
    made = {"final_logits_bias": np.zeros((1, vocabulary), np.float32)}

    def linear(name: str, outputs: int, inputs: int) -> None:
        made[f"{name}.weight"] = rng.standard_normal((outputs, inputs), np.float32) * (1.5 / inputs**0.5)
        made[f"{name}.bias"] = rng.standard_normal(outputs, np.float32) * 0.02

    def norm(name: str) -> None:
        made[f"{name}.weight"], made[f"{name}.bias"] = np.ones(width, np.float32), np.zeros(width, np.float32)

    made["model.shared.weight"] = rng.standard_normal((vocabulary, width), np.float32) * width**-0.5
    for side in ("encoder", "decoder"):
        for layer in range(config[f"{side}_layers"]):
            at = f"model.{side}.layers.{layer}"
            for kind in ("self_attn", *(["encoder_attn"] if side == "decoder" else [])):
                for part in ("q_proj", "k_proj", "v_proj", "out_proj"):
                    linear(f"{at}.{kind}.{part}", width, width)
                norm(f"{at}.{kind}_layer_norm")
            linear(f"{at}.fc1", inner, width)
            linear(f"{at}.fc2", width, inner)
            norm(f"{at}.final_layer_norm")
    return made


def _written(folder: Path, config: dict, tensors: dict[str, np.ndarray]) -> Path:
    (folder / "config.json").write_text(json.dumps(config, indent=1))
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
    return folder


def _letters() -> list[str]:
    marks = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.,;:!?'\"()-"
    return [SPACE, *marks]


def _words(count: int, seed: int) -> list[str]:
    """Made-up pieces, half of which begin a word."""
    draw, found = random.Random(seed), {}
    parts = [a + b for a in "bcdfghjklmnprstvw" for b in "aeiou"]
    while len(found) < count:
        word = "".join(draw.choice(parts) for _ in range(draw.randint(1, 5)))
        found[(SPACE if draw.random() < 0.5 else "") + word] = None
    return list(found)


def _pieces(words: list[str]) -> bytes:
    """A SentencePiece model of pieces: ``ModelProto`` with piece, score and type, and the kind of the trainer."""

    def field(number: int, content: bytes) -> bytes:
        size, length = b"", len(content)
        while length > 127:
            size, length = size + bytes([length & 127 | 128]), length >> 7
        return bytes([number << 3 | 2]) + size + bytes([length]) + content

    def piece(text: str, score: float, kind: int) -> bytes:
        return field(1, field(1, text.encode()) + b"\x15" + struct.pack("<f", score) + bytes([3 << 3, kind]))

    entries = [piece("<unk>", 0, 2), piece("<s>", 0, 3), piece("</s>", 0, 3)]
    entries += [piece(text, -5 - number / 1000, 1) for number, text in enumerate([*words, *_letters()])]
    return b"".join(entries) + field(2, bytes([3 << 3, 1]))
