"""What ``config.json`` says about an encoder, and where each family of encoders keeps its tensors."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from firstlight.build.convert.checkpoint import Checkpoint
from firstlight.build.convert.graph import CONTRIB
from firstlight.runtime.errors import ConversionError

ACTIVATIONS = {  # operator and its domain
    "gelu": ("Gelu", CONTRIB),
    "gelu_new": ("FastGelu", CONTRIB),
    "gelu_fast": ("FastGelu", CONTRIB),
    "gelu_pytorch_tanh": ("FastGelu", CONTRIB),
    "relu": ("Relu", ""),
}


@dataclass(frozen=True, slots=True)
class Names:
    """Where a family keeps its tensors; ``layer`` holds a ``{}`` for the number of the layer."""

    prefixes: tuple[str, ...]
    layer: str
    query: str
    key: str
    value: str
    attention_output: str
    attention_norm: str
    expand: str
    contract: str
    norm: str


_BERT_LAYER = (
    "encoder.layer.{}.",
    "attention.self.query",
    "attention.self.key",
    "attention.self.value",
    "attention.output.dense",
    "attention.output.LayerNorm",
    "intermediate.dense",
    "output.dense",
    "output.LayerNorm",
)
_DISTILBERT_LAYER = (
    "transformer.layer.{}.",
    "attention.q_lin",
    "attention.k_lin",
    "attention.v_lin",
    "attention.out_lin",
    "sa_layer_norm",
    "ffn.lin1",
    "ffn.lin2",
    "output_layer_norm",
)
_ROBERTA = Names(("roberta.", "model.", ""), *_BERT_LAYER)
FAMILIES = {
    "bert": Names(("bert.", "model.", ""), *_BERT_LAYER),
    "distilbert": Names(("distilbert.", "model.", ""), *_DISTILBERT_LAYER),
    "roberta": _ROBERTA,
    "xlm-roberta": _ROBERTA,
    "camembert": _ROBERTA,
}


@dataclass(frozen=True, slots=True)
class Architecture:
    """The numbers of ``config.json`` a graph depends on."""

    family: str
    hidden: int
    heads: int
    layers: int
    positions: int
    types: int
    activation: str
    epsilon: float
    pad: int

    @property
    def names(self) -> Names:
        """Tensor names of the family."""
        return FAMILIES[self.family]

    @property
    def offset(self) -> int:
        """Position of the first token: RoBERTa counts from the padding id plus one."""
        return self.pad + 1 if self.names is _ROBERTA else 0

    @classmethod
    def read(cls, config: Mapping[str, Any]) -> Architecture:
        """Take the numbers out of ``config.json``; ConversionError names what this converter does not know."""
        family = str(config.get("model_type", "")).lower()
        if family not in FAMILIES:
            hint = f"architectures that can be converted: {', '.join(sorted(FAMILIES))}"
            raise ConversionError(f"config.json says model_type {family!r}", hint)
        distil = family == "distilbert"
        found = cls(
            family=family,
            hidden=int(config["dim" if distil else "hidden_size"]),
            heads=int(config["n_heads" if distil else "num_attention_heads"]),
            layers=int(config["n_layers" if distil else "num_hidden_layers"]),
            positions=int(config.get("max_position_embeddings", 512)),
            types=0 if distil else int(config.get("type_vocab_size", 2)),
            activation=str(config.get("activation" if distil else "hidden_act", "gelu")),
            epsilon=1e-12 if distil else float(config.get("layer_norm_eps", 1e-12)),
            pad=int(config.get("pad_token_id") or 0),
        )
        found._check(config)
        return found

    def fits(self, checkpoint: Checkpoint) -> None:
        """ConversionError where the weights are of another size than the configuration says."""
        prefix = self.prefix(checkpoint)
        wide = checkpoint.entry(f"{prefix}embeddings.word_embeddings.weight").shape[-1:]
        places = checkpoint.entry(f"{prefix}embeddings.position_embeddings.weight").shape[:1]
        if wide != (self.hidden,) or places != (self.positions,):
            message = f"config.json says {self.hidden} features and {self.positions} positions"
            raise ConversionError(f"{message}; the weights have {wide[0]} and {places[0]}")

    def prefix(self, checkpoint: Checkpoint) -> str:
        """What the names of the encoder's tensors begin with."""
        return checkpoint.prefix(self.names.prefixes, "embeddings.word_embeddings.weight")

    def _check(self, config: Mapping[str, Any]) -> None:
        if self.activation not in ACTIVATIONS:
            raise ConversionError(f"config.json says activation {self.activation!r}, which is not known here")
        if config.get("position_embedding_type", "absolute") != "absolute":
            raise ConversionError("config.json asks for relative positions, which are not known here")
        if config.get("is_decoder") or config.get("add_cross_attention"):
            raise ConversionError("config.json describes a decoder; this converter takes encoders")
        if self.layers < 1:
            raise ConversionError(f"config.json: an encoder of {self.layers} layers")
        if self.heads <= 0 or self.hidden % self.heads:
            raise ConversionError(f"config.json: {self.heads} heads do not divide {self.hidden} features")
