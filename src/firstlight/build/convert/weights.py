"""How the layers of a graph hold their weights: exact, ``int8`` or ``nb8``; the encoder is written once over them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Protocol

import numpy as np
from onnx import TensorProto

from firstlight.build.convert import quantize, smooth
from firstlight.build.convert.checkpoint import Checkpoint, Floats
from firstlight.build.convert.graph import CONTRIB, Graph
from firstlight.build.convert.smooth import Activations

_PART = 4 << 20
"""So many elements are quantised at once: what that needs besides is several times as much."""

Layer = tuple[str, str | None]
"""Names of a linear layer's weight [out, in] and bias [out]."""


class Weights(Protocol):
    """The operators that touch weights; every ``x`` is [tokens, features]."""

    checkpoint: Checkpoint

    def vector(self, name: str) -> str:
        """A one-dimensional tensor, always exact."""

    def lookup(self, table: str, ids: str) -> str:
        """Rows of a table."""

    def computed(self, name: str, table: Floats, ids: str) -> str:
        """Rows of a table that the checkpoint does not have."""

    def exact(self, name: str) -> str:
        """A tensor as it is, always exact."""

    def positions(self, table: str, count: str) -> str:
        """The first rows of a table, ``count`` int64 [1] of them."""

    def linear(self, x: str, layers: Sequence[Layer]) -> list[str]:
        """Several linear layers of one input."""

    def small(self, x: str, layer: Layer) -> str:
        """A layer with few outputs, always exact."""


class Exact:
    """float32: matrices are constants that point into the checkpoint's own file, as they lie there, [out, in].

    Args:
        file: name of the safetensors file beside the graph.
    """

    def __init__(self, graph: Graph, checkpoint: Checkpoint, file: str) -> None:
        self.graph, self.checkpoint, self._file = graph, checkpoint, file

    def vector(self, name: str) -> str:
        # Small ones are copied into the graph: each constant outside costs the engine a mapping of its own.
        return self.graph.weight(name, self.checkpoint.array(name).reshape(-1))

    def _matrix(self, name: str) -> str:
        entry = self.checkpoint.entry(name)
        return self.graph.outside(
            name, TensorProto.FLOAT, entry.shape, self._file, entry.offset, entry.length
        )

    def lookup(self, table: str, ids: str) -> str:
        return self.graph.add("Gather", self._matrix(table), ids, axis=0)

    def computed(self, name: str, table: Floats, ids: str) -> str:
        return self.graph.add("Gather", self.graph.weight(name, table), ids, axis=0)

    def exact(self, name: str) -> str:
        return self._matrix(name)

    def positions(self, table: str, count: str) -> str:
        zero = self.graph.constant([0])
        return self.graph.add("Slice", self._matrix(table), zero, count, zero)

    def linear(self, x: str, layers: Sequence[Layer]) -> list[str]:
        return [self.small(x, layer) for layer in layers]

    def small(self, x: str, layer: Layer) -> str:
        weight, bias = layer
        biases = [self.vector(bias)] if bias else []
        return self.graph.add("Gemm", x, self._matrix(weight), *biases, transB=1)


class _Quantised:
    """What both eight-bit forms share: tables by row, vectors and small layers in float32."""

    def __init__(self, graph: Graph, checkpoint: Checkpoint) -> None:
        self.graph, self.checkpoint = graph, checkpoint

    def vector(self, name: str) -> str:
        return self.graph.weight(name, self.checkpoint.array(name).reshape(-1))

    def _table(self, name: str, table: Floats | None = None) -> tuple[str, str]:
        scale = f"{name}.scale"
        if scale not in self.graph:  # a table may be looked up in more than once
            found = self.checkpoint.array(name) if table is None else table
            parts = [quantize.rows(part) for part in _parts(found)]
            self.graph.weight(name, np.concatenate([values for values, _ in parts]))
            self.graph.weight(scale, np.concatenate([scales for _, scales in parts]))
        return name, scale

    def _scaled(self, values: str, scales: str) -> str:
        return self.graph.add("Mul", self.graph.add("Cast", values, to=TensorProto.FLOAT), scales)

    def lookup(self, table: str, ids: str) -> str:
        return self._rows(self._table(table), ids)

    def computed(self, name: str, table: Floats, ids: str) -> str:
        return self._rows(self._table(name, table), ids)

    def exact(self, name: str) -> str:
        return self.graph.weight(f"{name}.exact", self.checkpoint.array(name))

    def _rows(self, table: tuple[str, str], ids: str) -> str:
        values, scales = table
        gathered = self.graph.add("Gather", values, ids, axis=0)
        return self._scaled(gathered, self.graph.add("Gather", scales, ids, axis=0))

    def positions(self, table: str, count: str) -> str:
        zero = self.graph.constant([0])
        first = [self.graph.add("Slice", part, zero, count, zero) for part in self._table(table)]
        return self._scaled(*first)

    def small(self, x: str, layer: Layer) -> str:
        weight, bias = layer
        biases = [self.vector(bias)] if bias else []
        return self.graph.add("Gemm", x, self.exact(weight), *biases, transB=1)

    def linear(self, x: str, layers: Sequence[Layer]) -> list[str]:
        """Layers of one input are one product of their joined weights: one quantisation of ``x``, one kernel."""
        arrays = [self.checkpoint.array(weight) for weight, _ in layers]
        weight = np.concatenate(arrays) if len(arrays) > 1 else arrays[0]
        first, others = layers[0][0], len(layers) - 1
        name = f"{first}+{others}" if others else first  # layers may share a weight and join it with others
        joined = self._product(x, name, weight, self._bias(name, layers, arrays))
        if len(layers) == 1:
            return [joined]
        sizes = self.graph.constant([len(array) for array in arrays])
        return self.graph.split("Split", joined, sizes, parts=len(layers), axis=1)

    def _bias(self, name: str, layers: Sequence[Layer], arrays: Sequence[Floats]) -> str | None:
        if all(bias is None for _, bias in layers):
            return None
        zeros = (np.zeros(len(array), dtype=np.float32) for array in arrays)
        parts = [self.checkpoint.array(b) if b else zero for (_, b), zero in zip(layers, zeros, strict=True)]
        return self.graph.weight(f"{name}.bias", np.concatenate(parts))

    def _product(self, x: str, name: str, weight: Floats, bias: str | None) -> str:
        raise NotImplementedError


class Int8(_Quantised):
    """``int8``: activations are quantised as they come, for the whole tensor; fast, for one row at a time.

    Args:
        activations: what the layers are given by real sentences; without them inputs are not evened out.
    """

    def __init__(self, graph: Graph, checkpoint: Checkpoint, activations: Activations) -> None:
        super().__init__(graph, checkpoint)
        self._activations = activations

    def _product(self, x: str, name: str, weight: Floats, bias: str | None) -> str:
        matrix, scale, even = f"{name}.int8", f"{name}.layer_scale", f"{name}.factors"
        if matrix not in self.graph:  # layers may share a weight
            seen = self._activations.get(name.partition("+")[0])
            factors = None if seen is None else smooth.factors(weight, seen)
            if factors is not None:
                self.graph.weight(even, 1 / factors)
            rows = (part if factors is None else part * factors for part in _parts(weight))
            parts = [quantize.per_channel(part) for part in rows]
            self.graph.weight(matrix, np.concatenate([values for values, _ in parts], axis=1))
            self.graph.weight(scale, np.concatenate([scales for _, scales in parts]))
        if even in self.graph:
            x = self.graph.add("Mul", x, even)
        biases = ["", bias] if bias else []
        return self.graph.add("DynamicQuantizeMatMul", x, matrix, scale, *biases, domain=CONTRIB)


class Blocks(_Quantised):
    """``nb8``: one scale for each 32 weights and for each 32 activations (accuracy_level 4); nearly lossless."""

    def _product(self, x: str, name: str, weight: Floats, bias: str | None) -> str:
        outputs, inputs = weight.shape
        matrix, scale = f"{name}.nb8", f"{name}.layer_scale"
        if matrix not in self.graph:
            parts = [quantize.blocks(part) for part in _parts(weight)]
            self.graph.weight(matrix, np.concatenate([values for values, _ in parts]))
            self.graph.weight(scale, np.concatenate([scales for _, scales in parts]).reshape(-1))
        biases = ["", "", bias] if bias else []
        return self.graph.add(
            "MatMulNBits", x, matrix, scale, *biases, domain=CONTRIB,
            K=inputs, N=outputs, bits=8, block_size=quantize.BLOCK, accuracy_level=4,
        )  # fmt: skip


def _parts(table: Floats) -> Iterator[Floats]:
    """Rows of a table, some at a time."""
    step = max(1, _PART // max(1, table.shape[1]))
    for at in range(0, len(table), step):
        yield table[at : at + step]
