"""A graph as an exporter wrote it: what it takes and gives, and whether it is one that can be served."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import onnx
from onnx import TensorProto

from firstlight.build.convert.onnx_seq2seq_graphs import PAST, read
from firstlight.build.convert.onnx_seq2seq_weights import tensors
from firstlight.runtime.errors import ConversionError

IDS, MASK, KINDS, POSITIONS = "input_ids", "attention_mask", "token_type_ids", "position_ids"
INPUTS = (IDS, MASK, KINDS, POSITIONS)
"""Inputs that are known; every graph takes the first."""

SENTENCE, TOKENS = "sentence_embedding", "last_hidden_state"
_OTHER_NAMES = {
    "token_embeddings": TOKENS,
    "hidden_states": TOKENS,
    "start": "start_logits",
    "end": "end_logits",
}
_OUTPUTS = ("logits", "start_logits", "end_logits", TOKENS, SENTENCE)
_DOMAINS = ("", "ai.onnx", "com.microsoft")
_NUMBERS = (TensorProto.INT64, TensorProto.INT32, TensorProto.FLOAT, TensorProto.BOOL)
_KNOWN = (
    "graphs that can be served take input_ids and any of attention_mask, token_type_ids and position_ids, and give "
    "logits, start_logits and end_logits, last_hidden_state (or token_embeddings) or sentence_embedding"
)


@dataclass(slots=True)
class Plain:
    """A graph that was read and checked; its large weights are still where they were.

    Attributes:
        model: the graph.
        file: where it lies.
        outputs: our name of an output -> the graph's.
        opset: version of ONNX's operators.
    """

    model: onnx.ModelProto
    file: Path
    outputs: dict[str, str]
    opset: int

    @classmethod
    def open(cls, file: Path) -> Plain:
        """Read a graph.

        Raises:
            ConversionError: it is damaged, too old, has operators of its own, weights outside its folder, or other
                inputs and outputs than those of an encoder of text.
        """
        model = read(file)
        _check_operators(model, file)
        _check_weights(model, file)
        constants = {tensor.name for tensor in model.graph.initializer}
        inputs = [value for value in model.graph.input if value.name not in constants]
        outputs = list(model.graph.output)
        _check_inputs(inputs, outputs, file)
        opset = max(entry.version for entry in model.opset_import if entry.domain in ("", "ai.onnx"))
        return cls(model, file, _named(inputs, outputs, file), opset)

    @property
    def eight_bits(self) -> bool:
        """Whether weights are multiplied as integers."""
        kinds = {node.op_type for node in self.model.graph.node}
        return bool(kinds & set(INTEGER_PRODUCTS))


INTEGER_PRODUCTS = (
    "MatMulInteger", "DynamicQuantizeMatMul", "MatMulIntegerToFloat", "QLinearMatMul", "QGemm", "QAttention",
)  # fmt: skip
_FEW_BITS = ("MatMulNBits", "MatMulBnb4", "GatherBlockQuantized")


def described(values: list[onnx.ValueInfoProto]) -> str:
    """Names, types and shapes for a message."""
    return ", ".join(_described(value) for value in values) or "nothing"


def _described(value: onnx.ValueInfoProto) -> str:
    kind = value.type.tensor_type
    if not value.type.HasField("tensor_type"):
        return f"{value.name} (no tensor)"
    sizes = ", ".join(dim.dim_param or str(dim.dim_value) for dim in kind.shape.dim)
    return f"{value.name} {TensorProto.DataType.Name(kind.elem_type).lower()}[{sizes}]"


def _check_operators(model: onnx.ModelProto, file: Path) -> None:
    own = sorted(
        {node.domain for node in model.graph.node} - set(_DOMAINS) - {f.domain for f in model.functions}
    )
    if own:
        message = f"{file} has operators of {', '.join(own)}, which onnxruntime does not have by itself"
        raise ConversionError(message, "export the model with standard operators")
    few = sorted({node.op_type for node in model.graph.node} & set(_FEW_BITS))
    if few:
        message = f"{file} has weights of four bits ({', '.join(few)})"
        raise ConversionError(message, "take the graph in fp32 or int8")
    if any(tensor.data_type == TensorProto.FLOAT16 for tensor in tensors(model.graph)):
        hint = "half precision is the slowest on CPUs, which compute it in float32: take the graph in fp32 or int8"
        raise ConversionError(f"{file} is in half precision", hint)


def _check_weights(model: onnx.ModelProto, file: Path) -> None:
    """Names of files with weights must lie beside the graph, whatever the graph says."""
    for tensor in tensors(model.graph):
        for entry in tensor.external_data:
            path = PurePosixPath(entry.value.replace("\\", "/"))
            bad = path.is_absolute() or ".." in path.parts or ":" in entry.value or not entry.value
            if entry.key == "location" and bad:
                message = f"{file} has weights in {entry.value!r}, which is not a name of a file beside it"
                raise ConversionError(message, "the file may be malicious; do not use it")


def _check_inputs(inputs: list[onnx.ValueInfoProto], outputs: list[onnx.ValueInfoProto], file: Path) -> None:
    names = [value.name for value in inputs]
    seen = f"it takes {described(inputs)} and gives {described(outputs)}"
    if any(PAST.fullmatch(name) or name.startswith("past_key_values") for name in names):
        raise ConversionError(f"{file} is a decoder: {seen}", "language models are served from GGUF files")
    unknown = [name for name in names if name not in INPUTS]
    if unknown or IDS not in names:
        what = f"an input that is not known here, {unknown[0]}" if unknown else "no input_ids"
        raise ConversionError(f"{file} has {what}: {seen}", _KNOWN)
    for value in inputs:
        kind = value.type.tensor_type
        if kind.elem_type not in _NUMBERS or (value.name == IDS and kind.elem_type == TensorProto.FLOAT):
            raise ConversionError(f"{file} takes numbers of another type than int64 or int32: {seen}", _KNOWN)
        _check_shape(value, file, seen)


def _check_shape(value: onnx.ValueInfoProto, file: Path, seen: str) -> None:
    kind = value.type.tensor_type
    if not kind.HasField("shape"):
        return
    sizes = [dim.dim_value for dim in kind.shape.dim]
    if len(sizes) != 2:
        raise ConversionError(f"{file}: {value.name} does not have two dimensions: {seen}", _KNOWN)
    rows, tokens = sizes
    if rows > 1:
        message = f"{file} takes {rows} texts at once and only so many: {seen}"
        raise ConversionError(message, "export it with dynamic axes")
    if tokens:
        message = f"{file} takes texts of exactly {tokens} tokens: {seen}"
        raise ConversionError(message, "export it with dynamic axes")


def _named(
    inputs: list[onnx.ValueInfoProto], outputs: list[onnx.ValueInfoProto], file: Path
) -> dict[str, str]:
    """The outputs that are known, by our names."""
    found: dict[str, str] = {}
    for value in outputs:
        name = _OTHER_NAMES.get(value.name, value.name)
        if name in _OUTPUTS:
            found.setdefault(name, value.name)
    served = {"logits", TOKENS, SENTENCE} & found.keys() or {"start_logits", "end_logits"} <= found.keys()
    if not served:
        seen = f"it takes {described(inputs)} and gives {described(outputs)}"
        raise ConversionError(f"{file} has no output that is known here: {seen}", _KNOWN)
    kinds = {value.name: value.type.tensor_type.elem_type for value in outputs}
    for name, own in found.items():
        if kinds[own] not in (TensorProto.FLOAT, TensorProto.UNDEFINED):
            message = f"{file}: {name} is not float32: {described(outputs)}"
            raise ConversionError(message, "take the graph in fp32 or int8")
    return found
