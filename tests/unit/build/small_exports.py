"""A small encoder with random weights as an exporter writes it: for any number of texts, with padding and masks."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import random_bert
from onnx import TensorProto, helper, numpy_helper

HIDDEN, WIDE, POSITIONS = 32, 64, 128
VOCABULARY = len(random_bert.WORDS)
ARCHITECTURES = {
    "text-classification": "BertForSequenceClassification",
    "token-classification": "BertForTokenClassification",
    "question-answering": "BertForQuestionAnswering",
    "fill-mask": "BertForMaskedLM",
    "feature-extraction": "BertModel",
}
OUTPUTS = {
    "text-classification": ("logits",),
    "token-classification": ("logits",),
    "question-answering": ("start_logits", "end_logits"),
    "fill-mask": ("logits",),
    "feature-extraction": ("last_hidden_state",),
}
INPUTS = ("input_ids", "attention_mask", "token_type_ids")


class Export:
    """A graph as it grows.

    Args:
        inputs: names it takes.
        element: of its inputs.
        opset: of its operators, 11 or more.
        seed: of its weights.
    """

    def __init__(
        self, inputs: Sequence[str] = INPUTS, element: int = TensorProto.INT64, opset: int = 17, seed: int = 3
    ) -> None:
        self.nodes: list[onnx.NodeProto] = []
        self.constants: list[onnx.TensorProto] = []
        self.inputs, self.element, self.opset = tuple(inputs), element, opset
        self.random = np.random.default_rng(seed)
        self._count = 0

    def add(self, operator: str, *given: str, domain: str = "", **attributes: Any) -> str:
        self._count += 1
        name = f"/{operator}_{self._count}"
        self.nodes.append(
            helper.make_node(operator, list(given), [name], name=name, domain=domain, **attributes)
        )
        return name

    def keep(self, value: Any, element: type = np.float32) -> str:
        self._count += 1
        name = f"onnx::Constant_{self._count}"
        self.constants.append(numpy_helper.from_array(np.asarray(value, element), name))
        return name

    def weight(self, *shape: int, scale: float = 0.3) -> np.ndarray:
        return (self.random.standard_normal(shape) * scale).astype(np.float32)

    def linear(self, x: str, inputs: int, outputs: int) -> str:
        product = self.add("MatMul", x, self.keep(self.weight(inputs, outputs)))
        return self.add("Add", self.keep(self.weight(outputs, scale=0.1)), product)

    def unsqueeze(self, x: str, axes: list[int]) -> str:
        if self.opset >= 13:
            return self.add("Unsqueeze", x, self.keep(axes, np.int64))
        return self.add("Unsqueeze", x, axes=axes)

    def mean(self, x: str, axis: int, keep: int = 1) -> str:
        if self.opset >= 18:
            return self.add("ReduceMean", x, self.keep([axis], np.int64), keepdims=keep)
        return self.add("ReduceMean", x, axes=[axis], keepdims=keep)

    def norm(self, x: str) -> str:
        off = self.add("Sub", x, self.mean(x, -1))
        square = self.mean(self.add("Mul", off, off), -1)
        deviation = self.add("Sqrt", self.add("Add", square, self.keep(1e-12)))
        return self.add("Mul", self.add("Div", off, deviation), self.keep(1 + self.weight(HIDDEN, scale=0.1)))

    def encoder(self) -> str:
        """Embeddings and one layer of attention; [texts, tokens, features]."""
        ids = "input_ids"
        x = self.add("Gather", self.keep(self.weight(VOCABULARY, HIDDEN, scale=1.0)), ids)
        x = self.add(
            "Add", x, self.add("Gather", self.keep(self.weight(POSITIONS, HIDDEN)), self.positions())
        )
        if "token_type_ids" in self.inputs:
            x = self.add("Add", x, self.add("Gather", self.keep(self.weight(2, HIDDEN)), "token_type_ids"))
        x = self.norm(x)
        asked, key, value = (self.linear(x, HIDDEN, HIDDEN) for _ in range(3))
        scores = self.add("MatMul", asked, self.add("Transpose", key, perm=[0, 2, 1]))
        if "attention_mask" in self.inputs:
            mask = self.add("Cast", self.unsqueeze("attention_mask", [1]), to=TensorProto.FLOAT)
            away = self.add("Mul", self.add("Sub", self.keep(1.0), mask), self.keep(-10000.0))
            scores = self.add("Add", scores, away)
        mixed = self.add("MatMul", self.add("Softmax", scores, axis=2), value)
        x = self.norm(self.add("Add", x, self.linear(mixed, HIDDEN, HIDDEN)))
        wide = self.add("Relu", self.linear(x, HIDDEN, WIDE))
        return self.norm(self.add("Add", x, self.linear(wide, WIDE, HIDDEN)))

    def positions(self) -> str:
        if "position_ids" in self.inputs:
            return "position_ids"
        length = self.add("Gather", self.add("Shape", "input_ids"), self.keep(1, np.int64), axis=0)
        line = self.add("Range", self.keep(0, np.int64), length, self.keep(1, np.int64))
        return self.unsqueeze(line, [0])

    def pooled(self, x: str) -> str:
        """The mean over what is no padding, as sentence-transformers exports it; [texts, features]."""
        mask = self.add("Cast", self.unsqueeze("attention_mask", [2]), to=TensorProto.FLOAT)
        shares = self.add("Div", mask, self.mean(mask, 1))
        return self.mean(self.add("Mul", x, shares), 1, keep=0)

    def named(self, value: str, name: str) -> None:
        """Give a value the name of an output, as exporters do: no node of its own."""
        node = next(node for node in self.nodes if node.output[0] == value)
        node.output[0] = name
        for other in self.nodes:
            other.input[:] = [name if given == value else given for given in other.input]

    def save(
        self, file: Path, outputs: Sequence[str], shape: Sequence[int | str] = ("batch", "tokens")
    ) -> None:
        given = [
            helper.make_tensor_value_info(
                name, TensorProto.INT64 if name == "position_ids" else self.element, list(shape)
            )
            for name in self.inputs
        ]
        made = [helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in outputs]
        graph = helper.make_graph(self.nodes, "main_graph", given, made, self.constants)
        domains = {node.domain for node in self.nodes}
        opsets = [
            helper.make_opsetid(domain, self.opset if domain == "" else 1) for domain in sorted(domains)
        ]
        model = helper.make_model(graph, opset_imports=opsets, ir_version=8, producer_name="pytorch")
        file.parent.mkdir(parents=True, exist_ok=True)
        onnx.save(model, file)


def export(
    folder: Path,
    head: str = "text-classification",
    file: str = "onnx/model.onnx",
    labels: int = 3,
    described: bool = True,
    **settings: Any,
) -> Path:
    """A repository with one graph; returns the graph's file.

    Args:
        labels: outputs of a classifier.
        described: write config.json and tokenizer.json too.
    """
    graph = Export(**settings)
    x = graph.encoder()
    if head == "text-classification":
        first = graph.add("Gather", x, graph.keep(0, np.int64), axis=1)
        graph.named(graph.linear(first, HIDDEN, labels), "logits")
    elif head == "token-classification":
        graph.named(graph.linear(x, HIDDEN, labels), "logits")
    elif head == "fill-mask":
        graph.named(graph.linear(x, HIDDEN, VOCABULARY), "logits")
    elif head == "question-answering":
        both = graph.linear(x, HIDDEN, 2)
        for number, name in enumerate(OUTPUTS[head]):
            graph.named(graph.add("Gather", both, graph.keep(number, np.int64), axis=2), name)
    elif head == "feature-extraction":
        graph.named(x, "last_hidden_state")
    graph.save(folder / file, OUTPUTS[head])
    if described:
        describe(folder, head, labels)
    return folder / file


def describe(folder: Path, head: str, labels: int = 3, **config: Any) -> None:
    """config.json and tokenizer.json."""
    named = {str(number): f"label {number}" for number in range(labels)}
    described = {
        "model_type": "bert",
        "architectures": [ARCHITECTURES[head]],
        "max_position_embeddings": POSITIONS,
        "vocab_size": VOCABULARY,
        "type_vocab_size": 2,
        "id2label": named,
        **config,
    }
    (folder / "config.json").write_text(json.dumps(described))
    (folder / "tokenizer.json").write_text(json.dumps(random_bert.tokenizer()))


def eight_bits(file: Path, largest: int = 127, seed: int = 3) -> Path:
    """A classifier whose layers are quantised as onnxruntime's quantize_dynamic does it, beside ``file``.

    Args:
        largest: number that the largest weight of a column becomes; 64 is what reduce_range gives.
    """
    model = onnx.load(file)
    constants = {tensor.name: tensor for tensor in model.graph.initializer}
    nodes: list[onnx.NodeProto] = []
    for node in model.graph.node:
        tensor = constants.get(node.input[1]) if node.op_type == "MatMul" else None
        if tensor is None:
            nodes.append(node)
            continue
        weight = numpy_helper.to_array(tensor)
        scale = np.abs(weight).max(axis=0) / np.float32(largest)
        kept = {"int8": np.rint(weight / scale).astype(np.int8), "scale": scale.astype(np.float32)}
        kept["zero"] = np.zeros(len(scale), np.int8)
        for part, array in kept.items():
            model.graph.initializer.append(numpy_helper.from_array(array, f"{tensor.name}_{part}"))
        x, out, name = node.input[0], node.output[0], tensor.name
        nodes += [
            helper.make_node("DynamicQuantizeLinear", [x], [f"{out}_q", f"{out}_s", f"{out}_z"]),
            helper.make_node(
                "MatMulInteger", [f"{out}_q", f"{name}_int8", f"{out}_z", f"{name}_zero"], [f"{out}_i"]
            ),
            helper.make_node("Cast", [f"{out}_i"], [f"{out}_f"], to=TensorProto.FLOAT),
            helper.make_node("Mul", [f"{out}_s", f"{name}_scale"], [f"{out}_m"]),
            helper.make_node("Mul", [f"{out}_f", f"{out}_m"], [out]),
        ]
    del model.graph.node[:]
    model.graph.node.extend(nodes)
    made = file.with_name("model_quantized.onnx")
    onnx.save(model, made)
    return made
