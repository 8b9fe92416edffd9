"""Small encoders of other families than BERT with random weights, written as the hub keeps them, without torch."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import random_bert
from safetensors.numpy import save_file

from firstlight.build.convert.families import FAMILIES

HIDDEN, WIDE, HEADS = 32, 64, 4
CONFIGS: dict[str, dict[str, Any]] = {
    "mpnet": {"max_position_embeddings": 130, "pad_token_id": 1},
    "electra": {"embedding_size": 16},
    "albert": {"embedding_size": 16, "num_hidden_layers": 3, "num_hidden_groups": 1, "inner_group_num": 1},
    "deberta-v2": {
        "relative_attention": True, "position_buckets": 8, "share_att_key": True, "norm_rel_ebd": "layer_norm",
        "pos_att_type": "p2c|c2p", "position_biased_input": False, "type_vocab_size": 0,
    },
}  # fmt: skip
NAMES = {"mpnet": "MPNet", "electra": "Electra", "albert": "Albert", "deberta-v2": "DebertaV2"}


def folder(place: Path, family: str, labels: int = 3, seed: int = 0, **config: Any) -> Path:
    """A classifier of a family, with BERT's tokenizer."""
    place.mkdir(parents=True, exist_ok=True)
    described = {
        **random_bert.CONFIG,
        "model_type": family,
        "architectures": [f"{NAMES[family]}ForSequenceClassification"],
        "hidden_size": HIDDEN,
        "type_vocab_size": 2,
        "id2label": {str(number): f"label {number}" for number in range(labels)},
        **CONFIGS[family],
        **config,
    }
    (place / "config.json").write_text(json.dumps(described))
    (place / "tokenizer.json").write_text(json.dumps(random_bert.tokenizer()))
    save_file(tensors(family, described, labels, seed), place / "model.safetensors")
    return place


def tensors(family: str, config: dict[str, Any], labels: int, seed: int) -> dict[str, np.ndarray]:
    """The tensors of a classifier by their names in published files."""
    random, known = np.random.default_rng(seed), FAMILIES[family]
    prefix, found = known.prefixes[0], {}
    embedded = config.get("embedding_size", HIDDEN)

    def linear(name: str, outputs: int, inputs: int) -> None:
        found[f"{name}.weight"] = (random.standard_normal((outputs, inputs)) * 0.2).astype(np.float32)
        found[f"{name}.bias"] = (random.standard_normal(outputs) * 0.1).astype(np.float32)

    def norm(name: str, size: int = HIDDEN) -> None:
        found[f"{name}.weight"] = (1 + random.standard_normal(size) * 0.1).astype(np.float32)
        found[f"{name}.bias"] = (random.standard_normal(size) * 0.1).astype(np.float32)

    def table(name: str, rows: int, size: int) -> None:
        found[f"{prefix}{name}.weight"] = random.standard_normal((rows, size)).astype(np.float32)

    table("embeddings.word_embeddings", config["vocab_size"], embedded)
    if family != "deberta-v2":
        table("embeddings.position_embeddings", config["max_position_embeddings"], embedded)
    if family in ("electra", "albert"):
        table("embeddings.token_type_embeddings", 2, embedded)
        linear(f"{prefix}{known.projection}", HIDDEN, embedded)
    norm(f"{prefix}embeddings.LayerNorm", embedded)
    if family == "mpnet":
        table("encoder.relative_attention_bias", 32, HEADS)
    if family == "deberta-v2":
        table("encoder.rel_embeddings", 16, HIDDEN)
        norm(f"{prefix}encoder.LayerNorm")
    names = known.names
    for number in range(1 if family == "albert" else config["num_hidden_layers"]):
        layer = prefix + names.layer.format(layer=number, group=0, inner=0)
        for part in (names.query, names.key, names.value, names.attention_output):
            linear(layer + part, HIDDEN, HIDDEN)
        linear(layer + names.expand, WIDE, HIDDEN)
        linear(layer + names.contract, HIDDEN, WIDE)
        norm(layer + names.attention_norm)
        norm(layer + names.norm)
    linear(known.classification.dense.format(prefix), HIDDEN, HIDDEN)
    linear("classifier" if family in ("albert", "deberta-v2") else "classifier.out_proj", labels, HIDDEN)
    return found
