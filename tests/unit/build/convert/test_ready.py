"""Ready graphs to bundles: what exporters write, and what is made of it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime as ort
import pytest
import small_exports as small
from onnx import TensorProto, numpy_helper

from firstlight.build.convert import parity, ready
from firstlight.runtime.bundle import Bundle
from firstlight.runtime.model import Model

ROWS = ([2, 50, 7, 61, 9, 3], [2, 30, 3])
KINDS = ([0, 0, 0, 1, 1, 1], [0, 0, 1])


@pytest.fixture(autouse=True)
def few_sentences(monkeypatch: pytest.MonkeyPatch) -> None:
    """Enough of them for every comparison, and a third of the time."""
    monkeypatch.setattr(parity, "SENTENCES", parity.SENTENCES[:24])


def padded(file: Path, **more: np.ndarray) -> dict[str, np.ndarray]:
    """What a graph gives for the rows as one batch with padding, as its exporter meant it to be used."""
    ids, kinds, mask = (np.zeros((2, 6), np.int64) for _ in range(3))
    for number, row in enumerate(ROWS):
        ids[number, : len(row)], kinds[number, : len(row)] = row, KINDS[number]
        mask[number, : len(row)] = 1
    session = ort.InferenceSession(file)
    given = {"input_ids": ids, "token_type_ids": kinds, "attention_mask": mask, **more}
    kinds_of = {"tensor(int64)": np.int64, "tensor(int32)": np.int32}
    feeds = {value.name: given[value.name].astype(kinds_of[value.type]) for value in session.get_inputs()}
    return dict(zip([value.name for value in session.get_outputs()], session.run(None, feeds), strict=True))


def ours(bundle: Path) -> list[dict[str, Any]]:
    """What a bundle's graph gives for each row alone."""
    feeds = [
        {"input_ids": np.array(ids), "token_type_ids": np.array(kinds), "mask_positions": np.array([1, 2])}
        for ids, kinds in zip(ROWS, KINDS, strict=True)
    ]
    return parity.run(bundle / ready.GRAPH, feeds)


def softmax(logits: np.ndarray) -> np.ndarray:
    powers = np.exp(logits)
    return powers / powers.sum(axis=-1, keepdims=True)


def unit(vector: np.ndarray) -> np.ndarray:
    return vector / np.linalg.norm(vector)


def near(one: np.ndarray, other: np.ndarray) -> None:
    np.testing.assert_allclose(one, other, atol=2e-5)


def inputs(bundle: Path) -> dict[str, int]:
    graph = onnx.load(bundle / ready.GRAPH, load_external_data=False).graph
    return {value.name: value.type.tensor_type.elem_type for value in graph.input}


@pytest.mark.parametrize("head", small.OUTPUTS)
def test_a_row_alone_gets_what_it_gets_padded_in_a_batch(tmp_path: Path, head: str) -> None:
    file = small.export(tmp_path, head)
    bundle = ready.convert(tmp_path, tmp_path / "bundle")
    batch = padded(file)
    for number, found in enumerate(ours(bundle)):
        tokens = len(ROWS[number])
        if head == "text-classification":
            near(found["logits"], batch["logits"][number : number + 1])
            near(found["scores"], softmax(batch["logits"][number : number + 1]))
        elif head == "token-classification":
            near(found["scores"][0], softmax(batch["logits"][number, :tokens]))
        elif head == "fill-mask":
            near(found["scores"], softmax(batch["logits"][number, [1, 2]]))
        elif head == "question-answering":
            for name in ("start_logits", "end_logits"):
                near(found[name][0], batch[name][number, :tokens])
        else:
            rows = batch["last_hidden_state"][number, :tokens]
            near(found["last_hidden_state"][0], rows)
            near(found["sentence_embedding"][0], unit(rows.mean(axis=0)))
    opened = Bundle.open(bundle, verify="hashes")
    assert (opened.task, opened.engine, opened.precision) == (head, "onnx", "fp32")
    assert opened.parity["max_diff"] < 1e-5
    assert opened.defaults["max_length"] == small.POSITIONS


@pytest.mark.parametrize("opset", [11, 13, 20])
@pytest.mark.parametrize(
    "names", [("input_ids",), ("input_ids", "attention_mask"), (*small.INPUTS, "position_ids")]
)
def test_any_set_of_inputs_and_age_of_operators(tmp_path: Path, opset: int, names: tuple[str, ...]) -> None:
    file = small.export(tmp_path, "feature-extraction", inputs=names, opset=opset)
    bundle = ready.convert(tmp_path, tmp_path / "bundle")
    assert inputs(bundle) == dict.fromkeys((n for n in names if n in ("input_ids", "token_type_ids")), 7)
    batch = padded(file, position_ids=np.arange(6)[None].repeat(2, axis=0))
    near(ours(bundle)[0]["last_hidden_state"], batch["last_hidden_state"][:1])


def test_inputs_of_half_the_width_are_cast(tmp_path: Path) -> None:
    file = small.export(tmp_path, element=TensorProto.INT32)
    bundle = ready.convert(tmp_path, tmp_path / "bundle")
    assert inputs(bundle) == {"input_ids": TensorProto.INT64, "token_type_ids": TensorProto.INT64}
    near(ours(bundle)[0]["logits"], padded(file)["logits"][:1])


def test_positions_after_the_padding_token(tmp_path: Path) -> None:
    """As RoBERTa counts them: from 2, and a padding token in the text stands still at 1."""
    file = small.export(tmp_path, "feature-extraction", inputs=("input_ids", "position_ids"))
    small.describe(tmp_path, "feature-extraction", model_type="roberta", pad_token_id=1)
    bundle = ready.convert(tmp_path, tmp_path / "bundle")
    ids = np.array([2, 50, 1, 61, 3])
    found = parity.run(bundle / ready.GRAPH, [{"input_ids": ids}])[0]["last_hidden_state"]
    feeds = {"input_ids": ids[None], "position_ids": np.array([[2, 3, 1, 4, 5]])}
    near(found, ort.InferenceSession(file).run(None, feeds)[0])
    assert Bundle.open(bundle).defaults["max_length"] == small.POSITIONS - 2


def test_a_model_of_one_kind_of_tokens_never_sees_another(tmp_path: Path) -> None:
    file = small.export(tmp_path)
    small.describe(tmp_path, "text-classification", type_vocab_size=1)
    bundle = ready.convert(tmp_path, tmp_path / "bundle")
    assert list(inputs(bundle)) == ["input_ids"]
    feeds = {"input_ids": np.array(ROWS[:1]), "attention_mask": np.ones((1, 6), np.int64)}
    feeds["token_type_ids"] = np.zeros((1, 6), np.int64)
    near(ours(bundle)[0]["logits"], ort.InferenceSession(file).run(None, feeds)[0])


@pytest.mark.parametrize(
    ("mode", "pooling"), [("mean_tokens", "mean"), ("cls_token", "cls"), ("max_tokens", "max")]
)
@pytest.mark.parametrize("opset", [17, 18])
def test_sentence_encoders_pool_as_they_say(tmp_path: Path, mode: str, pooling: str, opset: int) -> None:
    file = small.export(tmp_path, "feature-extraction", opset=opset)
    kinds = [
        {"type": f"sentence_transformers.models.{name}"} for name in ("Transformer", "Pooling", "Normalize")
    ]
    (tmp_path / "modules.json").write_text(json.dumps(kinds))
    (tmp_path / "1_Pooling").mkdir()
    (tmp_path / "1_Pooling" / "config.json").write_text(json.dumps({f"pooling_mode_{mode}": True}))
    bundle = ready.convert(tmp_path, tmp_path / "bundle")
    rows = padded(file)["last_hidden_state"][0]
    pooled = {"mean": rows.mean(axis=0), "cls": rows[0], "max": rows.max(axis=0)}[pooling]
    near(ours(bundle)[0]["sentence_embedding"][0], unit(pooled))
    assert Bundle.open(bundle).defaults["pooling"] == pooling


def test_a_graph_that_pools_for_itself(tmp_path: Path) -> None:
    graph = small.Export()
    states = graph.encoder()
    graph.named(graph.pooled(states), "sentence_embedding")
    graph.named(states, "token_embeddings")
    graph.save(tmp_path / "onnx" / "model.onnx", ("token_embeddings", "sentence_embedding"))
    small.describe(tmp_path, "feature-extraction")
    bundle = ready.convert(tmp_path / "onnx" / "model.onnx", tmp_path / "bundle")
    vectors = padded(tmp_path / "onnx" / "model.onnx")["sentence_embedding"]
    for number, found in enumerate(ours(bundle)):
        near(found["sentence_embedding"][0], unit(vectors[number]))
        near(found["last_hidden_state"], vectors[number][None, None])
    model = Model.load(bundle)
    near(
        np.array(model("the day was with her")),
        unit(np.array(model("the day was with her", {"normalize": False}))),
    )


@pytest.mark.parametrize(
    ("config", "apply"),
    [
        ({"problem_type": "multi_label_classification"}, "sigmoid"),
        ({"problem_type": "regression"}, "none"),
        ({}, "softmax"),
    ],
)
def test_scores_are_made_as_the_model_says(tmp_path: Path, config: dict[str, str], apply: str) -> None:
    file = small.export(tmp_path)
    small.describe(tmp_path, "text-classification", **config)
    bundle = ready.convert(tmp_path, tmp_path / "bundle")
    logits = padded(file)["logits"][:1]
    wanted = {"sigmoid": 1 / (1 + np.exp(-logits)), "none": logits, "softmax": softmax(logits)}[apply]
    near(ours(bundle)[0]["scores"], wanted)
    assert Bundle.open(bundle).defaults["function_to_apply"] == apply


def test_a_worker_answers_with_it(tmp_path: Path) -> None:
    small.export(tmp_path)
    (tmp_path / "README.md").write_text("---\nlicense: mit\npipeline_tag: text-classification\n---\n")
    bundle = ready.convert(tmp_path, tmp_path / "bundle", name="mood")
    answer = Model.load(bundle)("the day was with her", {"top_k": 3})
    assert {entry["label"] for entry in answer} == {"label 0", "label 1", "label 2"}
    assert sum(entry["score"] for entry in answer) == pytest.approx(1, abs=1e-5)
    opened = Bundle.open(bundle)
    assert (opened.name, opened.source) == ("mood", {"licence": "mit"})


def test_weights_outside_the_graph(tmp_path: Path) -> None:
    """As exporters keep those of more than 2 GB, and as the hub's cache holds them: by links to blobs."""
    file = small.export(tmp_path / "model")
    whole = ready.convert(tmp_path / "model", tmp_path / "whole")
    onnx.save(onnx.load(file), file, save_as_external_data=True, location="model.onnx_data", size_threshold=0)
    (tmp_path / "blobs").mkdir()
    data = file.with_name("model.onnx_data")
    data.rename(tmp_path / "blobs" / "abc")
    data.symlink_to(tmp_path / "blobs" / "abc")
    apart = ready.convert(tmp_path / "model", tmp_path / "apart")
    assert Bundle.open(whole).files == Bundle.open(apart).files


def test_weights_lie_beside_the_graph_where_they_can_be_mapped(tmp_path: Path) -> None:
    small.export(tmp_path)
    bundle = ready.convert(tmp_path, tmp_path / "bundle")
    graph = onnx.load(bundle / ready.GRAPH, load_external_data=False).graph
    outside = [tensor for tensor in graph.initializer if tensor.data_location == TensorProto.EXTERNAL]
    places = [{entry.key: entry.value for entry in tensor.external_data} for tensor in outside]
    assert {place["location"] for place in places} == {ready.WEIGHTS}
    assert all(int(place["offset"]) % 64 == 0 for place in places)
    assert sum(int(place["length"]) for place in places) > 50_000
    assert all(tensor.ByteSize() < 1500 for tensor in graph.initializer if tensor not in outside)


def test_the_same_bytes_wherever_it_is_made(tmp_path: Path) -> None:
    """Of another CPU, in another process, tests/conversion asks."""
    small.export(tmp_path / "model")
    made = [ready.convert(tmp_path / "model", tmp_path / name) for name in ("one", "other/place")]
    assert len({Bundle.open(bundle).digest for bundle in made}) == 1
    assert made[0].joinpath(ready.GRAPH).read_bytes() == made[1].joinpath(ready.GRAPH).read_bytes()


def test_eight_bits_made_of_an_exact_graph(tmp_path: Path) -> None:
    """Wide enough that every layer is worth it; seven bits, so that AVX2 does not saturate."""
    graph = small.Export()
    x = graph.encoder()
    for _ in range(2):
        wide = graph.add("Relu", graph.linear(x, small.HIDDEN, 768))
        x = graph.norm(graph.add("Add", x, graph.linear(wide, 768, small.HIDDEN)))
    table = graph.keep(graph.weight(600, small.HIDDEN))
    x = graph.add("Add", x, graph.add("Gather", table, "input_ids"))
    graph.named(graph.linear(graph.add("Relu", graph.linear(x, small.HIDDEN, 768)), 768, 3), "logits")
    graph.save(tmp_path / "model.onnx", ("logits",))
    small.describe(tmp_path, "token-classification")
    exact = ready.convert(tmp_path, tmp_path / "exact")
    bundle = ready.convert(tmp_path, tmp_path / "bundle", precision="int8")
    opened = Bundle.open(bundle)
    assert opened.precision == "int8"
    assert opened.parity["clear_label_agreement"] >= 0.97
    assert opened.parity["fp32_max_diff"] < 1e-5
    sizes = [(place / ready.WEIGHTS).stat().st_size for place in (exact, bundle)]
    assert sizes[1] < 0.6 * sizes[0]
    made = onnx.load(bundle / ready.GRAPH)
    weights = {t.name: numpy_helper.to_array(t) for t in made.graph.initializer}
    products = [node for node in made.graph.node if node.op_type == "DynamicQuantizeMatMul"]
    assert len(products) == 3
    for node in products:
        assert weights[node.input[1]].dtype == np.int8
        assert np.abs(weights[node.input[1]].astype(int)).max() <= 64
    for one, other in zip(ours(exact), ours(bundle), strict=True):
        assert np.abs(one["scores"] - other["scores"]).max() < 0.1


def integers(bundle: Path) -> list[np.ndarray]:
    model = onnx.load(bundle / ready.GRAPH)
    arrays = {tensor.name: numpy_helper.to_array(tensor) for tensor in model.graph.initializer}
    places = {"MatMulIntegerToFloat": 1, "DynamicQuantizeMatMul": 1, "MatMulInteger": 1}
    return [arrays[node.input[places[node.op_type]]] for node in model.graph.node if node.op_type in places]


def test_eight_bits_of_others_are_compared_with_the_exact_graph(tmp_path: Path) -> None:
    small.eight_bits(small.export(tmp_path), largest=64)
    bundle = Bundle.open(ready.convert(tmp_path, tmp_path / "bundle", precision="int8"))
    assert bundle.precision == "int8"
    assert 0 < bundle.parity["max_score_diff"] < 0.35
    assert "company_label_agreement" not in bundle.parity
    weights = integers(tmp_path / "bundle")
    assert len(weights) >= 6
    assert all(array.dtype == np.int8 and np.abs(array.astype(int)).max() == 64 for array in weights)


def test_eight_bits_that_would_saturate_become_unsigned(tmp_path: Path) -> None:
    made = small.eight_bits(small.export(tmp_path))
    bundle = ready.convert(made, tmp_path / "bundle")
    weights = integers(bundle)
    assert len(weights) >= 6
    assert all(array.dtype == np.uint8 for array in weights)
    before = {t.name: numpy_helper.to_array(t) for t in onnx.load(made).graph.initializer}
    signed = {name: array for name, array in before.items() if name.endswith("_int8")}
    shifted = [np.sort((array.astype(int) + 128).ravel()).tolist() for array in signed.values()]
    assert all(np.sort(array.ravel()).tolist() in shifted for array in weights)
    near(ours(bundle)[0]["logits"], alone(made)["logits"])


def alone(file: Path) -> dict[str, np.ndarray]:
    """What a graph gives for the first row by itself: another one would change the scale of eight bits."""
    session = ort.InferenceSession(file)
    feeds = {"input_ids": np.array(ROWS[:1]), "token_type_ids": np.array(KINDS[:1])}
    feeds["attention_mask"] = np.ones((1, 6), np.int64)
    return dict(zip([value.name for value in session.get_outputs()], session.run(None, feeds), strict=True))


def test_eight_bits_of_unknown_origin_are_tried_in_company(tmp_path: Path) -> None:
    exact = small.export(tmp_path)
    small.eight_bits(exact)
    exact.unlink()
    bundle = Bundle.open(ready.convert(tmp_path, tmp_path / "bundle"))
    assert bundle.precision == "int8"
    assert 0 < bundle.parity["company_max_score_diff"] < 0.35
    assert bundle.parity["company_clear_label_agreement"] == 1.0


def test_one_file_of_a_folder(tmp_path: Path) -> None:
    """config.json lies one folder above, or beside it; its name may be any."""
    small.export(tmp_path, file="onnx/mine.onnx")
    assert Bundle.open(ready.convert(tmp_path / "onnx" / "mine.onnx", tmp_path / "a")).name == tmp_path.name
    (tmp_path / "onnx" / "mine.onnx").rename(tmp_path / "mine.onnx")
    ready.convert(tmp_path / "mine.onnx", tmp_path / "b")
    ready.convert(tmp_path, tmp_path / "c")
    assert len({Bundle.open(tmp_path / name).digest for name in "abc"}) == 1
