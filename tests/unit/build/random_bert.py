"""Small models with random weights, written as the hub keeps them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import save_file

WORDS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *"abcdefghijklmnopqrstuvwxyz.,?!:;'-0123456789"]
WORDS += [f"##{letter}" for letter in "abcdefghijklmnopqrstuvwxyz0123456789"]
WORDS += [
    "the",
    "and",
    "was",
    "that",
    "##ing",
    "##ed",
    "##s",
    "day",
    "her",
    "his",
    "with",
    "from",
    "they",
    "not",
]

CONFIG = {
    "hidden_size": 32,
    "num_attention_heads": 4,
    "num_hidden_layers": 2,
    "intermediate_size": 64,
    "max_position_embeddings": 512,
    "vocab_size": len(WORDS),
    "hidden_act": "gelu",
    "layer_norm_eps": 1e-12,
    "pad_token_id": 0,
}


def bert(
    folder: Path, head: str = "BertForSequenceClassification", labels: int = 3, seed: int = 0, **config: Any
) -> Path:
    """A folder with a BERT of two layers and a WordPiece tokenizer."""
    folder.mkdir(parents=True, exist_ok=True)
    described = {
        **CONFIG,
        "model_type": "bert",
        "architectures": [head],
        "type_vocab_size": 2,
        "id2label": {str(number): f"label {number}" for number in range(labels)},
        **config,
    }
    (folder / "config.json").write_text(json.dumps(described))
    (folder / "tokenizer.json").write_text(json.dumps(tokenizer()))
    prefix = "" if head == "BertModel" else "bert."
    save_file(weights(prefix, head, labels, np.random.default_rng(seed)), folder / "model.safetensors")
    return folder


def weights(prefix: str, head: str, labels: int, random: np.random.Generator) -> dict[str, np.ndarray]:
    hidden, wide = 32, 64
    found: dict[str, np.ndarray] = {}

    def linear(name: str, outputs: int, inputs: int) -> None:
        found[f"{name}.weight"] = (random.standard_normal((outputs, inputs)) * 0.2).astype(np.float32)
        found[f"{name}.bias"] = (random.standard_normal(outputs) * 0.1).astype(np.float32)

    def norm(name: str) -> None:
        found[f"{name}.weight"] = (1 + random.standard_normal(hidden) * 0.1).astype(np.float32)
        found[f"{name}.bias"] = (random.standard_normal(hidden) * 0.1).astype(np.float32)

    for table, rows in (("word", len(WORDS)), ("position", 512), ("token_type", 2)):
        name = f"{prefix}embeddings.{table}_embeddings.weight"
        found[name] = random.standard_normal((rows, hidden)).astype(np.float32)
    norm(f"{prefix}embeddings.LayerNorm")
    for number in range(2):
        layer = f"{prefix}encoder.layer.{number}."
        for part in (
            "attention.self.query",
            "attention.self.key",
            "attention.self.value",
            "attention.output.dense",
        ):
            linear(layer + part, hidden, hidden)
        norm(layer + "attention.output.LayerNorm")
        linear(layer + "intermediate.dense", wide, hidden)
        linear(layer + "output.dense", hidden, wide)
        norm(layer + "output.LayerNorm")
    if head == "BertForSequenceClassification":
        linear(f"{prefix}pooler.dense", hidden, hidden)
        linear("classifier", labels, hidden)
    elif head == "BertForTokenClassification":
        linear("classifier", labels, hidden)
    elif head == "BertForQuestionAnswering":
        linear("qa_outputs", 2, hidden)
    elif head == "BertForMaskedLM":
        linear("cls.predictions.transform.dense", hidden, hidden)
        norm("cls.predictions.transform.LayerNorm")
        found["cls.predictions.bias"] = np.zeros(len(WORDS), dtype=np.float32)
    return found


def tokenizer() -> dict[str, Any]:
    """A BERT tokenizer that, like that of all-MiniLM-L6-v2, was saved with padding and truncation on."""
    special = [
        {
            "id": number,
            "content": WORDS[number],
            "single_word": False,
            "lstrip": False,
            "rstrip": False,
            "normalized": False,
            "special": True,
        }
        for number in range(5)
    ]
    return {
        "version": "1.0",
        "truncation": {"direction": "Right", "max_length": 16, "strategy": "LongestFirst", "stride": 0},
        "padding": {
            "strategy": {"Fixed": 16},
            "direction": "Right",
            "pad_to_multiple_of": None,
            "pad_id": 0,
            "pad_type_id": 0,
            "pad_token": "[PAD]",
        },
        "added_tokens": special,
        "normalizer": {
            "type": "BertNormalizer",
            "clean_text": True,
            "handle_chinese_chars": True,
            "strip_accents": None,
            "lowercase": True,
        },
        "pre_tokenizer": {"type": "BertPreTokenizer"},
        "post_processor": {
            "type": "TemplateProcessing",
            "single": [special_token("[CLS]", 0), sequence("A", 0), special_token("[SEP]", 0)],
            "pair": [
                special_token("[CLS]", 0),
                sequence("A", 0),
                special_token("[SEP]", 0),
                sequence("B", 1),
                special_token("[SEP]", 1),
            ],
            "special_tokens": {
                "[CLS]": {"id": "[CLS]", "ids": [2], "tokens": ["[CLS]"]},
                "[SEP]": {"id": "[SEP]", "ids": [3], "tokens": ["[SEP]"]},
            },
        },
        "decoder": {"type": "WordPiece", "prefix": "##", "cleanup": True},
        "model": {
            "type": "WordPiece",
            "unk_token": "[UNK]",
            "continuing_subword_prefix": "##",
            "max_input_chars_per_word": 100,
            "vocab": {word: number for number, word in enumerate(WORDS)},
        },
    }


def special_token(token: str, kind: int) -> dict[str, Any]:
    return {"SpecialToken": {"id": token, "type_id": kind}}


def sequence(name: str, kind: int) -> dict[str, Any]:
    return {"Sequence": {"id": name, "type_id": kind}}
