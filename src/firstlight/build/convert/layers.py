"""The layers of encoders of the BERT family; ``families`` says what each family does its own way.

Parity is with transformers' ``modeling_*.py`` for one row without padding; there is no attention mask, as there is
nothing to hide.
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
        x = self.embeddings()
        for number in range(self.architecture.layers):
            last = number == self.architecture.layers - 1
            x = self.layer(x, number, self._rows if last else None)
        return self.layer_norm(x, f"{self.prefix}LayerNorm") if self.architecture.known.before else x

    def activate(self, x: str, activation: str | None = None) -> str:
        """The activation function of the configuration, or the one named."""
        operator, domain = ACTIVATIONS[activation or self.architecture.activation]
        return self.graph.add(operator, x, domain=domain)

    def layer_norm(self, x: str, name: str) -> str:
        """Layer normalisation with the tensors ``name.weight`` and ``name.bias``."""
        scale, bias = self.weights.vector(f"{name}.weight"), self.weights.vector(f"{name}.bias")
        epsilon = self.architecture.epsilon
        return self.graph.add("LayerNormalization", x, scale, bias, axis=-1, epsilon=epsilon)

    def embeddings(self) -> str:
        """The inputs of the graph and what the first layer is given."""
        graph, known, base = self.graph, self.architecture.known, f"{self.prefix}embeddings."
        first = graph.constant([0])
        ids = graph.add("Squeeze", graph.input("input_ids", [1, "tokens"]), first)
        x = self.weights.lookup(f"{base}word_embeddings.weight", ids)
        if self.architecture.types > 1:
            kinds = graph.add("Squeeze", graph.input("token_type_ids", [1, "tokens"]), first)
            x = graph.add("Add", x, self.weights.lookup(f"{base}token_type_embeddings.weight", kinds))
        elif self.architecture.types == 1:
            x = graph.add("Add", x, self.weights.vector(f"{base}token_type_embeddings.weight"))
        if known.tasks and self.architecture.config.get("use_task_id"):
            x = graph.add("Add", x, self.weights.lookup(f"{base}{known.tasks}.weight", first))
        if self.architecture.absolute:
            x = graph.add("Add", x, self._positions(ids, base))
        return self.project(x, f"{base}LayerNorm")

    def project(self, x: str, norm: str) -> str:
        """What is done with the sum of the embeddings: they are normalised, then brought to the layers' size."""
        x = self.layer_norm(x, norm)
        name = f"{self.prefix}{self.architecture.known.projection}"
        if not self.architecture.known.projection or f"{name}.weight" not in self.weights.checkpoint:
            return x
        (wide,) = self.weights.linear(x, [(f"{name}.weight", f"{name}.bias")])
        return wide

    def _positions(self, ids: str, base: str) -> str:
        graph, table = self.graph, f"{base}position_embeddings.weight"
        if not self.architecture.offset:
            return self.weights.positions(table, graph.add("Shape", ids))
        # As transformers' create_position_ids_from_input_ids: a padding id within the text is not counted.
        pad = graph.constant(self.architecture.pad)
        kept = graph.add("Cast", graph.add("Not", graph.add("Equal", ids, pad)), to=7)
        counted = graph.add("Mul", graph.add("CumSum", kept, graph.constant(0)), kept)
        return self.weights.lookup(table, graph.add("Add", counted, pad))

    def named(self, number: int, part: str) -> str:
        """The name of a layer's part."""
        return f"{self.prefix}{self.architecture.layer(number)}{part}"

    def linear(self, number: int, part: str) -> Layer:
        """The names of a layer's weight and bias."""
        name = self.named(number, part)
        return f"{name}.weight", f"{name}.bias"

    def layer(self, x: str, number: int, rows: str | None) -> str:
        """One layer: attention, then the wide layer, each added to what it was given."""
        names, weights, before = (
            self.architecture.known.names,
            self.weights,
            self.architecture.known.before,
        )
        attention_norm, norm = self.named(number, names.attention_norm), self.named(number, names.norm)
        joined = self.attend(self.layer_norm(x, attention_norm) if before else x, number, rows)
        x = x if rows is None else self.graph.add("Gather", x, rows, axis=0)
        (attended,) = weights.linear(joined, [self.linear(number, names.attention_output)])
        # Two nodes: onnxruntime's fused SkipLayerNormalization takes three times as long as both on CPU (1.31).
        x = self.graph.add("Add", attended, x)
        x = x if before else self.layer_norm(x, attention_norm)
        (expanded,) = weights.linear(
            self.layer_norm(x, norm) if before else x, [self.linear(number, names.expand)]
        )
        (contracted,) = weights.linear(self.activate(expanded), [self.linear(number, names.contract)])
        x = self.graph.add("Add", contracted, x)
        return x if before else self.layer_norm(x, norm)

    def attend(self, x: str, number: int, rows: str | None) -> str:
        """What the heads of a layer take from the values, side by side [tokens or k, features]."""
        names, weights = self.architecture.known.names, self.weights
        queries, keys, values = (self.linear(number, part) for part in (names.query, names.key, names.value))
        if rows is None or self.architecture.groups:  # of shared weights one joined matrix is enough
            query, key, value = weights.linear(x, [queries, keys, values])
            query = query if rows is None else self.graph.add("Gather", query, rows, axis=0)
        else:
            key, value = weights.linear(x, [keys, values])
            (query,) = weights.linear(self.graph.add("Gather", x, rows, axis=0), [queries])
        return self.attention(query, key, value, self.bias(rows))

    def bias(self, rows: str | None) -> list[str]:
        """What is added to the scores of a layer [1, heads, tokens or k, tokens]; nothing for most families."""
        del rows
        return []

    def attention(self, query: str, key: str, value: str, bias: list[str], scale: float | None = None) -> str:
        """The fused operator; ``bias`` is added to the scores after they are scaled."""
        graph = self.graph
        row = graph.constant([0])
        batched = [graph.add("Unsqueeze", part, row) for part in (query, key, value)]
        heads = self.architecture.heads
        scale = scale or float(np.float32(1 / np.sqrt(self.architecture.hidden / heads)))
        more = ["", "", *bias] if bias else []
        joined = graph.add(
            "MultiHeadAttention", *batched, *more, domain=CONTRIB, num_heads=heads, scale=scale
        )
        return graph.add("Squeeze", joined, row)
