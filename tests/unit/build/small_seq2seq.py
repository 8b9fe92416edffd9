"""A tiny encoder-decoder as an ONNX repository of the hub, and the same arithmetic in numpy without any cache."""

from __future__ import annotations

import json

import numpy as np
from onnx import TensorProto, checker, helper, numpy_helper, save_model
from tokenizers import Tokenizer, models, pre_tokenizers, processors

VOCABULARY, FEATURES, HEADS, POSITIONS = 41, 16, 2, 24
WIDTH = FEATURES // HEADS
START, END = 0, 1
WORDS = ["<pad>", "</s>", "<unk>", *(f"w{number}" for number in range(3, VOCABULARY))]
INT, FLOAT = TensorProto.INT64, TensorProto.FLOAT


def weights(seed: int = 0) -> dict[str, np.ndarray]:
    """Weights by name; wide enough that no two tokens come near each other."""
    numbers = np.random.default_rng(seed)
    square = (FEATURES, FEATURES)
    names = ("self.q", "self.k", "self.v", "cross.q", "cross.k", "cross.v")
    found = {name: numbers.normal(size=square) for name in names}
    found["tokens"] = numbers.normal(size=(VOCABULARY, FEATURES))
    found["places"] = numbers.normal(size=(POSITIONS, FEATURES))
    found["head"] = 3 * numbers.normal(size=(FEATURES, VOCABULARY))
    return {name: value.astype(np.float32) for name, value in found.items()}


def _attention(queries, keys, values, mask):
    heads = [np.split(part, HEADS, axis=1) for part in (queries, keys, values)]
    found = []
    for q, k, v in zip(*heads, strict=True):
        scores = q @ k.T / np.float32(WIDTH**0.5) + mask
        shares = np.exp(scores - scores.max(axis=1, keepdims=True))
        found.append(shares / shares.sum(axis=1, keepdims=True) @ v)
    return np.concatenate(found, axis=1)


def logits(w: dict[str, np.ndarray], source: list[int], row: list[int]) -> np.ndarray:
    """Logits after the last token of a row, everything worked out anew."""
    states = np.tanh(w["tokens"][source])
    inner = w["tokens"][row] + w["places"][: len(row)]
    mask = np.triu(np.full((len(row), len(row)), -1e4, np.float32), 1)
    own = _attention(*(inner @ w[f"self.{part}"] for part in "qkv"), mask)
    inner = np.tanh(inner + own)
    crossed = _attention(inner @ w["cross.q"], states @ w["cross.k"], states @ w["cross.v"], np.float32(0))
    return np.tanh(inner + crossed)[-1] @ w["head"]


class _Graph:
    """Nodes in the manner of an exporter: shapes are worked out at every run."""

    def __init__(self, w: dict[str, np.ndarray]) -> None:
        self.nodes: list = []
        self.constants = {name: numpy_helper.from_array(value, name) for name, value in w.items()}
        self._count = 0

    def add(self, operator: str, *inputs: str, name: str = "", **attributes) -> str:
        self._count += 1
        name = name or f"{operator}_{self._count}"
        self.nodes.append(helper.make_node(operator, list(inputs), [name], **attributes))
        return name

    def constant(self, value, element=INT) -> str:
        array = np.asarray(value, helper.tensor_dtype_to_np_dtype(element))
        name = f"c{array.dtype}{array.shape}{array.tolist()}".replace(" ", "")
        self.constants[name] = numpy_helper.from_array(array, name)
        return name

    def size(self, value: str, axis: int) -> str:
        """One dimension, [1]."""
        one = self.add("Gather", self.add("Shape", value), self.constant(axis), axis=0)
        return self.add("Unsqueeze", one, self.constant([0]))

    def split_heads(self, value: str) -> str:
        """[rows, length, features] to [rows, heads, length, width]."""
        parts = (self.size(value, 0), self.size(value, 1), self.constant([-1]), self.constant([WIDTH]))
        shape = self.add("Concat", *parts, axis=0)
        return self.add("Transpose", self.add("Reshape", value, shape), perm=[0, 2, 1, 3])

    def attend(self, inner: str, query: str, keys: str, values: str, mask: str) -> str:
        """tanh(inner + attention)."""
        turned = self.add("Transpose", keys, perm=[0, 1, 3, 2])
        scaled = self.add("Div", self.add("MatMul", query, turned), self.constant(WIDTH**0.5, FLOAT))
        shares = self.add("Softmax", self.add("Add", scaled, mask), axis=-1)
        joined = self.add("Transpose", self.add("MatMul", shares, values), perm=[0, 2, 1, 3])
        parts = (self.size(joined, 0), self.size(joined, 1), self.constant([FEATURES]))
        flat = self.add("Reshape", joined, self.add("Concat", *parts, axis=0))
        return self.add("Tanh", self.add("Add", inner, flat))

    def padding(self, mask: str) -> str:
        """0 where a mask has 1, -10000 where it has 0: [rows, 1, 1, length]."""
        wide = self.add("Unsqueeze", self.add("Cast", mask, to=FLOAT), self.constant([1, 2]))
        hidden = self.add("Sub", self.constant(1.0, FLOAT), wide)
        return self.add("Mul", hidden, self.constant(-1e4, FLOAT))


def _value(name, element, *shape):
    return helper.make_tensor_value_info(name, element, list(shape))


def _model(graph, inputs, outputs, opset=17):
    used = {name for node in graph.nodes for name in node.input}
    kept = [tensor for name, tensor in graph.constants.items() if name in used]
    made = helper.make_model(
        helper.make_graph(graph.nodes, "exported", inputs, outputs, kept),
        opset_imports=[helper.make_opsetid("", opset)],
        ir_version=8,
    )
    checker.check_model(made)
    return made


def encoder(w, opset=17):
    """``tanh`` of the embeddings; the mask hides what is padding."""
    graph = _Graph(w)
    inner = graph.add("Tanh", graph.add("Gather", "tokens", "input_ids", axis=0))
    kept = graph.add("Unsqueeze", graph.add("Cast", "attention_mask", to=FLOAT), graph.constant([2]))
    graph.add("Mul", inner, kept, name="last_hidden_state")
    inputs = [_value(name, INT, "batch", "source") for name in ("input_ids", "attention_mask")]
    return _model(graph, inputs, [_value("last_hidden_state", FLOAT, "batch", "source", FEATURES)], opset)


def _cache(prefix, side, length):
    return [
        _value(f"{prefix}.0.{side}.{part}", FLOAT, "batch", HEADS, length, WIDTH) for part in ("key", "value")
    ]


def decoder(w, past: bool, opset=17):
    """The decoder without a cache, or with one."""
    graph = _Graph(w)
    length = graph.size("input_ids", 1)
    before = graph.size("past_key_values.0.decoder.key", 2) if past else graph.constant([0])
    end = graph.add("Add", before, length)
    scalars = [graph.add("Squeeze", one, graph.constant([0])) for one in (before, end)]
    places = graph.add("Gather", "places", graph.add("Range", *scalars, graph.constant(1)), axis=0)
    inner = graph.add("Add", graph.add("Gather", "tokens", "input_ids", axis=0), places)
    query, *own = (graph.split_heads(graph.add("MatMul", inner, f"self.{part}")) for part in "qkv")
    for place, part in enumerate(("key", "value")):
        name = f"present.0.decoder.{part}"
        if past:
            own[place] = graph.add(
                "Concat", f"past_key_values.0.decoder.{part}", own[place], name=name, axis=2
            )
        else:
            own[place] = graph.add("Identity", own[place], name=name)
    square = graph.add("Expand", graph.constant(-1e4, FLOAT), graph.add("Concat", length, end, axis=0))
    causal = graph.add("Trilu", square, graph.add("Add", scalars[0], graph.constant(1)), upper=1)
    inner = graph.attend(inner, query, *own, causal)
    query = graph.split_heads(graph.add("MatMul", inner, "cross.q"))
    if past:
        cross = [f"past_key_values.0.encoder.{part}" for part in ("key", "value")]
    else:
        made = (graph.add("MatMul", "encoder_hidden_states", f"cross.{part}") for part in "kv")
        cross = [
            graph.add("Identity", graph.split_heads(value), name=f"present.0.encoder.{part}")
            for value, part in zip(made, ("key", "value"), strict=True)
        ]
    inner = graph.attend(inner, query, *cross, graph.padding("encoder_attention_mask"))
    graph.add("MatMul", inner, "head", name="logits")
    inputs = [
        _value("encoder_attention_mask", INT, "batch", "source"),
        _value("input_ids", INT, "batch", "tokens"),
    ]
    outputs = [_value("logits", FLOAT, "batch", "tokens", VOCABULARY), *_cache("present", "decoder", "total")]
    if past:
        inputs += _cache("past_key_values", "decoder", "past") + _cache(
            "past_key_values", "encoder", "source"
        )
    else:
        inputs.append(_value("encoder_hidden_states", FLOAT, "batch", "source", FEATURES))
        outputs += _cache("present", "encoder", "source")
    return _model(graph, inputs, outputs, opset)


def merged(w, opset=17):
    """Both behind ``use_cache_branch``, as optimum merges them: weights outside, presents of the source passed on."""
    first, after = decoder(w, False, opset), decoder(w, True, opset)
    names = [value.name for value in first.graph.output]
    for part in ("key", "value"):
        after.graph.node.append(
            helper.make_node("Identity", [f"past_key_values.0.encoder.{part}"], [f"present.0.encoder.{part}"])
        )
    constants = {tensor.name: tensor for model in (first, after) for tensor in model.graph.initializer}
    branches = {}
    for branch, model in (("then_branch", after), ("else_branch", first)):
        outputs = [helper.make_empty_tensor_value_info(name) for name in names]
        branches[branch] = helper.make_graph(list(model.graph.node), branch, [], outputs)
    inputs = {value.name: value for model in (first, after) for value in model.graph.input}
    switch = helper.make_node("If", ["use_cache_branch"], names, **branches)
    graph = helper.make_graph(
        [switch],
        "merged",
        [*inputs.values(), _value("use_cache_branch", TensorProto.BOOL, 1)],
        list(first.graph.output),
        list(constants.values()),
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=9)


CONFIG = {
    "model_type": "marian",
    "architectures": ["MarianMTModel"],
    "vocab_size": VOCABULARY,
    "decoder_start_token_id": START,
    "eos_token_id": END,
    "pad_token_id": START,
    "max_position_embeddings": POSITIONS,
}


def tokenizer(words=tuple(WORDS)) -> Tokenizer:
    made = Tokenizer(models.WordLevel({word: number for number, word in enumerate(words)}, unk_token="<unk>"))
    made.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    made.post_processor = processors.TemplateProcessing(single="$A </s>", special_tokens=[("</s>", END)])
    return made


def repository(folder, kind="merged", place="onnx", suffix="", seed=0, opset=17, external=False):
    """A folder as the hub has it; returns its weights.

    Args:
        kind: ``merged``, ``pair`` or ``uncached`` (no decoder with a cache).
        external: keep the weights of the graphs in files beside them.
    """
    w = weights(seed)
    graphs = {"encoder_model": encoder(w, opset)}
    if kind == "merged":
        graphs["decoder_model_merged"] = merged(w, opset)
    else:
        graphs["decoder_model"] = decoder(w, False, opset)
    if kind == "pair":
        graphs["decoder_with_past_model"] = decoder(w, True, opset)
    (folder / place).mkdir(parents=True, exist_ok=True)
    for name, model in graphs.items():
        file = f"{name}{suffix}.onnx"
        outside = {"save_as_external_data": True, "location": f"{file}_data", "size_threshold": 64}
        save_model(model, folder / place / file, **(outside if external else {}))
    (folder / "config.json").write_text(json.dumps(CONFIG))
    tokenizer().save(str(folder / "tokenizer.json"))
    return w
