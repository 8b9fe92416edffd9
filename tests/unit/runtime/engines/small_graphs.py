"""Graphs of a few nodes, written as bundles."""

import json
from hashlib import sha256

import numpy as np
from onnx import TensorProto, helper, numpy_helper, save_model

WEIGHTS = np.random.default_rng(0).normal(size=(64, 32)).astype(np.float32)


def described(folder, **changes):
    """Write bundle.json for all files of a folder."""
    files = {
        path.name: {"size": path.stat().st_size, "sha256": sha256(path.read_bytes()).hexdigest()}
        for path in sorted(folder.iterdir())
        if path.name != "bundle.json"
    }
    content = {"schema": 1, "name": "small", "task": "echo", "engine": "onnx", "files": files, **changes}
    (folder / "bundle.json").write_text(json.dumps(content))
    return folder


def written(folder, nodes, inputs, outputs, constants=(), external=False):
    """A graph as model.onnx in a bundle."""
    graph = helper.make_graph(
        nodes, "small", inputs, outputs, [numpy_helper.from_array(*one) for one in constants]
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    options = (
        {"save_as_external_data": True, "location": "weights.bin", "size_threshold": 16} if external else {}
    )
    save_model(model, folder / "model.onnx", **options)
    return described(folder)


def value(name, element, shape):
    return helper.make_tensor_value_info(name, element, shape)


def matmul(folder):
    """``y = x @ WEIGHTS``, with the weights as external data; ``twice`` is 2 y."""
    return written(
        folder,
        [helper.make_node("MatMul", ["x", "w"], ["y"]), helper.make_node("Add", ["y", "y"], ["twice"])],
        [value("x", TensorProto.FLOAT, ["rows", 64])],
        [value("y", TensorProto.FLOAT, ["rows", 32]), value("twice", TensorProto.FLOAT, ["rows", 32])],
        [(WEIGHTS, "w")],
        external=True,
    )


def identity(folder, element):
    """``y = x`` for one element type."""
    return written(
        folder,
        [helper.make_node("Identity", ["x"], ["y"])],
        [value("x", element, None)],
        [value("y", element, None)],
    )


def difference(folder):
    """``y = a - b``, int64."""
    return written(
        folder,
        [helper.make_node("Sub", ["a", "b"], ["y"])],
        [value("a", TensorProto.INT64, ["n"]), value("b", TensorProto.INT64, ["n"])],
        [value("y", TensorProto.INT64, ["n"])],
    )
