"""DeBERTa-v2 and v3: scores of content with content, content with distance and distance with content.

A distance has a bucket, a bucket a row of one table, and each layer projects that table to keys and to queries. The
projected tables do not depend on the text, so they are computed here and kept; a worker looks up the rows of the
distances a text has. He and others, "DeBERTa" (2021), section 3; parity is with ``modeling_deberta_v2.py`` of
transformers 4.57.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from firstlight.build.convert import exactly, layers
from firstlight.build.convert.architecture import ACTIVATIONS, Architecture
from firstlight.build.convert.checkpoint import Floats
from firstlight.build.convert.graph import CONTRIB, Graph
from firstlight.build.convert.weights import Weights
from firstlight.runtime.errors import ConversionError


class Encoder(layers.Encoder):
    """A DeBERTa-v2 encoder."""

    def __init__(
        self, graph: Graph, weights: Weights, architecture: Architecture, rows: str | None = None
    ) -> None:
        super().__init__(graph, weights, architecture, rows)
        self._kinds = _kinds(architecture.config)
        self._shared = bool(architecture.config.get("share_att_key", False))
        self._relative = bool(architecture.config.get("relative_attention", False))
        size = architecture.hidden // architecture.heads
        if architecture.number("attention_head_size", size) != size:
            raise ConversionError("config.json: heads of another size than features divided by heads")
        self._scale = float(np.float32(1 / np.sqrt(size * (1 + len(self._kinds)))))
        self._buckets = architecture.number("position_buckets", -1)
        farthest = architecture.number("max_relative_positions", -1)
        self._farthest = farthest if farthest >= 1 else architecture.positions
        self._span = self._buckets if self._buckets > 0 else self._farthest
        if self._relative:
            self._check()
        self._places: dict[str, str] = {}
        self._embedded = ""
        self._table: exactly.Doubles | None = None

    def _check(self) -> None:
        """ConversionError where there are no such buckets, or the table has not as many."""
        if self._buckets > 0 and not 1 <= self._buckets // 2 < self._farthest - 1:
            message = f"config.json: {self._buckets} buckets for distances up to {self._farthest}"
            raise ConversionError(message, "it is of another model, or damaged; download it again")
        table = self.weights.checkpoint.entry(f"{self.prefix}encoder.rel_embeddings.weight").shape
        if len(table) != 2 or table[0] < 2 * self._span or table[1] != self.architecture.hidden:
            message = f"config.json asks for {2 * self._span} rows of distances; the weights have {table}"
            raise ConversionError(message, "config.json is of another model")

    def project(self, x: str, norm: str) -> str:
        """Embeddings are brought to the layers' size first, then normalised."""
        name = f"{self.prefix}{self.architecture.known.projection}.weight"
        if name in self.weights.checkpoint:
            (x,) = self.weights.linear(x, [(name, None)])
        self._embedded = self.layer_norm(x, norm)
        return self._embedded

    def layer(self, x: str, number: int, rows: str | None) -> str:
        """One layer; a convolution over the embeddings joins the first (``conv_kernel_size``)."""
        if number or self.architecture.number("conv_kernel_size", 0) <= 0:
            return super().layer(x, number, rows)
        x = self._convolved(super().layer(x, number, None))
        return x if rows is None else self.graph.add("Gather", x, rows, axis=0)

    def attend(self, x: str, number: int, rows: str | None) -> str:
        """Of the last layer all tokens ask, and what was not asked for is left out behind."""
        names = self.architecture.known.names
        parts = [self.linear(number, part) for part in (names.query, names.key, names.value)]
        query, key, value = self.weights.linear(x, parts)
        scores = self._scores(query, key, number) if self._relative and self._kinds else []
        joined = self.attention(query, key, value, scores, self._scale)
        return joined if rows is None else self.graph.add("Gather", joined, rows, axis=0)

    def _scores(self, query: str, key: str, number: int) -> list[str]:
        """Scores with distances [1, heads, tokens, tokens]."""
        graph, found, names = self.graph, [], self.architecture.known.names
        self._places = self._places or self._numbered()
        own = {"c2p": "attention.self.pos_key_proj", "p2c": "attention.self.pos_query_proj"}
        if self._shared:
            own = {"c2p": names.key, "p2c": names.query}
        for kind in self._kinds:
            part = self.named(number, own[kind])
            rows = self.weights.computed(f"{part}.distances", self._projected(part), self._places[kind])
            scores = self._shifted(query if kind == "c2p" else key, rows)
            found.append(scores if kind == "c2p" else graph.add("Transpose", scores, perm=[0, 2, 1]))
        total = found[0] if len(found) == 1 else graph.add("Add", *found)
        return [graph.add("Unsqueeze", total, graph.constant([0]))]

    def _projected(self, part: str) -> Floats:
        """A layer's keys or queries of all buckets [buckets, features], the same bytes on every machine."""
        checkpoint = self.weights.checkpoint
        if self._table is None:
            rows = checkpoint.array(f"{self.prefix}encoder.rel_embeddings.weight")[: 2 * self._span]
            self._table = rows.astype(np.float64)
            asked = str(self.architecture.config.get("norm_rel_ebd", "none")).lower().split("|")
            if "layer_norm" in [kind.strip() for kind in asked]:
                name = f"{self.prefix}encoder.LayerNorm"
                scale, shift = checkpoint.array(f"{name}.weight"), checkpoint.array(f"{name}.bias")
                self._table = exactly.normalised(self._table, self.architecture.epsilon) * scale + shift
        product = exactly.product(self._table, checkpoint.array(f"{part}.weight").T.astype(np.float64))
        made: Floats = (product + checkpoint.array(f"{part}.bias")).astype(np.float32)
        return made

    def _shifted(self, x: str, rows: str) -> str:
        """Products of every token with the rows of its own distances [heads, tokens, tokens].

        The rows are those of distances -n to n - 1. In a product [n, 2n] the distances of token i begin at n - i; read
        on from n with a line of 2n - 1, each line begins one earlier than the last.
        """
        graph, heads = self.graph, self.architecture.heads
        apart = graph.constant([0, heads, -1])
        by_head = [
            graph.add("Transpose", graph.add("Reshape", part, apart), perm=[1, 0, 2]) for part in (x, rows)
        ]
        product = graph.add("FusedMatMul", *by_head, domain=CONTRIB, transB=1, alpha=self._scale)
        flat = graph.add("Reshape", product, graph.constant([heads, -1]))
        count = graph.add("Shape", "input_ids", start=1)
        read_on = graph.add("Slice", flat, count, graph.constant([2**62]), graph.constant([1]))
        shape = graph.add("Concat", graph.constant([heads]), count, graph.constant([-1]), axis=0)
        lines = graph.add("Reshape", read_on, shape)
        return graph.add("Slice", lines, graph.constant([0]), count, graph.constant([2]))

    def _numbered(self) -> dict[str, str]:
        """For each distance from -n to n - 1, second token minus first, its row of the keys and of the queries."""
        graph, most, last = self.graph, self.architecture.positions, 2 * self._span - 1
        bucket = buckets(np.arange(-most, most), self._buckets, self._farthest)
        count, middle = graph.add("Shape", "input_ids", start=1), graph.constant([most])
        ends = graph.add("Sub", middle, count), graph.add("Add", middle, count)
        signs = {"c2p": -bucket, "p2c": bucket}  # the first token asks with its content, or with its distance
        return {
            kind: graph.add(
                "Slice", graph.constant(np.clip(self._span + signed, 0, last)), *ends, graph.constant([0])
            )
            for kind, signed in signs.items()
        }

    def _convolved(self, x: str) -> str:
        graph, name = self.graph, f"{self.prefix}encoder.conv"
        size, groups = (self.architecture.number(key, 1) for key in ("conv_kernel_size", "conv_groups"))
        activation = str(self.architecture.config.get("conv_act", "tanh"))
        if activation not in ACTIVATIONS:
            raise ConversionError(f"config.json says conv_act {activation!r}, which is not known here")
        row = graph.constant([0])
        across = graph.add("Unsqueeze", graph.add("Transpose", self._embedded, perm=[1, 0]), row)
        weight, bias = self.weights.exact(f"{name}.conv.weight"), self.weights.vector(f"{name}.conv.bias")
        side = (size - 1) // 2
        found = graph.add("Conv", across, weight, bias, kernel_shape=[size], pads=[side, side], group=groups)
        back = graph.add("Transpose", graph.add("Squeeze", found, row), perm=[1, 0])
        return self.layer_norm(graph.add("Add", x, self.activate(back, activation)), f"{name}.LayerNorm")


def _kinds(config: Any) -> list[str]:
    """``c2p``, ``p2c`` or both; published files have a list or one word with bars."""
    found = config.get("pos_att_type") or []
    found = found.lower().split("|") if isinstance(found, str) else found
    if not isinstance(found, list):
        raise ConversionError(f"config.json says pos_att_type {found!r}, which is not known here")
    asked = {str(kind).strip() for kind in found}
    return [kind for kind in ("c2p", "p2c") if kind in asked]


def buckets(away: NDArray[np.int64], count: int, farthest: int) -> NDArray[np.int64]:
    """The bucket of each distance, as ``make_log_bucket_position``: exact up to half of ``count``, then logarithmic.

    Args:
        away: distances.
        count: buckets on one side; 0 or less is one for each distance.
        farthest: the distance of the last.
    """
    if count <= 0 or farthest <= 0:
        return away
    middle = count // 2
    far = np.where((away < middle) & (away > -middle), middle - 1, np.abs(away)).astype(np.float32)
    widest = np.log(np.float32((farthest - 1) / middle))
    steps = np.ceil(np.log(far / np.float32(middle)) / widest * np.float32(middle - 1)) + middle
    signed: NDArray[np.int64] = np.where(far <= middle, away, steps * np.sign(away)).astype(np.int64)
    return signed
