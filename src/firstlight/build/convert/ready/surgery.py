"""A plain graph into one of ours: for one text without padding, with scores, spans or vectors for outputs.

In place of inputs that are always the same for one text (the attention mask, the positions) come constants made from
the shape; behind the last layer comes what ``heads`` puts behind a graph made without an exporter. Operators are
those of ONNX opset 11 and newer; where their form changed since, the form of the graph's own opset is written.
"""

from __future__ import annotations

import onnx
from onnx import TensorProto, helper

from firstlight.build.convert.onnx_seq2seq_graphs import Surgery
from firstlight.build.convert.ready.purpose import Purpose
from firstlight.build.convert.ready.reading import IDS, KINDS, MASK, POSITIONS, SENTENCE, TOKENS, Plain
from firstlight.runtime.errors import ConversionError

_AXES_ARE_INPUTS = 18
"""The opset in which the axes of reductions became an input."""
_OURS = ("logits", "scores", "start_logits", "end_logits", SENTENCE, TOKENS, "mask_positions")


def prepared(plain: Plain, model: onnx.ModelProto, purpose: Purpose) -> onnx.ModelProto:
    """The graph with our inputs and outputs.

    Args:
        plain: what it was.
        model: the same graph, changed in place.

    Raises:
        ConversionError: a value inside the graph has a name that an output of ours has.
    """
    _check_names(plain, model)
    cut = _Cut(plain, model, purpose)
    cut.ids()
    cut.mask()
    cut.kinds()
    cut.positions()
    outputs = {
        "text-classification": cut.classification,
        "token-classification": cut.classification,
        "question-answering": cut.answer,
        "fill-mask": cut.masked,
        "feature-extraction": cut.embedding,
    }[purpose.head]()
    return cut.surgery.finish(outputs)


_Outputs = dict[str, tuple[int, list[int | str]]]


class _Cut:
    """One graph under change; see ``prepared``."""

    def __init__(self, plain: Plain, model: onnx.ModelProto, purpose: Purpose) -> None:
        self.plain, self.model, self.purpose = plain, model, purpose
        self.surgery = Surgery(model, plain.file)

    def ids(self) -> None:
        self._number(IDS)

    def kinds(self) -> None:
        """A model of one kind of tokens is given zeros, whatever its tokenizer says of a second text."""
        if KINDS not in self.surgery.inputs:
            return
        if self.purpose.kinds > 1:
            self._number(KINDS)
        else:
            self._constant(KINDS, 0)

    def mask(self) -> None:
        if MASK in self.surgery.inputs:
            self._constant(MASK, 1)

    def positions(self) -> None:
        """Counted from 0, or from the number after that of the padding token as RoBERTa does."""
        surgery = self.surgery
        if POSITIONS not in surgery.inputs:
            return
        element = surgery.element(POSITIONS)
        value = surgery.replace_input(POSITIONS)
        del surgery.inputs[POSITIONS]
        if self.purpose.padding is None:
            whole = surgery.put("Shape", [IDS], f"{value}.shape")
            count = surgery.put(
                "Gather", [whole, surgery.constant(1, "firstlight.second")], f"{value}.count", axis=0
            )
            ends = surgery.constant(0, "firstlight.zero"), surgery.constant(1, "firstlight.step")
            line = surgery.put("Range", [ends[0], count, ends[1]], f"{value}.line")
            made = surgery.put("Reshape", [line, surgery.constant([1, -1], "firstlight.row")], f"{value}.row")
        else:
            made = self._after_padding(value, self.purpose.padding)
        surgery.put("Cast", [made], value, to=element)

    def _after_padding(self, value: str, padding: int) -> str:
        """As transformers' create_position_ids_from_input_ids: a padding token stands still at its own number."""
        surgery = self.surgery
        number = surgery.constant([padding], "firstlight.padding")
        is_padding = surgery.put("Equal", [IDS, number], f"{value}.padding")
        is_text = surgery.put("Not", [is_padding], f"{value}.text")
        ones = surgery.put("Cast", [is_text], f"{value}.ones", to=TensorProto.INT64)
        counted = surgery.put("CumSum", [ones, surgery.constant(1, "firstlight.second")], f"{value}.counted")
        moving = surgery.put("Mul", [counted, ones], f"{value}.moving")
        return surgery.put("Add", [moving, number], f"{value}.numbers")

    def _number(self, name: str) -> None:
        """An int64 input [1, tokens], cast to what the graph reads."""
        element = self.surgery.element(name)
        if element != TensorProto.INT64:
            self.surgery.put("Cast", [name], self.surgery.replace_input(name), to=element)
        self.surgery.declare(name, TensorProto.INT64, [1, "tokens"])

    def _constant(self, name: str, number: int) -> None:
        """The same number for every token, in place of an input."""
        surgery = self.surgery
        element = surgery.element(name)
        value = surgery.replace_input(name)
        del surgery.inputs[name]
        shape = surgery.put("Shape", [IDS], f"{value}.shape")
        filling = helper.make_tensor("value", element, [1], [number])
        surgery.put("ConstantOfShape", [shape], value, value=filling)

    def classification(self) -> _Outputs:
        logits = self._given("logits")
        operator = {"softmax": "Softmax", "sigmoid": "Sigmoid", "none": "Identity"}[self.purpose.apply]
        axis = {"axis": -1} if operator == "Softmax" else {}
        self.surgery.add(operator, [logits], "scores", **axis)
        each = [] if self.purpose.head == "text-classification" else ["tokens"]
        return dict.fromkeys(("logits", "scores"), (TensorProto.FLOAT, [1, *each, "labels"]))

    def answer(self) -> _Outputs:
        names = [self._given(name) for name in ("start_logits", "end_logits")]
        return {name: (TensorProto.FLOAT, [1, "tokens"]) for name in names}

    def masked(self) -> _Outputs:
        """Only the places that are asked for go through the largest layer, which is the vocabulary's."""
        surgery = self.surgery
        places = surgery.declare("mask_positions", TensorProto.INT64, ["masks"])
        logits = self._given("logits")
        reader = None if self.plain.eight_bits else _vocabulary_layer(self.model.graph, logits)
        if reader is None:
            logits = surgery.add("Gather", [logits, places], "firstlight.masked", axis=1)
        else:
            # The last of eight-bit layers would choose another scale for fewer rows, and stays as it is.
            states = reader.input[0]
            reader.input[0] = "firstlight.masked"
            gather = helper.make_node("Gather", [states, places], ["firstlight.masked"], axis=1)
            nodes = list(self.model.graph.node)
            place = next(number for number, node in enumerate(nodes) if "firstlight.masked" in node.input)
            del self.model.graph.node[:]
            self.model.graph.node.extend([*nodes[:place], gather, *nodes[place:]])
        first = surgery.constant(0, "firstlight.zero")
        rows = surgery.add("Gather", [logits, first], "firstlight.rows", axis=0)
        surgery.add("Softmax", [rows], "scores", axis=-1)
        return {"scores": (TensorProto.FLOAT, ["masks", "vocabulary"])}

    def embedding(self) -> _Outputs:
        """One normalised vector; a graph that pools for itself has its vector as the only row of hidden states."""
        surgery, own = self.surgery, self.plain.outputs
        if SENTENCE in own:
            vector = surgery.add("Identity", [own[SENTENCE]], "firstlight.vector")
            self._rename(SENTENCE)
            self._rename(TOKENS)
            shape = surgery.constant([1, 1, -1], "firstlight.one_row")
            surgery.add("Reshape", ["firstlight.vector", shape], TOKENS)
        else:
            rows = self._given(TOKENS)
            if self.purpose.pooling == "cls":
                first = surgery.constant(0, "firstlight.zero")
                vector = surgery.add("Gather", [rows, first], "firstlight.vector", axis=1)
            else:
                operator = {"mean": "ReduceMean", "max": "ReduceMax"}[self.purpose.pooling]
                vector = self._reduced(operator, rows, 1, "firstlight.vector", keep=0)
        length = self._reduced("ReduceL2", vector, 1, "firstlight.length", keep=1)
        surgery.add("Div", [vector, length], SENTENCE)
        return {
            TOKENS: (TensorProto.FLOAT, [1, "tokens", "features"]),
            SENTENCE: (TensorProto.FLOAT, [1, "features"]),
        }

    def _reduced(self, operator: str, value: str, axis: int, name: str, keep: int) -> str:
        if self.plain.opset >= _AXES_ARE_INPUTS:
            axes = self.surgery.constant([axis], f"firstlight.axis{axis}")
            return self.surgery.add(operator, [value, axes], name, keepdims=keep)
        return self.surgery.add(operator, [value], name, axes=[axis], keepdims=keep)

    def _given(self, name: str) -> str:
        """A value by our name."""
        own = self.plain.outputs[name]
        return own if own == name else self.surgery.add("Identity", [own], name)

    def _rename(self, name: str) -> None:
        """Make room for a value of ours where the graph has one of the same name."""
        for node in self.model.graph.node:
            for side in (node.input, node.output):
                for place, value in enumerate(side):
                    if value == name:
                        side[place] = f"firstlight.own.{name}"


def _check_names(plain: Plain, model: onnx.ModelProto) -> None:
    """Names of ours may be taken by the graph's own outputs only, which they stand for."""
    values = {name for node in model.graph.node for name in node.output}
    values |= {tensor.name for tensor in model.graph.initializer}
    taken = sorted(name for name in values if name.startswith("firstlight.") or name in _OURS)
    renamed = (SENTENCE, TOKENS) if SENTENCE in plain.outputs else ()
    taken = [name for name in taken if plain.outputs.get(name) != name and name not in renamed]
    if taken:
        raise ConversionError(f"{plain.file} has a value of the name {taken[0]}", "export the model again")


def _vocabulary_layer(graph: onnx.GraphProto, logits: str) -> onnx.NodeProto | None:
    """The product of states and the vocabulary's weights that logits are made of; None where it is not plain."""
    makers: dict[str, onnx.NodeProto] = {name: node for node in graph.node for name in node.output}
    fixed = {tensor.name for tensor in graph.initializer}
    fixed |= {n.output[0] for n in graph.node if n.op_type == "Constant"}
    fixed |= {n.output[0] for n in graph.node if n.op_type == "Transpose" and n.input[0] in fixed}
    value = logits
    while (node := makers.get(value)) is not None and _readers(graph, value, logits) <= 1:
        free = [name for name in node.input if name not in fixed]
        if node.op_type == "MatMul" and node.input[1] in fixed:
            return node
        if node.op_type not in ("Add", "Identity") or len(free) != 1:
            return None
        value = free[0]
    return None


def _readers(graph: onnx.GraphProto, value: str, logits: str) -> int:
    return sum(list(node.input).count(value) for node in graph.node) + (value == logits)
