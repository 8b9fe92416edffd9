"""What follows the last layer, by task: the graph answers in scores, spans or embeddings, not in hidden states.

Outputs by task (``n`` labels, ``k`` masks, ``d`` features):

text-classification, zero-shot-classification    logits [1, n], scores [1, n]
token-classification                             logits [1, tokens, n], scores [1, tokens, n]
question-answering                               start_logits [1, tokens], end_logits [1, tokens]
fill-mask                                        scores [k, vocabulary]; takes mask_positions [k] besides the tokens
feature-extraction, sentence-similarity          sentence_embedding [1, d], last_hidden_state [1, tokens, d]
"""

from __future__ import annotations

from collections.abc import Callable

from firstlight.build.convert.graph import Graph
from firstlight.build.convert.layers import Encoder
from firstlight.build.convert.weights import Layer


def classification(encoder: Encoder, apply: str) -> None:
    """One row of scores for the text.

    Args:
        apply: ``softmax``, ``sigmoid`` or ``none``: how transformers makes scores of this model's logits.
    """
    graph, family = encoder.graph, encoder.architecture.family
    x = encoder.write()
    if family == "bert":
        x = _dense(encoder, x, f"{encoder.prefix}pooler.dense", "Tanh")
    elif family == "distilbert":
        x = _dense(encoder, x, "pre_classifier", "Relu")
    else:
        x = _dense(encoder, x, "classifier.dense", "Tanh")
    last = "classifier" if "classifier.weight" in encoder.weights.checkpoint else "classifier.out_proj"
    logits = encoder.weights.small(x, _layer(last))
    graph.output(logits, "logits", [1, "labels"])
    graph.output(_scores(graph, logits, apply), "scores", [1, "labels"])


def tokens(encoder: Encoder) -> None:
    """One row of scores for each token."""
    graph = encoder.graph
    logits = encoder.weights.small(encoder.write(), _layer("classifier"))
    graph.output(_batched(graph, logits), "logits", [1, "tokens", "labels"])
    graph.output(_batched(graph, _scores(graph, logits, "softmax")), "scores", [1, "tokens", "labels"])


def answer(encoder: Encoder) -> None:
    """The logits of a span's first and last token."""
    graph = encoder.graph
    logits = encoder.weights.small(encoder.write(), _layer("qa_outputs"))
    by_end = graph.add("Transpose", logits, perm=[1, 0])
    halves = graph.split("Split", by_end, graph.constant([1, 1]), parts=2, axis=0)
    for half, name in zip(halves, ("start_logits", "end_logits"), strict=True):
        graph.output(half, name, [1, "tokens"])


def masked(encoder: Encoder) -> None:
    """Probabilities of the whole vocabulary at each masked position."""
    graph, checkpoint = encoder.graph, encoder.weights.checkpoint
    dense, norm, decoder, bias = _MASKED[encoder.architecture.family]
    roberta = dense.startswith("lm_head")  # whose head is GELU whatever the layers use
    (x,) = encoder.weights.linear(encoder.write(), [_layer(dense)])
    x = encoder.layer_norm(encoder.activate(x, "gelu" if roberta else None), norm)
    tied = f"{encoder.prefix}embeddings.word_embeddings.weight"
    weight = f"{decoder}.weight" if f"{decoder}.weight" in checkpoint else tied
    bias = bias if bias in checkpoint else f"{decoder}.bias"
    (logits,) = encoder.weights.linear(x, [(weight, bias)])
    graph.output(_scores(graph, logits, "softmax"), "scores", ["masks", "vocabulary"])


def embedding(encoder: Encoder, pooling: str) -> None:
    """One normalised vector for the text, and the hidden states it is pooled from.

    Args:
        pooling: ``mean``, ``cls`` or ``max``, as sentence-transformers' Pooling module names them.
    """
    graph, size = encoder.graph, encoder.architecture.hidden
    x = encoder.write()
    graph.output(_batched(graph, x), "last_hidden_state", [1, "tokens", size])
    pooled = _POOLINGS[pooling](graph, x)
    length = graph.add("ReduceL2", pooled, axes=[1], keepdims=1)
    graph.output(graph.add("Div", pooled, length), "sentence_embedding", [1, size])


_MASKED = {
    "bert": (
        "cls.predictions.transform.dense",
        "cls.predictions.transform.LayerNorm",
        "cls.predictions.decoder",
        "cls.predictions.bias",
    ),
    "distilbert": ("vocab_transform", "vocab_layer_norm", "vocab_projector", "vocab_projector.bias"),
} | dict.fromkeys(
    ("roberta", "xlm-roberta", "camembert"),
    ("lm_head.dense", "lm_head.layer_norm", "lm_head.decoder", "lm_head.bias"),
)

_POOLINGS: dict[str, Callable[[Graph, str], str]] = {
    "mean": lambda graph, x: graph.add("ReduceMean", x, axes=[0], keepdims=1),
    "max": lambda graph, x: graph.add("ReduceMax", x, axes=[0], keepdims=1),
    "cls": lambda graph, x: graph.add("Gather", x, graph.constant([0]), axis=0),
}

POOLINGS = tuple(_POOLINGS)


def _layer(name: str) -> Layer:
    return f"{name}.weight", f"{name}.bias"


def _dense(encoder: Encoder, x: str, name: str, activation: str) -> str:
    (x,) = encoder.weights.linear(x, [_layer(name)])
    return encoder.graph.add(activation, x)


def _scores(graph: Graph, logits: str, apply: str) -> str:
    if apply == "softmax":
        return graph.add("Softmax", logits, axis=-1)
    return graph.add({"sigmoid": "Sigmoid", "none": "Identity"}[apply], logits)


def _batched(graph: Graph, x: str) -> str:
    return graph.add("Unsqueeze", x, graph.constant([0]))
