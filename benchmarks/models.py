"""Hugging Face folders of real shapes with seeded random weights: they prove speed, their answers mean nothing."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
from safetensors.numpy import save_file

from firstlight import starters
from firstlight.build.convert import parity

VOCABULARY = 30522


def lift_limits() -> None:
    """Let conversion pass whatever the parity: random weights have no answers to protect."""
    parity.LIMITS = {head: {} for head in parity.LIMITS}


def distilbert_classifier(folder: Path, layers: int = 6, width: int = 768) -> Path:
    """A DistilBERT sequence classifier, 67 million parameters at the default size."""
    tensors = _Weights()
    tensors.add("distilbert.embeddings.word_embeddings.weight", VOCABULARY, width)
    tensors.add("distilbert.embeddings.position_embeddings.weight", 512, width)
    tensors.norm("distilbert.embeddings.LayerNorm", width)
    for layer in range(layers):
        at = f"distilbert.transformer.layer.{layer}"
        for name in ("q_lin", "k_lin", "v_lin", "out_lin"):
            tensors.linear(f"{at}.attention.{name}", width, width)
        tensors.norm(f"{at}.sa_layer_norm", width)
        tensors.linear(f"{at}.ffn.lin1", 4 * width, width)
        tensors.linear(f"{at}.ffn.lin2", width, 4 * width)
        tensors.norm(f"{at}.output_layer_norm", width)
    tensors.linear("pre_classifier", width, width)
    tensors.linear("classifier", 2, width)
    config = {
        "architectures": ["DistilBertForSequenceClassification"],
        "model_type": "distilbert",
        "activation": "gelu",
        "dim": width,
        "hidden_dim": 4 * width,
        "n_heads": width // 64,
        "n_layers": layers,
        "max_position_embeddings": 512,
        "vocab_size": VOCABULARY,
        "pad_token_id": 0,
        "sinusoidal_pos_embds": False,
        "tie_weights_": True,
        "id2label": {"0": "NEGATIVE", "1": "POSITIVE"},
        "label2id": {"NEGATIVE": 0, "POSITIVE": 1},
    }
    return _write(folder, config, tensors, "DistilBertTokenizer")


def bert_question_answering(folder: Path, layers: int = 12, width: int = 768) -> Path:
    """A BERT question answerer, 109 million parameters at the default size."""
    tensors = _bert(layers, width, VOCABULARY)
    tensors.linear("qa_outputs", 2, width)
    return _write(
        folder, _bert_config("BertForQuestionAnswering", layers, width, VOCABULARY), tensors, "BertTokenizer"
    )


def minilm_encoder(folder: Path, layers: int = 6, width: int = 384) -> Path:
    """A BERT encoder of all-MiniLM-L6's size, 22 million parameters."""
    config = _bert_config("BertModel", layers, width, VOCABULARY) | {"num_attention_heads": 12}
    return _write(folder, config, _bert(layers, width, VOCABULARY), "BertTokenizer")


def _bert(layers: int, width: int, vocabulary: int) -> _Weights:
    tensors = _Weights()
    tensors.add("bert.embeddings.word_embeddings.weight", vocabulary, width)
    tensors.add("bert.embeddings.position_embeddings.weight", 512, width)
    tensors.add("bert.embeddings.token_type_embeddings.weight", 2, width)
    tensors.norm("bert.embeddings.LayerNorm", width)
    for layer in range(layers):
        at = f"bert.encoder.layer.{layer}"
        for name in ("self.query", "self.key", "self.value", "output.dense"):
            tensors.linear(f"{at}.attention.{name}", width, width)
        tensors.norm(f"{at}.attention.output.LayerNorm", width)
        tensors.linear(f"{at}.intermediate.dense", 4 * width, width)
        tensors.linear(f"{at}.output.dense", width, 4 * width)
        tensors.norm(f"{at}.output.LayerNorm", width)
    return tensors


def _bert_config(architecture: str, layers: int, width: int, vocabulary: int) -> dict[str, object]:
    return {
        "architectures": [architecture],
        "model_type": "bert",
        "hidden_act": "gelu",
        "hidden_size": width,
        "intermediate_size": 4 * width,
        "num_attention_heads": width // 64,
        "num_hidden_layers": layers,
        "max_position_embeddings": 512,
        "type_vocab_size": 2,
        "vocab_size": vocabulary,
        "layer_norm_eps": 1e-12,
        "pad_token_id": 0,
    }


class _Weights(dict[str, np.ndarray]):
    def __init__(self) -> None:
        super().__init__()
        self.random = np.random.default_rng(0)

    def add(self, name: str, *shape: int) -> None:
        self[name] = self.random.normal(0, 0.02, shape).astype(np.float32)

    def linear(self, name: str, outputs: int, inputs: int) -> None:
        self.add(f"{name}.weight", outputs, inputs)
        self.add(f"{name}.bias", outputs)

    def norm(self, name: str, width: int) -> None:
        self[f"{name}.weight"] = np.ones(width, np.float32)
        self[f"{name}.bias"] = np.zeros(width, np.float32)


def _write(folder: Path, config: dict[str, object], tensors: _Weights, tokenizer: str) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.json").write_text(json.dumps(config, indent=1))
    (folder / "tokenizer_config.json").write_text(
        json.dumps({"tokenizer_class": tokenizer, "do_lower_case": True, "model_max_length": 512})
    )
    shutil.copy(starters.path("embeddings") / "tokenizer.json", folder / "tokenizer.json")
    save_file(dict(tensors), folder / "model.safetensors", metadata={"format": "pt"})
    return folder
