"""What ``config.json`` says about an encoder: the numbers and settings a graph depends on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from firstlight.build.convert.checkpoint import Checkpoint
from firstlight.build.convert.families import FAMILIES, Family
from firstlight.build.convert.graph import CONTRIB
from firstlight.runtime.errors import ConversionError

ACTIVATIONS = {  # operator and its domain
    "gelu": ("Gelu", CONTRIB),
    "gelu_python": ("Gelu", CONTRIB),
    "gelu_new": ("FastGelu", CONTRIB),
    "gelu_fast": ("FastGelu", CONTRIB),
    "gelu_pytorch_tanh": ("FastGelu", CONTRIB),
    "relu": ("Relu", ""),
    "tanh": ("Tanh", ""),
}
_NO_TYPES = ("distilbert", "mpnet")
_WORDS = "embeddings.word_embeddings.weight"
_TYPES = "embeddings.token_type_embeddings.weight"
_POSITIONS = "embeddings.position_embeddings.weight"


@dataclass(frozen=True, slots=True)
class Architecture:
    """The numbers of ``config.json`` a graph depends on.

    Attributes:
        family: ``model_type``.
        hidden: features of a token between layers.
        embedding: features of the table of words; another number where a projection follows.
        layers: how many are computed, shared ones counted each time.
        groups, inner: layers with weights of their own, and how many of them one step of ALBERT has.
        positions: the most tokens, without RoBERTa's two in front.
        absolute: whether positions have embeddings that are added to those of words.
        config: everything, for what only one family reads.
    """

    family: str
    hidden: int
    embedding: int
    heads: int
    layers: int
    groups: int
    inner: int
    positions: int
    types: int
    activation: str
    epsilon: float
    pad: int
    absolute: bool
    config: Mapping[str, Any]

    @property
    def known(self) -> Family:
        """What the family does its own way."""
        return FAMILIES[self.family]

    @property
    def offset(self) -> int:
        """Position of the first token: RoBERTa counts from the padding id plus one."""
        return self.pad + 1 if self.known.counted else 0

    @classmethod
    def read(cls, config: Mapping[str, Any]) -> Architecture:
        """Take the numbers out of ``config.json``; ConversionError names what this converter does not know."""
        family = str(config.get("model_type", "")).lower()
        known = FAMILIES.get(family)
        if known is None:
            hint = f"architectures that can be converted: {', '.join(sorted(FAMILIES))}"
            raise ConversionError(f"config.json says model_type {family!r}", hint)
        keys = known.keys or {}
        hidden = int(config[keys.get("hidden_size", "hidden_size")])
        inner = int(config.get("inner_group_num", 1)) if family == "albert" else 1
        # MPNetEmbeddings has its padding id, and with it the first position, in the code.
        pad = config.get("pad_token_id") if family != "mpnet" else known.pad
        found = cls(
            family=family,
            hidden=hidden,
            embedding=int(config.get("embedding_size", hidden)) if known.projection else hidden,
            heads=int(config[keys.get("num_attention_heads", "num_attention_heads")]),
            layers=inner * int(config[keys.get("num_hidden_layers", "num_hidden_layers")]),
            groups=int(config.get("num_hidden_groups", 1)) if family == "albert" else 0,
            inner=inner,
            positions=int(config.get("max_position_embeddings", 512)),
            types=int(config.get("type_vocab_size", known.types)) if family not in _NO_TYPES else 0,
            activation=str(config.get(keys.get("hidden_act", "hidden_act"), known.activation)),
            epsilon=1e-12 if family == "distilbert" else float(config.get("layer_norm_eps", known.epsilon)),
            pad=known.pad if pad is None else int(pad),
            absolute=family != "deberta-v2" or bool(config.get("position_biased_input", True)),
            config=config,
        )
        found._check(config)
        return found

    def fits(self, checkpoint: Checkpoint) -> None:
        """ConversionError where the weights are of another size than the configuration says."""
        prefix = self.prefix(checkpoint)
        wide = checkpoint.entry(prefix + _WORDS).shape[-1:]
        if wide != (self.embedding,):
            message = f"config.json says {self.embedding} features and {self.positions} positions"
            raise ConversionError(f"{message}; the weights have {wide[0]} features")
        places = checkpoint.entry(prefix + _POSITIONS).shape[:1] if self.absolute else (self.positions,)
        if places != (self.positions,):
            message = f"config.json says {self.embedding} features and {self.positions} positions"
            raise ConversionError(f"{message}; the weights have {wide[0]} and {places[0]}")
        kinds = checkpoint.entry(prefix + _TYPES).shape[:1] if self.types > 0 else (self.types,)
        if kinds != (self.types,):
            raise ConversionError(
                f"config.json says {self.types} kinds of tokens; the weights have {kinds[0]}"
            )

    def prefix(self, checkpoint: Checkpoint) -> str:
        """What the names of the encoder's tensors begin with."""
        return checkpoint.prefix(self.known.prefixes, _WORDS)

    def layer(self, number: int) -> str:
        """What the names of a layer's tensors begin with, after the prefix."""
        names = self.known.names
        if not self.groups:
            return names.layer.format(layer=number)
        step = number // self.inner
        group = int(step / (self.layers // self.inner / self.groups))
        return names.layer.format(group=group, inner=number % self.inner)

    def number(self, key: str, default: int) -> int:
        """A whole number that only one family has in config.json."""
        found = self.config.get(key, default)
        if not isinstance(found, int):
            raise ConversionError(f"config.json says {key} {found!r}, which is not a whole number")
        return found

    def _check(self, config: Mapping[str, Any]) -> None:
        if self.activation not in ACTIVATIONS:
            raise ConversionError(f"config.json says activation {self.activation!r}, which is not known here")
        if config.get("position_embedding_type", "absolute") != "absolute":
            raise ConversionError("config.json asks for relative positions, which are not known here")
        if config.get("is_decoder") or config.get("add_cross_attention"):
            raise ConversionError("config.json describes a decoder; this converter takes encoders")
        if self.layers < 1 or self.inner < 1:
            raise ConversionError(f"config.json: an encoder of {self.layers} layers")
        if self.heads <= 0 or self.hidden % self.heads:
            raise ConversionError(f"config.json: {self.heads} heads do not divide {self.hidden} features")
        if self.family == "albert" and not 1 <= self.groups <= self.layers // self.inner:
            raise ConversionError(f"config.json: {self.layers} layers in {self.groups} groups")
