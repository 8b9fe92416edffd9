"""A float32 graph of an exporter in eight bits, in the same way as graphs that are made without one.

Layers become DynamicQuantizeMatMul with weights of seven bits per channel (``quantize.per_channel``), evened out by
what real sentences show (``smooth``); tables become rows of eight bits. What has few outputs stays exact.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from firstlight.build.convert import quantize, smooth
from firstlight.build.convert.graph import CONTRIB
from firstlight.build.convert.onnx_seq2seq_graphs import leading_to
from firstlight.build.convert.onnx_seq2seq_weights import WeightsFile
from firstlight.build.convert.ready import doubles
from firstlight.build.convert.ready.doubles import Doubles

_SMALL = 1 << 14
"""Weights of fewer numbers are left as they are."""
_FEW_OUTPUTS = 64
Floats = NDArray[np.float32]


class EightBits:
    """One graph on its way to eight bits.

    Args:
        model: a float32 graph with our inputs and outputs, changed in place.
        folder: where its weights lie.
        weights: where new ones go.
    """

    def __init__(self, model: onnx.ModelProto, folder: Path, weights: WeightsFile) -> None:
        self._model = model
        self._graph = model.graph
        self._folder = folder
        self._weights = weights
        self._constants = {tensor.name: tensor for tensor in self._graph.initializer}
        self._turned = {
            node.output[0]: node.input[0]
            for node in self._graph.node
            if node.op_type == "Transpose" and node.input[0] in self._constants
        }

    def made(self, feeds: Sequence[Mapping[str, NDArray[np.int64]]]) -> onnx.ModelProto:
        """The graph in eight bits.

        Args:
            feeds: of sentences that show what the layers are given.
        """
        layers = [node for node in self._graph.node if self._is_layer(node)]
        names = list(dict.fromkeys(layer.input[0] for layer in layers))
        seen = doubles.activations(self._model, self._folder, names, feeds) or {}
        nodes: list[onnx.NodeProto] = []
        changed = {layer.output[0] for layer in layers}
        for number, node in enumerate(self._graph.node):
            if node.output[0] in changed:
                nodes += self._layer(node, number, seen.get(node.input[0]))
            elif self._is_table(node):
                nodes += self._table(node)
            else:
                nodes.append(node)
        return self._finished(nodes)

    def _finished(self, nodes: Sequence[onnx.NodeProto]) -> onnx.ModelProto:
        graph = self._graph
        kept = leading_to(list(nodes), {value.name for value in graph.output})
        read = {name for node in kept for name in node.input}
        inner = any(a.type == onnx.AttributeProto.GRAPH for node in kept for a in node.attribute)
        tensors = [tensor for tensor in self._constants.values() if inner or tensor.name in read]
        for field in (graph.node, graph.initializer):
            del field[:]
        graph.node.extend(kept)
        graph.initializer.extend(tensors)
        if all(entry.domain != CONTRIB for entry in self._model.opset_import):
            self._model.opset_import.append(helper.make_opsetid(CONTRIB, 1))
        return self._model

    def _is_layer(self, node: onnx.NodeProto) -> bool:
        if node.op_type not in ("MatMul", "Gemm") or node.domain not in ("", "ai.onnx"):
            return False
        settings = {attribute.name: helper.get_attribute_value(attribute) for attribute in node.attribute}
        if settings.get("transA") or settings.get("alpha", 1.0) != 1.0 or settings.get("beta", 1.0) != 1.0:
            return False
        tensor = self._constants.get(self._turned.get(node.input[1], node.input[1]))
        if tensor is None or tensor.data_type != TensorProto.FLOAT or len(tensor.dims) != 2:
            return False
        biases = node.input[2:]
        if any(name not in self._constants or len(self._constants[name].dims) != 1 for name in biases):
            return False
        outputs = self._out_in(node).shape[0]
        return bool(tensor.dims[0] * tensor.dims[1] >= _SMALL and outputs >= _FEW_OUTPUTS)

    def _is_table(self, node: onnx.NodeProto) -> bool:
        if node.op_type != "Gather" or any(attribute.i for attribute in node.attribute):
            return False
        tensor = self._constants.get(node.input[0])
        return (
            tensor is not None
            and tensor.data_type == TensorProto.FLOAT
            and len(tensor.dims) == 2
            and tensor.dims[0] * tensor.dims[1] >= _SMALL
        )

    def _array(self, name: str) -> Floats:
        array: Floats = numpy_helper.to_array(self._constants[name], str(self._folder))
        return array

    def _out_in(self, node: onnx.NodeProto) -> Floats:
        """A layer's weight [out, in]."""
        name = node.input[1]
        turned = name in self._turned
        array = self._array(self._turned.get(name, name))
        by_attribute = any(attribute.name == "transB" and attribute.i for attribute in node.attribute)
        return array if turned != by_attribute else array.T

    def _layer(
        self, node: onnx.NodeProto, number: int, samples: Sequence[Doubles] | None
    ) -> list[onnx.NodeProto]:
        weight, x = np.ascontiguousarray(self._out_in(node), dtype=np.float32), node.input[0]
        name = f"firstlight.layer{number}"
        made = []
        factors = smooth.factors(weight, samples) if samples else None
        if factors is not None:
            divided = f"{name}.divided"
            made.append(helper.make_node("Mul", [x, self._keep(f"{name}.factors", 1 / factors)], [divided]))
            weight, x = weight * factors, divided
        values, scales = quantize.per_channel(weight)
        given = [x, self._keep(f"{name}.int8", values), self._keep(f"{name}.scale", scales)]
        given += ["", *node.input[2:]] if len(node.input) > 2 else []
        product = helper.make_node("DynamicQuantizeMatMul", given, list(node.output), domain=CONTRIB)
        return [*made, product]

    def _table(self, node: onnx.NodeProto) -> list[onnx.NodeProto]:
        table, out = node.input[0], node.output[0]
        values, scales = quantize.rows(self._array(table))
        kept = self._keep(f"{table}.int8", values), self._keep(f"{table}.scale", scales)
        rows, steps, numbers = (f"{out}.{part}" for part in ("int8", "scale", "float"))
        return [
            helper.make_node("Gather", [kept[0], node.input[1]], [rows], axis=0),
            helper.make_node("Gather", [kept[1], node.input[1]], [steps], axis=0),
            helper.make_node("Cast", [rows], [numbers], to=TensorProto.FLOAT),
            helper.make_node("Mul", [numbers, steps], [out]),
        ]

    def _keep(self, name: str, values: NDArray[Any]) -> str:
        if name not in self._constants:
            tensor = numpy_helper.from_array(np.ascontiguousarray(values), name)
            holder = onnx.ModelProto()
            holder.graph.initializer.append(tensor)
            self._constants[name] = self._weights.take(holder, self._folder).graph.initializer[0]
        return name
