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

from firstlight.build.convert.architecture import ACTIVATIONS
from firstlight.build.convert.graph import Graph
from firstlight.build.convert.layers import Encoder
from firstlight.build.convert.weights import Layer
from firstlight.runtime.errors import ConversionError


def classification(encoder: Encoder, apply: str) -> None:
    """One row of scores for the text.

    Args:
        apply: ``softmax``, ``sigmoid`` or ``none``: how transformers makes scores of this model's logits.
    """
    graph, asked = encoder.graph, encoder.architecture.known.classification
    activation = asked.activation
    if encoder.architecture.family == "deberta-v2":
        activation = str(encoder.architecture.config.get("pooler_hidden_act", activation))
    if activation not in ACTIVATIONS:
        raise ConversionError(f"config.json says pooler_hidden_act {activation!r}, which is not known here")
    dense = asked.dense.format(encoder.prefix)
    (x,) = encoder.weights.linear(encoder.write(), [_layer(dense)])
    x = encoder.activate(x, activation)
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
    heads = encoder.architecture.known.masked
    head = next((head for head in heads if f"{head.dense}.weight" in checkpoint), heads[0])
    (x,) = encoder.weights.linear(encoder.write(), [_layer(head.dense)])
    x = encoder.layer_norm(encoder.activate(x, head.activation), head.norm)
    tied = f"{encoder.prefix}embeddings.word_embeddings.weight"
    weight = f"{head.decoder}.weight" if f"{head.decoder}.weight" in checkpoint else tied
    bias = head.bias if head.bias in checkpoint else f"{head.decoder}.bias"
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


_POOLINGS: dict[str, Callable[[Graph, str], str]] = {
    "mean": lambda graph, x: graph.add("ReduceMean", x, axes=[0], keepdims=1),
    "max": lambda graph, x: graph.add("ReduceMax", x, axes=[0], keepdims=1),
    "cls": lambda graph, x: graph.add("Gather", x, graph.constant([0]), axis=0),
}


def _layer(name: str) -> Layer:
    return f"{name}.weight", f"{name}.bias"


def _scores(graph: Graph, logits: str, apply: str) -> str:
    if apply == "softmax":
        return graph.add("Softmax", logits, axis=-1)
    return graph.add({"sigmoid": "Sigmoid", "none": "Identity"}[apply], logits)


def _batched(graph: Graph, x: str) -> str:
    return graph.add("Unsqueeze", x, graph.constant([0]))
