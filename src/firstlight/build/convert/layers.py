"""The layers of encoders of the BERT family: BERT, DistilBERT, RoBERTa, XLM-RoBERTa, CamemBERT.

Parity is with transformers' ``modeling_bert.py``, ``modeling_distilbert.py`` and ``modeling_roberta.py`` for one row
without padding; there is no attention mask, as there is nothing to hide.
"""

from __future__ import annotations

import numpy as np

from firstlight.build.convert.architecture import ACTIVATIONS, Architecture
from firstlight.build.convert.graph import CONTRIB, Graph
from firstlight.build.convert.weights import Layer, Weights


class Encoder:
    """Writes the layers of an encoder into a graph.

    Args:
        rows: name of int64 indices [k] of the tokens whose last hidden state is wanted; None for all of them.
            The last layer is computed for those only.
    """

    def __init__(
        self, graph: Graph, weights: Weights, architecture: Architecture, rows: str | None = None
    ) -> None:
        self.graph, self.weights, self._rows = graph, weights, rows
        self.architecture = architecture
        self.prefix = architecture.prefix(weights.checkpoint)

    def write(self) -> str:
        """Inputs, embeddings and layers; returns the last hidden state [tokens or k, features]."""
        x = self._embeddings()
        for number in range(self.architecture.layers):
            last = number == self.architecture.layers - 1
            x = self._layer(x, number, self._rows if last else None)
        return x

    def activate(self, x: str, activation: str | None = None) -> str:
        """The activation function of the configuration, or the one named."""
        operator, domain = ACTIVATIONS[activation or self.architecture.activation]
        return self.graph.add(operator, x, domain=domain)

    def layer_norm(self, x: str, name: str) -> str:
        """Layer normalisation with the tensors ``name.weight`` and ``name.bias``."""
        scale, bias = self.weights.vector(f"{name}.weight"), self.weights.vector(f"{name}.bias")
        epsilon = self.architecture.epsilon
        return self.graph.add("LayerNormalization", x, scale, bias, axis=-1, epsilon=epsilon)

    def _add_and_norm(self, x: str, residual: str, name: str) -> str:
        # Two nodes: onnxruntime's fused SkipLayerNormalization takes three times as long as both on CPU (1.31).
        return self.layer_norm(self.graph.add("Add", x, residual), name)

    def _embeddings(self) -> str:
        graph, base = self.graph, f"{self.prefix}embeddings."
        first = graph.constant([0])
        ids = graph.add("Squeeze", graph.input("input_ids", [1, "tokens"]), first)
        words = self.weights.lookup(f"{base}word_embeddings.weight", ids)
        if self.architecture.types > 1:
            kinds = graph.add("Squeeze", graph.input("token_type_ids", [1, "tokens"]), first)
            words = graph.add("Add", words, self.weights.lookup(f"{base}token_type_embeddings.weight", kinds))
        elif self.architecture.types == 1:
            words = graph.add("Add", words, self.weights.vector(f"{base}token_type_embeddings.weight"))
        return self._add_and_norm(words, self._positions(ids, base), f"{base}LayerNorm")

    def _positions(self, ids: str, base: str) -> str:
        graph, table = self.graph, f"{base}position_embeddings.weight"
        if not self.architecture.offset:
            return self.weights.positions(table, graph.add("Shape", ids))
        # As transformers' create_position_ids_from_input_ids: a padding id within the text is not counted.
        pad = graph.constant(self.architecture.pad)
        kept = graph.add("Cast", graph.add("Not", graph.add("Equal", ids, pad)), to=7)
        counted = graph.add("Mul", graph.add("CumSum", kept, graph.constant(0)), kept)
        return self.weights.lookup(table, graph.add("Add", counted, pad))

    def _named(self, number: int, part: str) -> str:
        return f"{self.prefix}{self.architecture.names.layer.format(number)}{part}"

    def _linear(self, number: int, part: str) -> Layer:
        name = self._named(number, part)
        return f"{name}.weight", f"{name}.bias"

    def _layer(self, x: str, number: int, rows: str | None) -> str:
        names, weights = self.architecture.names, self.weights
        queries, keys, values = (self._linear(number, part) for part in (names.query, names.key, names.value))
        if rows is None:
            query, key, value = weights.linear(x, [queries, keys, values])
        else:
            key, value = weights.linear(x, [keys, values])
            x = self.graph.add("Gather", x, rows, axis=0)
            (query,) = weights.linear(x, [queries])
        (attended,) = weights.linear(
            self._attention(query, key, value), [self._linear(number, names.attention_output)]
        )
        x = self._add_and_norm(attended, x, self._named(number, names.attention_norm))
        (expanded,) = weights.linear(x, [self._linear(number, names.expand)])
        (contracted,) = weights.linear(self.activate(expanded), [self._linear(number, names.contract)])
        return self._add_and_norm(contracted, x, self._named(number, names.norm))

    def _attention(self, query: str, key: str, value: str) -> str:
        graph = self.graph
        row = graph.constant([0])
        batched = [graph.add("Unsqueeze", part, row) for part in (query, key, value)]
        heads = self.architecture.heads
        scale = float(np.float32(1 / np.sqrt(self.architecture.hidden / heads)))
        joined = graph.add("MultiHeadAttention", *batched, domain=CONTRIB, num_heads=heads, scale=scale)
        return graph.add("Squeeze", joined, row)
