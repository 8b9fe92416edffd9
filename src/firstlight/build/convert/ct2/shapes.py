"""Whether the tensors of a filled specification fit each other.

CTranslate2 does not ask: a table of another width is read over its end.
"""

from __future__ import annotations

from typing import Any

from firstlight.runtime.errors import ConversionError


def check(spec: Any, file: str) -> None:
    """Compare every tensor's shape with its neighbours'.

    Args:
        spec: of a model, filled and not yet quantised.
        file: config.json, for messages.

    Raises:
        ConversionError: two do not fit; the part of the model is named.
    """
    for side in (getattr(spec, "encoder", None), spec.decoder):
        if side is not None:
            _Side(side, file).check()


class _Side:
    """An encoder or a decoder."""

    def __init__(self, side: Any, file: str) -> None:
        table = side.embeddings[0] if isinstance(side.embeddings, list) else side.embeddings
        self._side, self._table, self._file = side, table, file
        self._width: int = table.weight.shape[-1]

    def check(self) -> None:
        side, width = self._side, self._width
        for name in ("layer_norm", "layernorm_embedding"):
            self._norm(getattr(side, name, None), name)
        if hasattr(side, "position_encodings"):
            self._equal(side.position_encodings.encodings.shape[-1], width, "positions")
        if hasattr(side, "projection"):
            self._linear(side.projection, "the projection to tokens", width, len(self._table.weight))
        for number, layer in enumerate(side.layer):
            self._layer(layer, f"layer {number}")

    def _layer(self, layer: Any, name: str) -> None:
        self._attention(layer.self_attention, f"{name}, self-attention")
        if hasattr(layer, "attention"):
            self._attention(layer.attention, f"{name}, attention to the source")
        feed, width = layer.ffn, self._width
        self._norm(getattr(feed, "layer_norm", None), f"{name}, feed-forward")
        inner = len(feed.linear_0.weight)
        self._linear(feed.linear_0, f"{name}, feed-forward (fc1)", width, inner)
        if hasattr(feed, "linear_0_noact"):
            self._linear(feed.linear_0_noact, f"{name}, feed-forward (gate)", width, inner)
        self._linear(feed.linear_1, f"{name}, feed-forward (fc2)", inner, width)

    def _attention(self, spec: Any, name: str) -> None:
        self._norm(getattr(spec, "layer_norm", None), name)
        *first, last = spec.linear
        for part in first:
            self._linear(part, name, self._width, len(part.weight))
        self._linear(last, name, last.weight.shape[-1], self._width)
        heads = int(self._side.num_heads)
        if last.weight.shape[-1] % heads:
            message = f"{name} has {last.weight.shape[-1]} features for {heads} heads"
            raise ConversionError(message, f"{self._file} is of another model")

    def _linear(self, spec: Any, name: str, inputs: int, outputs: int) -> None:
        self._equal(spec.weight.shape[-1], inputs, name)
        self._equal(len(spec.weight), outputs, name)
        if spec.has_bias():
            self._equal(len(spec.bias), outputs, name)

    def _norm(self, spec: Any, name: str) -> None:
        if spec is not None:
            self._equal(len(spec.gamma), self._width, name)
            if hasattr(spec, "beta"):
                self._equal(len(spec.beta), self._width, name)

    def _equal(self, found: int, expected: int, name: str) -> None:
        if found != expected:
            message = (
                f"the weights do not fit each other: {name} has {found} features where {expected} meet it"
            )
            raise ConversionError(message, f"{self._file} is of another model, or the weights are damaged")
