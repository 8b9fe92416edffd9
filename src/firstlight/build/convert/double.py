"""Runs a float32 graph of an encoder with numpy, in double precision: the same numbers on every machine.

Kernels of onnxruntime and of numpy's single precision add up in an order that depends on the CPU, so their results
differ by a millionth from machine to machine, and what is rounded afterwards now and then falls on the other side.
In double precision they differ by 1e-15, which no rounding of ``smooth`` meets. Operators are those that
``encoder.write_graph`` writes (https://onnx.ai/onnx/operators, and ContribOperators.md of onnxruntime).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import helper, numpy_helper

from firstlight.runtime.errors import ConversionError

Array = NDArray[Any]
Row = list[Array]
"""One value of the graph for each text, or the same for all."""

Operator = Callable[..., Any]


def run(graph: Path, feeds: Sequence[Mapping[str, Array]], wanted: Sequence[str]) -> dict[str, list[Array]]:
    """Values of a graph for several texts.

    Args:
        graph: its weights may lie in other files of its folder.
        feeds: see ``parity.feeds``.
        wanted: names of inner values.

    Returns:
        name -> the value for each text, in single precision again: half the memory, and rounded alike everywhere.

    Raises:
        ConversionError: the graph has an operator that is not known here.
    """
    model = onnx.load(str(graph), load_external_data=False)
    constants = {tensor.name: tensor for tensor in model.graph.initializer}
    values: dict[str, Row] = {}
    for given in model.graph.input:
        flat = len(given.type.tensor_type.shape.dim) == 1
        values[given.name] = [feed[given.name] if flat else feed[given.name][None] for feed in feeds]
    left = Counter(name for node in model.graph.node for name in node.input)
    found: dict[str, list[Array]] = {}
    for node in model.graph.node:
        if len(found) == len(wanted):
            break
        inputs = [_row(node, name, values, constants, graph.parent, len(feeds)) for name in node.input]
        values.update(zip(node.output, _computed(node, inputs), strict=True))
        found |= {
            name: [part.astype(np.float32) for part in values[name]] for name in node.output if name in wanted
        }
        left.subtract(node.input)
        for name in (*node.input, *node.output):
            if not left[name]:
                values.pop(name, None)
    return found


def _row(
    node: onnx.NodeProto,
    name: str,
    values: Mapping[str, Row],
    constants: Mapping[str, onnx.TensorProto],
    folder: Path,
    texts: int,
) -> Row:
    if not name:
        return [None] * texts  # type: ignore[list-item]
    if name in values:
        return values[name]
    found = _constant(constants[name], folder)
    # Of a table a few rows are taken, and only those are widened.
    return [found if node.op_type == "Gather" else _double(found)] * texts


def _constant(tensor: onnx.TensorProto, folder: Path) -> Array:
    """A weight; mapped where it lies in another file, which may be a hard link to the hub's cache."""
    if tensor.data_location != onnx.TensorProto.EXTERNAL:
        return numpy_helper.to_array(tensor)
    place = {entry.key: entry.value for entry in tensor.external_data}
    kind = helper.tensor_dtype_to_np_dtype(tensor.data_type)
    file, offset = folder / place["location"], int(place["offset"])
    return np.memmap(file, kind, "r", offset, tuple(tensor.dims))


def _double(value: Array) -> Array:
    return value.astype(np.float64) if value.dtype.kind == "f" else value


def _computed(node: onnx.NodeProto, inputs: Sequence[Row]) -> list[Row]:
    """The outputs of a node, each for every text."""
    settings = {found.name: helper.get_attribute_value(found) for found in node.attribute}
    if node.op_type == "Gemm":
        return [_gemm(inputs, settings.get("transB", 0))]
    operator = OPERATORS.get(node.op_type)
    if operator is None:
        message = f"the operator {node.op_type} of this model's graph is not known to the calibration of int8"
        raise ConversionError(message, "use precision fp32 or nb8")
    found = [operator(*row, **settings) for row in zip(*inputs, strict=True)]
    if len(node.output) == 1:
        return [found]
    return [list(part) for part in zip(*found, strict=True)]


def _gemm(inputs: Sequence[Row], transposed: int) -> Row:
    """A linear layer of all texts at once: its weights are read once."""
    x, weight = inputs[:2]
    product = np.concatenate(x) @ (weight[0].T if transposed else weight[0])
    if len(inputs) > 2:
        product += inputs[2][0]
    return np.split(product, np.cumsum([len(one) for one in x])[:-1])


def _attention(
    query: Array, key: Array, value: Array, *others: Array | None, num_heads: int, scale: float = 0.0
) -> Array:
    """Of inputs [1, tokens, features]; the sixth of ``MultiHeadAttention`` is added to the products."""

    def heads(x: Array) -> Array:
        return x.reshape(x.shape[1], num_heads, -1).transpose(1, 0, 2)

    size = query.shape[2] // num_heads
    products = heads(query) @ heads(key).transpose(0, 2, 1) * (scale or 1 / np.sqrt(size))
    added = others[2] if len(others) > 2 else None
    if added is not None:
        products = products + added.reshape(-1, *added.shape[-2:])
    attended = _softmax(products) @ heads(value)
    joined: Array = attended.transpose(1, 0, 2).reshape(1, query.shape[1], -1)
    return joined


def _fused(x: Array, y: Array, alpha: float = 1.0, transA: int = 0, transB: int = 0) -> Array:  # noqa: N803
    left = x.swapaxes(-1, -2) if transA else x
    product: Array = left @ (y.swapaxes(-1, -2) if transB else y) * alpha
    return product


def _convolution(
    x: Array, weight: Array, bias: Array, kernel_shape: Sequence[int], pads: Sequence[int], group: int = 1
) -> Array:
    """Along the last axis of [1, features, tokens]."""
    (size,), (before, after) = kernel_shape, pads
    padded = np.pad(x[0], ((0, 0), (before, after)))
    windows = np.lib.stride_tricks.sliding_window_view(padded, size, axis=1)  # [features, tokens, size]
    parts = []
    for own, kernel in zip(np.split(windows, group), np.split(weight, group), strict=True):
        flat = own.transpose(0, 2, 1).reshape(-1, own.shape[1])
        parts.append(kernel.reshape(len(kernel), -1) @ flat)
    made: Array = (np.concatenate(parts) + bias[:, None])[None]
    return made


def _softmax(x: Array, axis: int = -1) -> Array:
    powers = np.exp(x - x.max(axis=axis, keepdims=True))
    shares: Array = powers / powers.sum(axis=axis, keepdims=True)
    return shares


def _layer_norm(
    x: Array, scale: Array, bias: Array | None = None, axis: int = -1, epsilon: float = 1e-5
) -> Array:
    centred = x - x.mean(axis=axis, keepdims=True)
    spread = np.sqrt(np.square(centred).mean(axis=axis, keepdims=True) + epsilon)
    normal: Array = centred / spread * scale
    return normal if bias is None else normal + bias


def _gelu(x: Array) -> Array:
    """By the hyperbolic tangent, also where the graph has the error function: within 5e-4 of each other."""
    found: Array = x / 2 * (1 + np.tanh(np.sqrt(2 / np.pi) * (x + 0.044715 * x**3)))
    return found


def _slice(
    x: Array, starts: Array, ends: Array, axes: Array | None = None, steps: Array | None = None
) -> Array:
    index = [slice(None)] * x.ndim
    along = range(len(starts)) if axes is None else axes.tolist()
    for place, axis in enumerate(along):
        step = 1 if steps is None else int(steps[place])
        index[axis] = slice(int(starts[place]), int(ends[place]), step)
    return x[tuple(index)]


def _split(x: Array, sizes: Array, axis: int = 0) -> list[Array]:
    return np.split(x, np.cumsum(sizes)[:-1], axis=axis)


def _squeeze(x: Array, axes: Array) -> Array:
    return np.squeeze(x, tuple(int(axis) for axis in axes))


def _unsqueeze(x: Array, axes: Array) -> Array:
    return np.expand_dims(x, tuple(int(axis) for axis in axes))


def _reshape(x: Array, shape: Array, allowzero: int = 0) -> Array:
    kept = [x.shape[place] if size == 0 and not allowzero else int(size) for place, size in enumerate(shape)]
    return x.reshape(kept)


def _cast(x: Array, to: int) -> Array:
    return _double(np.asarray(x).astype(helper.tensor_dtype_to_np_dtype(to)))


def _mean(x: Array, axes: Sequence[int], keepdims: int = 1) -> Array:
    found: Array = x.mean(axis=tuple(axes), keepdims=bool(keepdims))
    return found


def _most(x: Array, axes: Sequence[int], keepdims: int = 1) -> Array:
    found: Array = x.max(axis=tuple(axes), keepdims=bool(keepdims))
    return found


def _length(x: Array, axes: Sequence[int], keepdims: int = 1) -> Array:
    found: Array = np.sqrt(np.square(x).sum(axis=tuple(axes), keepdims=bool(keepdims)))
    return found


OPERATORS: Mapping[str, Operator] = {
    "Abs": np.abs,
    "Add": np.add,
    "Cast": _cast,
    "Ceil": np.ceil,
    "Clip": np.clip,
    "Conv": _convolution,
    "Concat": lambda *parts, axis: np.concatenate(parts, axis),
    "CumSum": lambda x, axis: np.cumsum(x, int(axis)),
    "Div": lambda x, y: x // y if x.dtype.kind == "i" else x / y,
    "Equal": np.equal,
    "Expand": lambda x, shape: x * np.ones(shape, x.dtype),
    "FastGelu": _gelu,
    "FusedMatMul": _fused,
    "Gather": lambda x, ids, axis=0: _double(np.take(x, ids, axis)),
    "GatherElements": lambda x, ids, axis=0: np.take_along_axis(x, ids, axis),
    "Gelu": _gelu,
    "Greater": np.greater,
    "GreaterOrEqual": np.greater_equal,
    "Identity": lambda x: x,
    "LayerNormalization": _layer_norm,
    "Less": np.less,
    "LessOrEqual": np.less_equal,
    "Log": np.log,
    "MatMul": np.matmul,
    "Max": np.maximum,
    "Min": np.minimum,
    "Mul": np.multiply,
    "MultiHeadAttention": _attention,
    "Neg": np.negative,
    "Not": np.logical_not,
    "Range": np.arange,
    "ReduceL2": _length,
    "ReduceMax": _most,
    "ReduceMean": _mean,
    "Relu": lambda x: np.maximum(x, 0),
    "Reshape": _reshape,
    "Shape": lambda x, start=0: np.array(x.shape[start:], np.int64),
    "Sigmoid": lambda x: 1 / (1 + np.exp(-x)),
    "Sign": np.sign,
    "Slice": _slice,
    "Softmax": _softmax,
    "Split": _split,
    "Sqrt": np.sqrt,
    "Squeeze": _squeeze,
    "Sub": np.subtract,
    "Tanh": np.tanh,
    "Transpose": lambda x, perm: x.transpose(perm),
    "Unsqueeze": _unsqueeze,
    "Where": np.where,
}
"""By name, each for one text; ``Gemm`` is apart, as it takes all texts at once."""
