"""A small writer of ONNX graphs: nodes, constants inside the file, weights outside it.

A graph is written already fused (operators of ONNX opset 17 and of ``com.microsoft``, which every onnxruntime build
for CPU has) and without padding or batch: one row of tokens comes in, all inner tensors are [tokens, features].
Nothing is left for onnxruntime to optimise, so a graph loads in milliseconds and runs the same operators on every CPU.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

CONTRIB = "com.microsoft"
_OPSET = 17
_IR_VERSION = 8
_INLINE_BYTES = 16_384
_ALIGNMENT = 64

Array = NDArray[Any]


class Graph:
    """An ONNX graph under construction.

    Args:
        weights_file: where ``weight`` puts arrays too large for the graph file; None when all of them are ``outside``.
    """

    def __init__(self, weights_file: Path | None = None) -> None:
        self._nodes: list[onnx.NodeProto] = []
        self._constants: dict[str, onnx.TensorProto] = {}
        self._inputs: list[onnx.ValueInfoProto] = []
        self._outputs: list[onnx.ValueInfoProto] = []
        self._weights_file = weights_file
        self._weights_end = 0
        self._count = 0

    def __contains__(self, name: str) -> bool:
        """Whether there is a constant of that name."""
        return name in self._constants

    def input(self, name: str, shape: Sequence[int | str]) -> str:
        """Declare an int64 input; named dimensions are free."""
        self._inputs.append(helper.make_tensor_value_info(name, TensorProto.INT64, list(shape)))
        return name

    def output(self, value: str, name: str, shape: Sequence[int | str]) -> None:
        """Give ``value`` the name of a float32 output."""
        self._nodes.append(helper.make_node("Identity", [value], [name], name=name))
        self._outputs.append(helper.make_tensor_value_info(name, TensorProto.FLOAT, list(shape)))

    def add(self, operator: str, *inputs: str, domain: str = "", **attributes: Any) -> str:
        """Append a node with one output; returns the name of its value."""
        return self.split(operator, *inputs, parts=1, domain=domain, **attributes)[0]

    def split(
        self, operator: str, *inputs: str, parts: int, domain: str = "", **attributes: Any
    ) -> list[str]:
        """Append a node with ``parts`` outputs."""
        self._count += 1
        name = f"{operator}_{self._count}"
        outputs = [name if parts == 1 else f"{name}.{part}" for part in range(parts)]
        node = helper.make_node(operator, list(inputs), outputs, name=name, domain=domain, **attributes)
        self._nodes.append(node)
        return outputs

    def constant(self, value: Array | Sequence[int] | int | float, name: str | None = None) -> str:
        """A constant inside the graph file; Python integers become int64."""
        array = np.asarray(value)
        name = (
            name or f"constant_{array.dtype}_{array.shape}_{hashlib.sha256(array.tobytes()).hexdigest()[:16]}"
        )
        if name not in self._constants:
            whole = np.ascontiguousarray(array).reshape(array.shape)  # which makes a row of a single number
            self._constants[name] = numpy_helper.from_array(whole, name)
        return name

    def weight(self, name: str, value: Array) -> str:
        """A constant in the weights file, or inside the graph when it is small."""
        if name in self._constants:
            return name
        if value.nbytes <= _INLINE_BYTES or self._weights_file is None:
            return self.constant(value, name)
        with self._weights_file.open("ab") as out:
            out.write(b"\0" * (-self._weights_end % _ALIGNMENT))
            offset = out.tell()
            out.write(np.ascontiguousarray(value).data)
            self._weights_end = out.tell()
        elements = helper.np_dtype_to_tensor_dtype(value.dtype)
        return self.outside(name, elements, value.shape, self._weights_file.name, offset, value.nbytes)

    def outside(
        self, name: str, elements: int, shape: Sequence[int], file: str, offset: int, length: int
    ) -> str:
        """A constant whose bytes lie in another file of the bundle, which the engine maps into memory."""
        if name not in self._constants:
            tensor = TensorProto(name=name, data_type=elements, dims=list(shape))
            tensor.data_location = TensorProto.EXTERNAL
            for key, value in (("location", file), ("offset", str(offset)), ("length", str(length))):
                tensor.external_data.add(key=key, value=value)
            self._constants[name] = tensor
        return name

    def save(self, file: Path) -> None:
        """Write the graph; the same calls give the same bytes."""
        graph = helper.make_graph(
            self._nodes, "firstlight", self._inputs, self._outputs, list(self._constants.values())
        )
        opsets = [helper.make_opsetid("", _OPSET), helper.make_opsetid(CONTRIB, 1)]
        model = helper.make_model(
            graph, opset_imports=opsets, ir_version=_IR_VERSION, producer_name="firstlight"
        )
        file.write_bytes(model.SerializeToString(deterministic=True))
