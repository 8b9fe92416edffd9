"""What an exporter could not know, taken out of a graph: half of its nodes work out shapes and masks.

An exported graph is for any number of sources, of tokens and of padding. Ours has one source, without padding, and a
step brings one token. So most reshapes have one dimension that is free, which ONNX can say by -1, and the masks that
are added to attention scores are zeros. Which ones, a few runs of different sizes show. Looked at are only values
that depend on sizes and on constants, never on what the numbers are.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import helper, numpy_helper

from firstlight.build.convert.onnx_seq2seq_graphs import PAST, leading_to
from firstlight.build.convert.onnx_seq2seq_run import Run
from firstlight.build.convert.onnx_seq2seq_search import plain

Feeds = Mapping[str, NDArray[Any]]
Seen = list[dict[str, NDArray[Any]]]

_SIZES = ("Shape", "Size")
_EXTENT = ((2, 3, 4, 5), (3, 1, 6, 9), (4, 2, 11, 17))
"""Rows, tokens, tokens before them and tokens of the source of each run."""


def simplified(model: onnx.ModelProto, file: Path, runs: Sequence[Feeds] | None = None) -> onnx.ModelProto:
    """A graph without what a few runs show to be of no use.

    Args:
        model: changed in place.
        file: the same graph, with its weights beside it.
        runs: what it is fed with, of different sizes; made here for the graphs of an encoder-decoder when None.

    Returns:
        The graph; unchanged where the runs show nothing.
    """
    graph = model.graph
    free = _of_sizes_alone(graph)
    made = free - {tensor.name for tensor in graph.initializer}
    shapes = [node for node in graph.node if node.op_type == "Reshape" and node.input[1] in made]
    sums = [node for node in graph.node if node.op_type == "Add" and made & set(node.input)]
    names = {node.output[0] for node in shapes}.union(*([*node.input, *node.output] for node in sums))
    sized = _runs(model) if runs is None else runs
    seen = _watched(model, file, sorted(names), sized) if sized and names else None
    if seen is None:
        return model
    for node in shapes:
        _settle_shape(graph, node, [run[node.output[0]].shape for run in seen])
    for node in sums:
        _drop_zeros(node, made, seen)
    kept = leading_to(list(graph.node), {value.name for value in graph.output})
    del graph.node[:]
    graph.node.extend(kept)
    return model


def _runs(model: onnx.ModelProto) -> list[Feeds] | None:
    """Inputs of different sizes for one of our graphs; None where it does not say what size a state or a head has."""
    first = all(not PAST.fullmatch(value.name) for value in model.graph.input)
    found: list[Feeds] = []
    for rows, tokens, before, source in _EXTENT:
        sizes = (1, source if len(model.graph.input) == 1 else tokens) if first else (rows, 1)
        feeds: dict[str, NDArray[Any]] = dict(plain(1 if first else rows, 1))
        feeds |= {
            "input_ids": np.zeros(sizes, np.int64),
            "search.width": np.array([1]),
            "search.beams": np.arange(rows),
        }
        for value in model.graph.input:
            if value.name in feeds:
                continue
            kind = value.type.tensor_type
            given = (1, source) if first else (rows, 0, source if ".encoder." in value.name else before)
            known = [dim.dim_value for dim in kind.shape.dim]
            shape = [size or known[axis] for axis, size in enumerate((*given, 0, 0)[: len(known)])]
            if not known or 0 in shape:
                return None
            feeds[value.name] = np.ones(shape, helper.tensor_dtype_to_np_dtype(kind.elem_type))
        found.append(feeds)
    return found


def _of_sizes_alone(graph: onnx.GraphProto) -> set[str]:
    """Values that depend on the sizes of the inputs and on constants, not on the numbers in the inputs."""
    numbers = {value.name for value in graph.input}
    free = set()
    for node in graph.node:
        inside = any(attribute.type == onnx.AttributeProto.GRAPH for attribute in node.attribute)
        if not inside and (node.op_type in _SIZES or not numbers & set(node.input)):
            free.update(node.output)
        else:
            numbers.update(node.output)
    return free | {tensor.name for tensor in graph.initializer}


def _watched(model: onnx.ModelProto, file: Path, names: Sequence[str], runs: Sequence[Feeds]) -> Seen | None:
    """The values of these names in each run; None where a run is refused: a graph need not be simplified."""
    probe = onnx.ModelProto()
    probe.CopyFrom(model)
    constants = {tensor.name: tensor for tensor in probe.graph.initializer}
    fixed = {
        name: numpy_helper.to_array(constants[name], str(file.parent)) for name in names if name in constants
    }
    asked = [name for name in names if name not in fixed]
    del probe.graph.output[:]
    probe.graph.output.extend(helper.make_empty_tensor_value_info(name) for name in asked)
    place = file.with_suffix(".probe.onnx")
    place.write_bytes(probe.SerializeToString())
    try:
        run = Run(place, level=0)
        return [fixed | run(feeds) for feeds in runs]
    except Exception:  # onnxruntime's exceptions have no common base
        return None
    finally:
        place.unlink()


def _settle_shape(graph: onnx.GraphProto, node: onnx.NodeProto, seen: Sequence[tuple[int, ...]]) -> None:
    """Give a reshape a constant shape where at most one dimension of what it makes changes."""
    if len({len(sizes) for sizes in seen}) != 1:
        return
    columns = [set(column) for column in zip(*seen, strict=True)]
    target = [column.pop() if len(column) == 1 else -1 for column in columns]
    if target.count(-1) > 1 or 0 in target:
        return
    name = f"firstlight.shape.{'x'.join(map(str, target))}"
    if all(tensor.name != name for tensor in graph.initializer):
        graph.initializer.append(numpy_helper.from_array(np.asarray(target, np.int64), name))
    node.input[1] = name


def _drop_zeros(node: onnx.NodeProto, made: set[str], seen: Seen) -> None:
    """Have a sum pass on one of its parts where the other is always zeros."""
    result = node.output[0]
    for zeros, other in ((node.input[0], node.input[1]), (node.input[1], node.input[0])):
        if zeros not in made:
            continue
        if all(not run[zeros].any() and run[other].shape == run[result].shape for run in seen):
            node.op_type = "Identity"
            del node.input[:]
            node.input.append(other)
            return
