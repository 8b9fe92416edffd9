"""Graphs optimised once, offline, their weights together in one file that all workers map."""

from __future__ import annotations

import hashlib
import mmap
from collections.abc import Iterator, Mapping
from pathlib import Path

import onnx
from onnx import TensorProto, external_data_helper

from firstlight.build.convert.onnx_seq2seq_shapes import simplified
from firstlight.runtime.errors import ConversionError

_INLINE_BYTES = 1024
_ALIGNMENT = 64
_FLOAT_PRODUCTS = ("FusedGemm", "FusedMatMul", "Gemm", "MatMul")
"""Operators that pack a float32 matrix."""
_FIELDS = (
    "raw_data", "float_data", "int32_data", "int64_data", "double_data", "uint64_data", "external_data",
    "data_location",
)  # fmt: skip


class WeightsFile:
    """One file for the large weights of several graphs; equal ones are kept once.

    Args:
        file: made or emptied.
    """

    def __init__(self, file: Path) -> None:
        self._file = file
        self._end = 0
        self._places: dict[bytes, int] = {}
        file.write_bytes(b"")

    def take(self, model: onnx.ModelProto, folder: Path) -> onnx.ModelProto:
        """Move the large weights of a graph into the file.

        Args:
            folder: where the weights lie that the graph keeps outside already.

        Raises:
            ConversionError: such a file is missing or too short, or lies outside the folder.
        """
        for tensor in tensors(model.graph):
            content = _content(tensor, folder)
            if content is None:
                continue
            for field in _FIELDS:
                tensor.ClearField(field)
            if len(content) <= _INLINE_BYTES:
                tensor.raw_data = bytes(content)
                continue
            tensor.data_location = TensorProto.EXTERNAL
            place = {"location": self._file.name, "offset": self.place(content), "length": len(content)}
            for key, value in place.items():
                tensor.external_data.add(key=key, value=str(value))
        return model

    def place(self, content: memoryview | bytes) -> int:
        """Where bytes lie in the file, written there unless they are."""
        digest = hashlib.sha256(content).digest()
        if digest not in self._places:
            with self._file.open("ab") as out:
                out.write(b"\0" * (-self._end % _ALIGNMENT))
                self._places[digest] = out.tell()
                out.write(content)
                self._end = out.tell()
        return self._places[digest]


def tensors(graph: onnx.GraphProto) -> Iterator[TensorProto]:
    """Weights of a graph and of the graphs inside it."""
    yield from graph.initializer
    for node in graph.node:
        for attribute in node.attribute:
            if attribute.type == onnx.AttributeProto.GRAPH:
                yield from tensors(attribute.g)


def _nodes(graph: onnx.GraphProto) -> Iterator[onnx.NodeProto]:
    """Nodes of a graph and of the graphs inside it."""
    for node in graph.node:
        yield node
        for attribute in node.attribute:
            if attribute.type == onnx.AttributeProto.GRAPH:
                yield from _nodes(attribute.g)


def _content(tensor: TensorProto, folder: Path) -> memoryview | bytes | None:
    """The bytes of a weight; None for a small one that may stay where it is, or text."""
    if tensor.data_location == TensorProto.EXTERNAL:
        return _outside(tensor, folder)
    if tensor.data_type == TensorProto.STRING or tensor.ByteSize() <= _INLINE_BYTES:
        return None
    return tensor.raw_data if tensor.HasField("raw_data") else onnx.numpy_helper.to_array(tensor).tobytes()


def _outside(tensor: TensorProto, folder: Path) -> memoryview:
    place = external_data_helper.ExternalDataInfo(tensor)
    file = (folder / place.location).resolve()
    if (
        not file.is_relative_to(folder.resolve()) and file.parent.name != "blobs"
    ):  # the hub's cache links to blobs
        raise ConversionError(f"a graph in {folder} has weights in {place.location}, outside the folder")
    try:
        with file.open("rb") as opened:
            mapped = mmap.mmap(opened.fileno(), 0, access=mmap.ACCESS_READ)
    except (OSError, ValueError) as error:
        message = f"the weights {place.location} of a graph in {folder} cannot be read: {error}"
        raise ConversionError(message, "download the folder again, *.onnx_data too") from None
    start = int(place.offset or 0)
    length = len(mapped) - start if place.length is None else int(place.length)
    if start < 0 or length < 0 or start + length > len(mapped):
        raise ConversionError(f"{file} is too short for the graph beside it", "download it again")
    return memoryview(mapped)[start : start + length]


def optimised(
    graphs: Mapping[str, onnx.ModelProto], out: Path, weights: str, packed: str, scratch: Path
) -> None:
    """Write graphs as onnxruntime optimises them, for any CPU, with one file of weights.

    Args:
        graphs: by name of the file.
        out: folder of the graphs and the weights.
        weights: name of the file of weights.
        packed: name of the graph whose weights are there a second time, packed for CPUs like this one.
        scratch: holds the weights of the graphs as they are.

    Raises:
        ConversionError: onnxruntime refuses a graph.
    """
    for name, model in graphs.items():
        (scratch / name).write_bytes(model.SerializeToString())
        (scratch / name).write_bytes(simplified(model, scratch / name).SerializeToString())
    final = WeightsFile(out / weights)
    for name in graphs:
        made = saved(
            scratch / name, scratch / f"{name}.optimised", EXTENDED, {"session.disable_prepacking": "1"}
        )
        model = final.take(onnx.load(str(made), load_external_data=False), scratch)
        model.producer_name, model.producer_version = "firstlight", ""
        (out / name).write_bytes(model.SerializeToString(deterministic=True))
    _pack(out / packed, final, scratch)


NONE, EXTENDED = 0, 2
"""Levels of optimisation (GraphOptimizationLevel); above the second, layouts of one kind of CPU are chosen."""


def _pack(file: Path, weights: WeightsFile, scratch: Path) -> None:
    """Keep a graph's packed weights in the file of weights, where all workers map them.

    onnxruntime packs weights again when a graph is opened, but throws the result away where the same bytes are there
    (microsoft/onnxruntime pull request 23069). A CPU for which they would be others goes on with its own. float32 is
    packed the same way on every x86-64 CPU; whole numbers are not, and a bundle that held them would be another one on
    each kind of CPU.
    """
    settings = {"session.save_external_prepacked_constant_initializers": "1"}
    made = saved(file, scratch / "packed", NONE, settings)
    model = onnx.load(str(file), load_external_data=False)
    tensors = {tensor.name: tensor for tensor in model.graph.initializer}
    others = {
        name for node in _nodes(model.graph) if node.op_type not in _FLOAT_PRODUCTS for name in node.input
    }
    same = {name for name, tensor in tensors.items() if tensor.data_type == TensorProto.FLOAT} - others
    for tensor in onnx.load(str(made), load_external_data=False).graph.initializer:
        if tensors[tensor.name].data_location != TensorProto.EXTERNAL or tensor.name not in same:
            continue
        for entry in tensor.external_data:
            if entry.key.startswith("prepacked"):
                value = _moved(entry.value, made.with_suffix(".weights"), weights)
                tensors[tensor.name].external_data.add(key=entry.key, value=value)
    file.write_bytes(model.SerializeToString(deterministic=True))


def _moved(entry: str, file: Path, weights: WeightsFile) -> str:
    """An entry ``key|offset;length;flags;offset;length;flags...`` with its bytes in another file."""
    key, _, numbers = entry.partition("|")
    parts = numbers.split(";")
    with file.open("rb") as opened:
        for place in range(0, len(parts) - 2, 3):
            opened.seek(int(parts[place]))
            parts[place] = str(weights.place(opened.read(int(parts[place + 1]))))
    return f"{key}|{';'.join(parts)}"


def saved(file: Path, made: Path, level: int, settings: Mapping[str, str]) -> Path:
    """A graph as onnxruntime has it in memory, with its weights beside it; returns its file."""
    import onnxruntime

    made = made.with_suffix(".onnx")
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel(level)
    options.optimized_model_filepath = str(made)
    options.intra_op_num_threads = 1
    options.log_severity_level = 4
    outside = {
        "session.optimized_model_external_initializers_file_name": made.with_suffix(".weights").name,
        "session.optimized_model_external_initializers_min_size_in_bytes": str(_INLINE_BYTES),
    }
    for key, value in {**settings, **outside}.items():
        options.add_session_config_entry(key, value)
    try:
        onnxruntime.InferenceSession(str(file), options, providers=["CPUExecutionProvider"])
    except Exception as error:  # onnxruntime's exceptions have no common base
        raise ConversionError(f"onnxruntime refuses the graph made of {file.name}: {error}") from error
    return made
