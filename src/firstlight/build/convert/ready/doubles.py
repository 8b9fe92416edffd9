"""What the layers of an exporter's graph are given, worked out in double precision: the same on every machine.

How an eight-bit graph is evened out is decided by these numbers (``smooth``), and its bytes must not depend on the CPU
they were made on. ``double`` does the same for the few operators of graphs made without an exporter; here the
reference implementation of the onnx package runs any operator of the standard, with all floats twice as wide.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper
from onnx.external_data_helper import load_external_data_for_model

Doubles = NDArray[np.float64]


def activations(
    model: onnx.ModelProto,
    folder: Path,
    names: Sequence[str],
    feeds: Sequence[Mapping[str, NDArray[np.int64]]],
) -> dict[str, list[Doubles]] | None:
    """Inner values of a graph for several texts.

    Args:
        model: a float32 graph with our inputs; left as it is.
        folder: where its weights lie.
        names: of values [1, tokens, features] or [tokens, features].
        feeds: see ``parity.feeds``.

    Returns:
        Name -> [tokens, features] for each text; None where the graph has operators that are not of the standard.
    """
    from onnx.reference import ReferenceEvaluator

    wide = _widened(model, folder, names)
    known = {value.name for value in wide.graph.input}
    flat = {value.name for value in wide.graph.input if len(value.type.tensor_type.shape.dim) == 1}
    found: dict[str, list[Doubles]] = {name: [] for name in names}
    try:
        evaluator = ReferenceEvaluator(wide)
        for feed in feeds:
            given = {
                name: rows if name in flat else rows[None] for name, rows in feed.items() if name in known
            }
            for name, value in zip(names, evaluator.run(None, given), strict=True):
                found[name].append(value.reshape(-1, value.shape[-1]))
    except Exception:  # the evaluator's exceptions have no common base
        return None
    return found


def _widened(model: onnx.ModelProto, folder: Path, names: Sequence[str]) -> onnx.ModelProto:
    wide = onnx.ModelProto()
    wide.CopyFrom(model)
    load_external_data_for_model(wide, str(folder))
    for tensor in wide.graph.initializer:
        _widen(tensor)
    for node in wide.graph.node:
        for attribute in node.attribute:
            if attribute.type == onnx.AttributeProto.TENSOR:
                _widen(attribute.t)
            elif node.op_type == "Cast" and attribute.name == "to" and attribute.i == TensorProto.FLOAT:
                attribute.i = TensorProto.DOUBLE
    del wide.graph.output[:]
    wide.graph.output.extend(helper.make_tensor_value_info(name, TensorProto.DOUBLE, None) for name in names)
    return wide


def _widen(tensor: TensorProto) -> None:
    if tensor.data_type == TensorProto.FLOAT:
        tensor.CopyFrom(
            numpy_helper.from_array(numpy_helper.to_array(tensor).astype(np.float64), tensor.name)
        )
