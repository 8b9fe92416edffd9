"""The three graphs of a bundle: the encoder, the decoder's first step, and its next ones.

``first`` takes the states of one source and the tokens an answer begins with; it gives the cache for all hypotheses
and the best first tokens. ``next`` takes one token of each hypothesis and the cache of the step before. Both end in
the same search over the whole vocabulary. Its inputs and outputs are small, their names begin with ``search.``:

| input       | element, shape        | what                                                                        |
|-------------|-----------------------|-----------------------------------------------------------------------------|
| `normalise` | bool []               | log-probabilities (a beam search), not logits (greedy)                      |
| `seen`      | int64 [rows, length]  | tokens that `penalty` makes less likely; empty rows for none                |
| `penalty`   | float32 []            | divides what is above 0, multiplies what is below                           |
| `banned`    | int64 [places, 2]     | (row, token) that may not come                                              |
| `sums`      | float32 [rows, 1]     | log-probability of each row so far                                          |
| `count`     | int64 [1]             | how many candidates are wanted                                              |
| `beams`     | int64 [rows]          | ``next``: the row of the step before that each row goes on from             |
| `width`     | int64 [1]             | ``first``: rows of the cache's part that only the source decides             |

Outputs: `scores` float32, `parents` (rows) and `tokens` int64, each [count], the best first.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper

from firstlight.build.convert.onnx_seq2seq_graphs import PAST, PRESENT, Surgery
from firstlight.runtime.errors import ConversionError

IDS, STATES, MASK, ENCODER_MASK = (
    "input_ids",
    "encoder_hidden_states",
    "attention_mask",
    "encoder_attention_mask",
)
HIDDEN = "last_hidden_state"
_FLOAT, _INT, _BOOL = int(TensorProto.FLOAT), int(TensorProto.INT64), int(TensorProto.BOOL)
_ANY: tuple[int | str, ...] = ()
_EXPORT = "export it again: optimum-cli export onnx --task text2text-generation-with-past -m MODEL FOLDER"


def encoder(surgery: Surgery) -> onnx.ModelProto:
    """Ids in, states out; nothing is masked."""
    _needs(surgery, {IDS}, {HIDDEN})
    surgery.ones(MASK, (IDS, 0), (IDS, 1))
    model = surgery.finish({HIDDEN: (surgery.element(HIDDEN), _ANY)})
    _takes(surgery, {IDS})
    return model


def first(surgery: Surgery) -> onnx.ModelProto:
    """The decoder's first step; the source's part of the cache comes out in as many equal rows as ``width`` says."""
    _needs(surgery, {IDS, STATES}, {"logits"})
    surgery.ones(ENCODER_MASK, (STATES, 0), (STATES, 1))
    outputs = _search(surgery)
    for name in surgery.names(PRESENT, "decoder"):
        outputs[name] = surgery.element(name), _ANY
    surgery.declare("search.width", _INT, [1])
    zero = helper.make_tensor("zero", _INT, [1], [0])
    rows = surgery.add("ConstantOfShape", ["search.width"], "firstlight.rows", value=zero)
    for name in surgery.names(PRESENT, "encoder"):
        outputs[surgery.add("Gather", [name, rows], cached(name), axis=0)] = surgery.element(name), _ANY
    model = surgery.finish(outputs)
    _takes(surgery, {IDS, STATES, "search.width", *_SEARCH})
    return model


def following(surgery: Surgery) -> onnx.ModelProto:
    """The decoder's step with a cache."""
    keys = surgery.names(PAST, "encoder", inputs=True)
    _needs(surgery, {IDS}, {"logits"})
    if not keys or not surgery.names(PRESENT, "decoder"):
        raise ConversionError(f"{surgery.file} has no cache among its inputs and outputs", _EXPORT)
    surgery.ones(ENCODER_MASK, (IDS, 0), (keys[0], 2))
    surgery.only_shape(STATES, [(IDS, 0), (keys[0], 2)])
    surgery.declare("search.beams", _INT, ["rows"])
    past = surgery.names(PAST, "decoder", inputs=True)
    for name in past:
        surgery.reorder(name, "search.beams")
    outputs = _search(surgery)
    for name in surgery.names(PRESENT, "decoder"):
        outputs[name] = surgery.element(name), _ANY
    model = surgery.finish(outputs)
    _takes(surgery, {IDS, "search.beams", *past, *keys, *_SEARCH})
    return model


def cached(name: str) -> str:
    """The input of the next step that an output of the cache goes to."""
    return name.replace("present", "past_key_values", 1)


def plain(rows: int, count: int) -> dict[str, NDArray[Any]]:
    """A search without any rule."""
    return {
        "search.normalise": np.array(True),
        "search.seen": np.zeros((rows, 0), np.int64),
        "search.penalty": np.array(1, np.float32),
        "search.banned": np.zeros((0, 2), np.int64),
        "search.sums": np.zeros((rows, 1), np.float32),
        "search.count": np.array([count]),
    }


def _needs(surgery: Surgery, inputs: set[str], outputs: set[str]) -> None:
    missing = sorted(inputs - surgery.inputs.keys()) + sorted(outputs - surgery.outputs.keys())
    if missing:
        hint = f"its inputs are {', '.join(surgery.inputs)}; its outputs are {', '.join(surgery.outputs)}"
        raise ConversionError(f"{surgery.file} has no {' and no '.join(missing)}", hint)


def _takes(surgery: Surgery, known: set[str]) -> None:
    unknown = [value.name for value in surgery.model.graph.input if value.name not in known]
    if unknown:
        raise ConversionError(
            f"{surgery.file} needs inputs that are not known here: {', '.join(unknown)}", _EXPORT
        )


_SEARCH = {
    "search.normalise",
    "search.seen",
    "search.penalty",
    "search.banned",
    "search.sums",
    "search.count",
}


def _search(surgery: Surgery) -> dict[str, tuple[int, tuple[int | str, ...]]]:
    """Append the search; returns its outputs."""
    add, constant = surgery.add, surgery.constant
    scores = add("Gather", ["logits", constant(-1, "firstlight.last")], "firstlight.last_logits", axis=1)
    if surgery.element("logits") != _FLOAT:
        scores = add("Cast", [scores], "firstlight.float_logits", to=_FLOAT)
    scores = _penalised(surgery, _normalised(surgery, scores))
    scores = _without_banned(surgery, scores)
    surgery.declare("search.sums", _FLOAT, ["rows", 1])
    scores = add("Add", [scores, "search.sums"], "firstlight.sums")
    shape = add("Shape", [scores], "firstlight.shape")
    vocabulary = add("Gather", [shape, constant(1, "firstlight.one")], "firstlight.vocabulary", axis=0)
    flat = add("Reshape", [scores, constant([-1], "firstlight.flat")], "firstlight.all")
    surgery.declare("search.count", _INT, [1])
    best = helper.make_node("TopK", [flat, "search.count"], ["search.scores", "firstlight.best"], axis=0)
    surgery.model.graph.node.append(best)
    add("Div", ["firstlight.best", vocabulary], "search.parents")
    add("Mod", ["firstlight.best", vocabulary], "search.tokens")
    return {
        "search.scores": (_FLOAT, ("count",)),
        "search.parents": (_INT, ("count",)),
        "search.tokens": (_INT, ("count",)),
    }


def _normalised(surgery: Surgery, scores: str) -> str:
    surgery.declare("search.normalise", _BOOL, [])
    branches = {}
    for name, operator in (("then_branch", "LogSoftmax"), ("else_branch", "Identity")):
        value = f"firstlight.{operator}"
        node = helper.make_node(operator, [scores], [value])
        output = helper.make_tensor_value_info(value, _FLOAT, None)
        branches[name] = helper.make_graph([node], name, [], [output])
    return surgery.add("If", ["search.normalise"], "firstlight.normalised", **branches)


def _penalised(surgery: Surgery, scores: str) -> str:
    """RepetitionPenaltyLogitsProcessor of transformers."""
    add = surgery.add
    surgery.declare("search.seen", _INT, ["rows", "length"])
    surgery.declare("search.penalty", _FLOAT, [])
    found = add("GatherElements", [scores, "search.seen"], "firstlight.seen", axis=1)
    zero = surgery.constant(0, "firstlight.zero", _FLOAT)
    below = add("Less", [found, zero], "firstlight.below")
    multiplied = add("Mul", [found, "search.penalty"], "firstlight.multiplied")
    divided = add("Div", [found, "search.penalty"], "firstlight.divided")
    changed = add("Where", [below, multiplied, divided], "firstlight.changed")
    return add("ScatterElements", [scores, "search.seen", changed], "firstlight.penalised", axis=1)


def _without_banned(surgery: Surgery, scores: str) -> str:
    add = surgery.add
    surgery.declare("search.banned", _INT, ["places", 2])
    shape = add("Shape", ["search.banned"], "firstlight.banned_shape")
    places = add("Gather", [shape, surgery.constant([0], "firstlight.axis0")], "firstlight.places", axis=0)
    never = helper.make_tensor("never", _FLOAT, [1], [float("-inf")])
    nevers = add("ConstantOfShape", [places], "firstlight.nevers", value=never)
    return add("ScatterND", [scores, "search.banned", nevers], "firstlight.allowed")
