"""Decoder graphs of the hub, changed so that a search needs nothing but small arrays of them.

An exported decoder gives the logits of the whole vocabulary at every position, and a cache that must be put into a new
order between two steps. Both are megabytes. Appended to the graph here, and so done inside the library:

    last position -> log-softmax (for a beam search) -> repetition penalty -> tokens that may not come
        -> + log-probability so far -> the best few of all rows

and put before the cache's inputs: the rows each hypothesis goes on from. Attention masks become ones made inside the
graph, for a source is never padded.

Operators are those of ONNX opset 11 with no change since, for the graphs of the hub are of many ages.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from firstlight.runtime.errors import ConversionError

PAST = re.compile(r"past_key_values\.(\d+)\.(decoder|encoder)\.(key|value)")
PRESENT = re.compile(r"present\.(\d+)\.(decoder|encoder)\.(key|value)")
OLDEST_OPSET = 11
Dimension = tuple[str, int]
"""An input and one of its axes."""

_SWITCH = "use_cache_branch"
_EXPORT = "export it again: optimum-cli export onnx --task text2text-generation-with-past -m MODEL FOLDER"


def read(file: Path) -> onnx.ModelProto:
    """A graph with its large weights left where they lie.

    Raises:
        ConversionError: the file is no ONNX graph, or one of an opset that is too old.
    """
    try:
        model = onnx.load(str(file), load_external_data=False)
    except Exception as error:  # protobuf's DecodeError has no public name that lasted
        raise ConversionError(f"{file} is not an ONNX graph: {error}", "download it again") from error
    opset = max((entry.version for entry in model.opset_import if entry.domain in ("", "ai.onnx")), default=0)
    if opset < OLDEST_OPSET:
        raise ConversionError(f"{file} is of ONNX opset {opset}, and {OLDEST_OPSET} is the oldest", _EXPORT)
    return model


def split(merged: onnx.ModelProto, file: Path) -> tuple[onnx.ModelProto, onnx.ModelProto]:
    """The graph of the first step and that of every next one, out of a decoder that has both behind a switch.

    Raises:
        ConversionError: there is no such switch, or not two branches behind it.
    """
    switches = [node for node in merged.graph.node if node.op_type == "If" and _SWITCH in node.input]
    branches = [
        attribute.g
        for switch in switches
        for attribute in switch.attribute
        if attribute.type == onnx.AttributeProto.GRAPH
    ]
    if len(switches) != 1 or len(branches) != 2:
        raise ConversionError(f"{file} has no {_SWITCH} with two branches behind it", _EXPORT)
    branches.sort(key=lambda branch: any(PAST.fullmatch(name) for name in _read_names(branch.node)))
    first, following = (_inlined(merged, switches[0], branch) for branch in branches)
    return first, following


def _inlined(merged: onnx.ModelProto, switch: onnx.NodeProto, branch: onnx.GraphProto) -> onnx.ModelProto:
    model = onnx.ModelProto()
    model.CopyFrom(merged)
    graph = model.graph
    kept = [node for node in graph.node if node.output != switch.output]
    del graph.node[:]
    graph.node.extend([*kept, *branch.node])
    graph.initializer.extend(branch.initializer)
    for outer, inner in zip(switch.output, branch.output, strict=True):
        if outer != inner.name:
            graph.node.append(helper.make_node("Identity", [inner.name], [outer]))
    return model


def _read_names(nodes: Iterable[onnx.NodeProto]) -> set[str]:
    """Names that nodes read, those of graphs inside them included."""
    names: set[str] = set()
    for node in nodes:
        names.update(node.input)
        for attribute in node.attribute:
            if attribute.type == onnx.AttributeProto.GRAPH:
                names |= _read_names(attribute.g.node)
                names.update(value.name for value in attribute.g.output)
    return names


class Surgery:
    """One graph under change.

    Args:
        model: changed in place.
        file: where it came from, for messages.
    """

    def __init__(self, model: onnx.ModelProto, file: Path) -> None:
        self.model = model
        self.file = file
        self._graph = model.graph
        self._before: list[onnx.NodeProto] = []
        self.inputs = {
            value.name: value for value in self._graph.input if value.name not in self._initializers()
        }
        self.outputs = {value.name: value for value in self._graph.output}

    def _initializers(self) -> set[str]:
        return {tensor.name for tensor in self._graph.initializer}

    def names(self, pattern: re.Pattern[str], side: str, inputs: bool = False) -> list[str]:
        """Names of the cache's tensors of one side (``decoder`` or ``encoder``), in the graph's order."""
        found = (self.inputs if inputs else self.outputs).keys()
        return [name for name in found if (match := pattern.fullmatch(name)) and match[2] == side]

    def element(self, name: str) -> int:
        """The element type of an input or an output."""
        value = self.inputs.get(name) or self.outputs[name]
        return int(value.type.tensor_type.elem_type)

    def constant(
        self, value: Sequence[int] | int | float, name: str, element: int = TensorProto.INT64
    ) -> str:
        """A constant by a name of ours; returns the name."""
        array = np.asarray(value, dtype=helper.tensor_dtype_to_np_dtype(element))
        if name not in self._initializers():
            self._graph.initializer.append(numpy_helper.from_array(array, name))
        return name

    def add(self, operator: str, inputs: Sequence[str], output: str, **attributes: Any) -> str:
        """A node at the end of the graph."""
        self._graph.node.append(helper.make_node(operator, list(inputs), [output], **attributes))
        return output

    def put(self, operator: str, inputs: Sequence[str], output: str, **attributes: Any) -> str:
        """A node at the beginning of the graph, in the order of the calls."""
        self._before.append(helper.make_node(operator, list(inputs), [output], **attributes))
        return output

    def declare(self, name: str, element: int, shape: Sequence[int | str]) -> str:
        """A new input."""
        self.inputs[name] = helper.make_tensor_value_info(name, element, list(shape))
        return name

    def replace_input(self, name: str) -> str:
        """Have the graph read a value of ours where it read an input; returns the value's name."""
        value = f"firstlight.{name}"
        _rename_reads(self._graph.node, name, value)
        return value

    def ones(self, name: str, rows: Dimension, columns: Dimension) -> None:
        """Make an attention mask inside the graph: ones in the shape that two dimensions of other inputs have."""
        if name not in self.inputs:
            return
        value, element = self.replace_input(name), self.element(name)
        del self.inputs[name]
        one = helper.make_tensor("one", element, [1], [1])
        self.put("ConstantOfShape", [self._shape(value, (rows, columns))], value, value=one)

    def only_shape(self, name: str, dimensions: Sequence[Dimension]) -> None:
        """Do without an input of which a graph reads nothing but the shape; one it reads more of stays.

        Args:
            dimensions: of other inputs, for all but the last of its own.
        """
        readers = [node for node in self._graph.node if name in node.input]
        if name not in self.inputs or any(node.op_type != "Shape" or node.attribute for node in readers):
            return
        last = self.inputs.pop(name).type.tensor_type.shape.dim[-1].dim_value
        shape = self._shape(f"firstlight.{name}", dimensions, [last])
        for node in readers:
            node.op_type = "Identity"
            node.input[0] = shape

    def _shape(self, value: str, dimensions: Sequence[Dimension], more: Sequence[int] = ()) -> str:
        """A shape of dimensions of inputs, and of sizes that are known."""
        parts = []
        for place, (source, axis) in enumerate(dimensions):
            whole = self.put("Shape", [source], f"{value}.shape{place}")
            at = self.constant([axis], f"firstlight.axis{axis}")
            parts.append(self.put("Gather", [whole, at], f"{value}.size{place}", axis=0))
        parts += [self.constant([size], f"firstlight.size{size}") for size in more]
        return self.put("Concat", parts, f"{value}.shape", axis=0)

    def reorder(self, name: str, rows: str) -> None:
        """Have the graph read rows of an input in another order."""
        self.put("Gather", [name, rows], self.replace_input(name), axis=0)

    def finish(self, outputs: Mapping[str, tuple[int, Sequence[int | str]]]) -> onnx.ModelProto:
        """The graph with these outputs and what leads to them, and nothing else.

        Raises:
            ConversionError: it needs an input that is not known here.
        """
        graph = self._graph
        nodes = leading_to([*self._before, *graph.node], set(outputs))
        read = _read_names(nodes)
        initializers = [tensor for tensor in graph.initializer if tensor.name in read]
        for field in (graph.node, graph.initializer, graph.input, graph.output, graph.value_info):
            del field[:]
        graph.node.extend(nodes)
        graph.initializer.extend(initializers)
        graph.input.extend(value for name, value in self.inputs.items() if name in read)
        graph.output.extend(
            helper.make_tensor_value_info(name, element, list(shape) if shape else None)
            for name, (element, shape) in outputs.items()
        )
        return self.model


def _rename_reads(nodes: Iterable[onnx.NodeProto], name: str, value: str) -> None:
    for node in nodes:
        for place, read in enumerate(node.input):
            if read == name:
                node.input[place] = value
        for attribute in node.attribute:
            if attribute.type == onnx.AttributeProto.GRAPH:
                _rename_reads(attribute.g.node, name, value)


def leading_to(nodes: Sequence[onnx.NodeProto], wanted: set[str]) -> list[onnx.NodeProto]:
    kept = []
    for node in reversed(nodes):
        if wanted & set(node.output):
            kept.append(node)
            wanted |= _read_names([node])
    return kept[::-1]
