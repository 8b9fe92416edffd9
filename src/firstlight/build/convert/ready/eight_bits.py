"""Eight-bit graphs of others, made right on every CPU.

Kernels for AVX2 and AVX-512 without VNNI add pairs of products of unsigned activations and signed weights in 16 bits
(VPMADDUBSW), which saturate without a word when weights go beyond 64: 2 * 255 * 64 fits, 2 * 255 * 127 does not. Such
weights become unsigned, 128 more with a zero point 128 higher: the same numbers, multiplied by kernels that widen
to 16 bits first (onnxruntime does the same on such CPUs when ``session.x64quantprecision`` is set; see its
``avx2_weight_s8_to_u8.h`` and "Quantize ONNX models", "When and why do I need to try U8U8?").
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, numpy_helper

from firstlight.runtime.errors import ConversionError

_WEIGHT_AND_ZERO = {
    "MatMulInteger": (1, 3),
    "DynamicQuantizeMatMul": (1, 3),
    "MatMulIntegerToFloat": (1, 5),
    "QLinearMatMul": (3, 5),
    "QGemm": (3, 5),
    "QAttention": (1, 7),
}
"""Operator -> places of its weights and of their zero point among its inputs."""

_SAFE = 64
_SHIFT = 128


def unsigned(model: onnx.ModelProto, folder: Path) -> int:
    """Make weights unsigned where they would saturate.

    Args:
        model: changed in place; what it no longer reads stays, for others may read it.
        folder: where weights lie that the graph keeps outside.

    Returns:
        How many layers were changed.

    Raises:
        ConversionError: weights would saturate and cannot be changed.
    """
    graph = model.graph
    constants = {tensor.name: tensor for tensor in graph.initializer}
    changed = 0
    for node in graph.node:
        places = _WEIGHT_AND_ZERO.get(node.op_type)
        tensor = constants.get(node.input[places[0]]) if places else None
        if places is None or tensor is None or tensor.data_type != TensorProto.INT8:
            continue
        values = numpy_helper.to_array(tensor, str(folder))
        if np.abs(values.astype(np.int16)).max(initial=0) <= _SAFE:
            continue
        _change(graph, node, constants, values, places, folder)
        changed += 1
    _check_static(graph, constants, folder)
    return changed


def _change(
    graph: onnx.GraphProto,
    node: onnx.NodeProto,
    constants: dict[str, TensorProto],
    values: NDArray[np.int8],
    places: tuple[int, int],
    folder: Path,
) -> None:
    weight, zero = places
    name = f"{node.input[weight]}.unsigned"
    former = node.input[zero] if len(node.input) > zero else ""
    if former and former not in constants:
        raise ConversionError(
            f"{node.name or node.op_type} has signed weights whose zero point is not fixed",
            "take the graph in fp32",
        )
    _keep(graph, constants, name, _shifted(values))
    point = numpy_helper.to_array(constants[former], str(folder)) if former else np.array(0, np.int8)
    point_name = f"{former}.unsigned" if former else "zero_point.unsigned"
    _keep(graph, constants, point_name, _shifted(point))
    while len(node.input) <= zero:
        node.input.append("")
    node.input[weight], node.input[zero] = name, point_name


def _shifted(values: NDArray[np.int8]) -> NDArray[np.uint8]:
    return (values.astype(np.int16) + _SHIFT).astype(np.uint8)


def _keep(
    graph: onnx.GraphProto, constants: dict[str, TensorProto], name: str, values: NDArray[np.uint8]
) -> None:
    if name not in constants:
        constants[name] = numpy_helper.from_array(values, name)
        graph.initializer.append(constants[name])


def _check_static(graph: onnx.GraphProto, constants: dict[str, TensorProto], folder: Path) -> None:
    """Layers between QuantizeLinear and DequantizeLinear are put together by onnxruntime, whose choice is unknown."""
    if all(node.op_type != "QuantizeLinear" for node in graph.node):
        return
    multiplied = {name for node in graph.node if node.op_type in ("MatMul", "Gemm") for name in node.input}
    for node in graph.node:
        tensor = constants.get(node.input[0]) if node.op_type == "DequantizeLinear" else None
        if tensor is None or tensor.data_type != TensorProto.INT8 or node.output[0] not in multiplied:
            continue
        if np.abs(numpy_helper.to_array(tensor, str(folder)).astype(np.int16)).max(initial=0) > _SAFE:
            hint = "take the graph in fp32, or quantise it with reduce_range=True"
            raise ConversionError(
                "the graph is quantised statically, with weights that saturate on AVX2", hint
            )
