"""MPNet: scores get a bias by how far apart two tokens are, the same in every layer.

Sources: ``modeling_mpnet.py`` of transformers 4.57, whose buckets are those of T5 (Raffel and others, 2020).
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from firstlight.build.convert import layers
from firstlight.runtime.errors import ConversionError

_BUCKETS = 32
"""``compute_position_bias`` is called without the number config.json has."""
_FARTHEST = 128


class Encoder(layers.Encoder):
    """An MPNet encoder."""

    _scores: str | None = None

    def bias(self, rows: str | None) -> list[str]:
        if self._scores is None:
            self._scores = self._all_scores()
        return [self._scores if rows is None else self.graph.add("Gather", self._scores, rows, axis=2)]

    def _all_scores(self) -> str:
        """[1, heads, tokens, tokens]"""
        graph, most = self.graph, self.architecture.positions
        zero, one = graph.constant(0), graph.constant(1)
        count = graph.add("Squeeze", graph.add("Shape", "input_ids", start=1), graph.constant([0]))
        places = graph.add("Range", zero, count, one)
        keys = graph.add("Add", places, graph.constant(most))
        away = graph.add("Sub", keys, graph.add("Unsqueeze", places, graph.constant([1])))
        table = graph.constant(buckets(np.arange(-most, most)))
        found = graph.add("Gather", table, away, axis=0)
        name = f"{self.prefix}encoder.relative_attention_bias.weight"
        shape = self.weights.checkpoint.entry(name).shape
        if len(shape) != 2 or shape[0] < _BUCKETS or shape[1] != self.architecture.heads:
            message = f"{name} is {shape}, not {_BUCKETS} buckets for each of {self.architecture.heads} heads"
            raise ConversionError(message, "config.json is of another model")
        rows = self.weights.exact(name)
        by_pair = graph.add("Gather", rows, found, axis=0)
        by_head = graph.add("Transpose", by_pair, perm=[2, 0, 1])
        return graph.add("Unsqueeze", by_head, graph.constant([0]))


def buckets(away: NDArray[np.int64]) -> NDArray[np.int64]:
    """The bucket of each distance, key minus query: exact ones up to 7 on either side, then logarithmic ones."""
    half = _BUCKETS // 2
    exact = half // 2
    far = np.abs(away)
    with np.errstate(divide="ignore"):
        share = np.log(far.astype(np.float32) / np.float32(exact)) / np.float32(math.log(_FARTHEST / exact))
        large = exact + np.trunc(share * np.float32(half - exact))
    within = np.where(far < exact, far, np.minimum(large, half - 1))
    return within.astype(np.int64) + np.where(away > 0, half, 0)
