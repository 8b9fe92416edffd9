"""Where each family of encoders keeps its tensors, and what it does otherwise than BERT.

Sources: the ``modeling_*.py`` and ``configuration_*.py`` of transformers 4.57, whose names the files of published
models have. A family is told by ``model_type`` in config.json.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace


@dataclass(frozen=True, slots=True)
class Names:
    """Where a layer keeps its tensors; ``layer`` holds ``{layer}``, or ``{group}`` and ``{inner}``."""

    layer: str
    query: str
    key: str
    value: str
    attention_output: str
    attention_norm: str
    expand: str
    contract: str
    norm: str


@dataclass(frozen=True, slots=True)
class Classification:
    """What a text is classified by: a layer over its first token and what follows it.

    Attributes:
        dense: name of the layer; with ``{}`` for what the encoder's tensors begin with.
        activation: what follows it, as config.json names activations.
    """

    dense: str
    activation: str


@dataclass(frozen=True, slots=True)
class Masked:
    """What a masked word is found by.

    Attributes:
        dense, norm, decoder, bias: names of tensors; a missing decoder is the table of words.
        activation: None for that of the layers.
    """

    dense: str
    norm: str
    decoder: str
    bias: str
    activation: str | None = None


@dataclass(frozen=True, slots=True)
class Family:
    """One family.

    Attributes:
        prefixes: what the names of the encoder's tensors may begin with.
        names: those of a layer.
        classification, masked: its heads; of several masked ones the first that is there.
        epsilon, types, pad, activation: what holds where config.json does not say.
        counted: positions are counted from the padding id plus one (RoBERTa).
        projection: the layer between embeddings and the first layer, where they differ in size.
        before: layers are normalised before attention and before the wide layer, and at the end (pre-layer-norm).
        tasks: embeddings of the task, of which the first is added (ERNIE).
        keys: names in config.json that differ from BERT's.
    """

    prefixes: tuple[str, ...]
    names: Names
    classification: Classification
    masked: tuple[Masked, ...]
    epsilon: float = 1e-12
    types: int = 2
    pad: int = 0
    activation: str = "gelu"
    counted: bool = False
    projection: str | None = None
    before: bool = False
    tasks: str | None = None
    keys: Mapping[str, str] | None = None


_LAYER = "encoder.layer.{layer}."
_BERT_LAYER = Names(
    layer=_LAYER,
    query="attention.self.query",
    key="attention.self.key",
    value="attention.self.value",
    attention_output="attention.output.dense",
    attention_norm="attention.output.LayerNorm",
    expand="intermediate.dense",
    contract="output.dense",
    norm="output.LayerNorm",
)
_DISTILBERT_LAYER = Names(
    layer="transformer.layer.{layer}.",
    query="attention.q_lin",
    key="attention.k_lin",
    value="attention.v_lin",
    attention_output="attention.out_lin",
    attention_norm="sa_layer_norm",
    expand="ffn.lin1",
    contract="ffn.lin2",
    norm="output_layer_norm",
)
_MPNET_LAYER = replace(
    _BERT_LAYER,
    query="attention.attn.q",
    key="attention.attn.k",
    value="attention.attn.v",
    attention_output="attention.attn.o",
    attention_norm="attention.LayerNorm",
)
_ALBERT_LAYER = Names(
    layer="encoder.albert_layer_groups.{group}.albert_layers.{inner}.",
    query="attention.query",
    key="attention.key",
    value="attention.value",
    attention_output="attention.dense",
    attention_norm="attention.LayerNorm",
    expand="ffn",
    contract="ffn_output",
    norm="full_layer_layer_norm",
)
_DEBERTA_LAYER = replace(
    _BERT_LAYER,
    query="attention.self.query_proj",
    key="attention.self.key_proj",
    value="attention.self.value_proj",
)
_PRE_NORM_LAYER = replace(_BERT_LAYER, attention_norm="attention.LayerNorm", norm="intermediate.LayerNorm")

_PREDICTIONS = Masked(
    "cls.predictions.transform.dense",
    "cls.predictions.transform.LayerNorm",
    "cls.predictions.decoder",
    "cls.predictions.bias",
)
_LM_HEAD = Masked("lm_head.dense", "lm_head.layer_norm", "lm_head.decoder", "lm_head.bias", "gelu")
_FIRST_TOKEN = Classification("classifier.dense", "tanh")

_BERT = Family(
    ("bert.", "model.", ""), _BERT_LAYER, Classification("{}pooler.dense", "tanh"), (_PREDICTIONS,)
)
_ROBERTA = Family(("roberta.", "model.", ""), _BERT_LAYER, _FIRST_TOKEN, (_LM_HEAD,), pad=1, counted=True)

FAMILIES: Mapping[str, Family] = {
    "bert": _BERT,
    "ernie": replace(_BERT, prefixes=("ernie.", "model.", ""), tasks="task_type_embeddings"),
    "distilbert": Family(
        ("distilbert.", "model.", ""),
        _DISTILBERT_LAYER,
        Classification("pre_classifier", "relu"),
        (Masked("vocab_transform", "vocab_layer_norm", "vocab_projector", "vocab_projector.bias"),),
        types=0,
        keys={
            "hidden_size": "dim",
            "num_attention_heads": "n_heads",
            "num_hidden_layers": "n_layers",
            "hidden_act": "activation",
        },
    ),
    "roberta": _ROBERTA,
    "xlm-roberta": _ROBERTA,
    "camembert": _ROBERTA,
    "data2vec-text": replace(_ROBERTA, prefixes=("data2vec_text.", "model.", "")),
    "roberta-prelayernorm": replace(
        _ROBERTA, prefixes=("roberta_prelayernorm.", "model.", ""), names=_PRE_NORM_LAYER, before=True
    ),
    "mpnet": Family(
        ("mpnet.", "model.", ""), _MPNET_LAYER, _FIRST_TOKEN, (_LM_HEAD,), types=0, pad=1, counted=True
    ),
    "electra": Family(
        ("electra.", "model.", ""),
        _BERT_LAYER,
        Classification("classifier.dense", "gelu"),
        (
            Masked(
                "generator_predictions.dense",
                "generator_predictions.LayerNorm",
                "generator_lm_head",
                "generator_lm_head.bias",
                "gelu",
            ),
        ),
        projection="embeddings_project",
    ),
    "albert": Family(
        ("albert.", "model.", ""),
        _ALBERT_LAYER,
        Classification("{}pooler", "tanh"),
        (Masked("predictions.dense", "predictions.LayerNorm", "predictions.decoder", "predictions.bias"),),
        activation="gelu_new",
        projection="encoder.embedding_hidden_mapping_in",
    ),
    "deberta-v2": Family(
        ("deberta.", "model.", ""),
        _DEBERTA_LAYER,
        Classification("pooler.dense", "gelu"),
        (
            _PREDICTIONS,
            Masked(
                "lm_predictions.lm_head.dense",
                "lm_predictions.lm_head.LayerNorm",
                "",
                "lm_predictions.lm_head.bias",
            ),
        ),
        epsilon=1e-7,
        types=0,
        projection="embeddings.embed_proj",
    ),
}
