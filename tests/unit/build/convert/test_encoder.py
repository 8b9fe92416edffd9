"""Graphs against a BERT written out in numpy; tests/parity compares with torch itself."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import onnxruntime as ort
import pickled_files
import pytest
import random_bert
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.numpy import load_file, save_file

from firstlight.build.convert import encoder, parity, pickled
from firstlight.runtime import engines, tensor
from firstlight.runtime.bundle import Bundle
from firstlight.runtime.errors import ConversionError
from trying import examples

IDS = np.array([[2, 5, 30, 9, 60, 11, 3]], dtype=np.int64)
KINDS = np.array([[0, 0, 0, 0, 1, 1, 1]], dtype=np.int64)
ERF = np.vectorize(math.erf)


def run(folder: Path, **more: np.ndarray) -> dict[str, np.ndarray]:
    options = ort.SessionOptions()
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.intra_op_num_threads = 1
    session = ort.InferenceSession(str(folder / encoder.GRAPH), options)
    outputs = [value.name for value in session.get_outputs()]
    feeds = {"input_ids": IDS, "token_type_ids": KINDS, **more}
    return dict(zip(outputs, session.run(None, feeds), strict=True))


def hidden(tensors: dict[str, np.ndarray], prefix: str = "bert.") -> np.ndarray:
    """The last hidden state as modeling_bert.py computes it, in float64."""
    weights = {name.removeprefix(prefix): value.astype(np.float64) for name, value in tensors.items()}

    def linear(x: np.ndarray, name: str) -> np.ndarray:
        return x @ weights[f"{name}.weight"].T + weights[f"{name}.bias"]

    def norm(x: np.ndarray, name: str) -> np.ndarray:
        centred = x - x.mean(axis=-1, keepdims=True)
        scaled = centred / np.sqrt(centred.var(axis=-1, keepdims=True) + 1e-12)
        return scaled * weights[f"{name}.weight"] + weights[f"{name}.bias"]

    def heads(x: np.ndarray) -> np.ndarray:
        return x.reshape(len(x), 4, 8).transpose(1, 0, 2)

    table = {
        kind: weights[f"embeddings.{kind}_embeddings.weight"] for kind in ("word", "position", "token_type")
    }
    x = table["word"][IDS[0]] + table["token_type"][KINDS[0]] + table["position"][: IDS.shape[1]]
    x = norm(x, "embeddings.LayerNorm")
    for number in range(2):
        layer = f"encoder.layer.{number}."
        query, key, value = (
            heads(linear(x, f"{layer}attention.self.{part}")) for part in ("query", "key", "value")
        )
        attended = softmax(query @ key.transpose(0, 2, 1) / np.sqrt(8)) @ value
        joined = attended.transpose(1, 0, 2).reshape(len(x), 32)
        x = norm(linear(joined, f"{layer}attention.output.dense") + x, f"{layer}attention.output.LayerNorm")
        wide = linear(x, f"{layer}intermediate.dense")
        wide = wide * 0.5 * (1 + ERF(wide / math.sqrt(2)))
        x = norm(linear(wide, f"{layer}output.dense") + x, f"{layer}output.LayerNorm")
    return x


def softmax(x: np.ndarray) -> np.ndarray:
    raised = np.exp(x - x.max(axis=-1, keepdims=True))
    return raised / raised.sum(axis=-1, keepdims=True)


def made(tmp_path: Path, head: str, **settings: object) -> tuple[Path, dict[str, np.ndarray]]:
    folder = random_bert.bert(tmp_path / "model", head, **settings)
    return encoder.convert(folder, tmp_path / "bundle"), load_file(folder / "model.safetensors")


def test_classifier_is_exact(tmp_path: Path) -> None:
    bundle, tensors = made(tmp_path, "BertForSequenceClassification")
    first = hidden(tensors)[0]
    pooled = np.tanh(tensors["bert.pooler.dense.weight"] @ first + tensors["bert.pooler.dense.bias"])
    logits = tensors["classifier.weight"] @ pooled + tensors["classifier.bias"]
    found = run(bundle)
    np.testing.assert_allclose(found["logits"][0], logits, atol=1e-5)
    np.testing.assert_allclose(found["scores"][0], softmax(logits), atol=1e-6)


def test_multi_label_classifier_scores_with_sigmoid(tmp_path: Path) -> None:
    bundle, _ = made(tmp_path, "BertForSequenceClassification", problem_type="multi_label_classification")
    found = run(bundle)
    np.testing.assert_allclose(found["scores"], 1 / (1 + np.exp(-found["logits"])), atol=1e-6)
    assert Bundle.open(str(bundle)).defaults["function_to_apply"] == "sigmoid"


def test_token_classifier_is_exact(tmp_path: Path) -> None:
    bundle, tensors = made(tmp_path, "BertForTokenClassification", labels=5)
    logits = hidden(tensors) @ tensors["classifier.weight"].T + tensors["classifier.bias"]
    found = run(bundle)
    np.testing.assert_allclose(found["logits"][0], logits, atol=1e-5)
    np.testing.assert_allclose(found["scores"][0], softmax(logits), atol=1e-6)


def test_question_answering_is_exact(tmp_path: Path) -> None:
    bundle, tensors = made(tmp_path, "BertForQuestionAnswering")
    logits = hidden(tensors) @ tensors["qa_outputs.weight"].T + tensors["qa_outputs.bias"]
    found = run(bundle)
    np.testing.assert_allclose(found["start_logits"][0], logits[:, 0], atol=1e-5)
    np.testing.assert_allclose(found["end_logits"][0], logits[:, 1], atol=1e-5)


def test_masked_positions_alone_are_scored(tmp_path: Path) -> None:
    bundle, _ = made(tmp_path, "BertForMaskedLM")
    both = run(bundle, mask_positions=np.array([2, 5]))["scores"]
    one = run(bundle, mask_positions=np.array([5]))["scores"]
    assert both.shape == (2, len(random_bert.WORDS))
    np.testing.assert_allclose(both[1:], one, atol=1e-6)
    np.testing.assert_allclose(both.sum(axis=1), 1, atol=1e-5)


def test_embedding_is_the_normalised_mean(tmp_path: Path) -> None:
    bundle, tensors = made(tmp_path, "BertModel")
    expected = hidden(tensors, prefix="")
    found = run(bundle)
    np.testing.assert_allclose(found["last_hidden_state"][0], expected, atol=1e-5)
    mean = expected.mean(axis=0)
    np.testing.assert_allclose(found["sentence_embedding"][0], mean / np.linalg.norm(mean), atol=1e-6)


def test_pooling_follows_sentence_transformers(tmp_path: Path) -> None:
    folder = random_bert.bert(tmp_path / "model", "BertModel")
    modules = [
        {"type": f"sentence_transformers.models.{kind}"} for kind in ("Transformer", "Pooling", "Normalize")
    ]
    (folder / "modules.json").write_text(json.dumps(modules))
    (folder / "1_Pooling").mkdir()
    (folder / "1_Pooling" / "config.json").write_text(json.dumps({"pooling_mode_cls_token": True}))
    found = run(encoder.convert(folder, tmp_path / "bundle"))
    first = found["last_hidden_state"][0, 0]
    np.testing.assert_allclose(found["sentence_embedding"][0], first / np.linalg.norm(first), atol=1e-6)
    (folder / "1_Pooling" / "config.json").write_text(json.dumps({"pooling_mode_lasttoken": True}))
    with pytest.raises(ConversionError, match="pooling_mode_lasttoken"):
        encoder.convert(folder, tmp_path / "bundle")


def test_float32_weights_are_the_file_of_the_model_itself(tmp_path: Path) -> None:
    bundle, _ = made(tmp_path, "BertForSequenceClassification")
    assert (bundle / "model.safetensors").read_bytes() == (
        tmp_path / "model" / "model.safetensors"
    ).read_bytes()
    assert (bundle / encoder.GRAPH).stat().st_size < 40_000


def test_weights_in_the_hub_cache_are_linked_and_others_copied(tmp_path: Path) -> None:
    folder = random_bert.bert(tmp_path / "snapshot")
    weights = folder / "model.safetensors"
    copied = encoder.convert(folder, tmp_path / "copied")
    assert not (copied / "model.safetensors").samefile(weights)
    (tmp_path / "blobs").mkdir()
    blob = weights.rename(tmp_path / "blobs" / "abc")
    weights.symlink_to(blob)
    linked = encoder.convert(folder, tmp_path / "linked")
    assert (linked / "model.safetensors").samefile(blob)
    assert run(linked)["logits"].tolist() == run(copied)["logits"].tolist()


def test_weights_in_pickle_format_answer_as_the_same_in_safetensors(tmp_path: Path) -> None:
    folder = random_bert.bert(tmp_path / "model")
    exact = encoder.convert(folder, tmp_path / "exact")
    pickled_files.saved(folder / pickled.SINGLE, load_file(folder / "model.safetensors"))
    (folder / "model.safetensors").unlink()
    scratch = pickled.to_safetensors(folder, tmp_path / "scratch")
    made = encoder.convert(scratch, tmp_path / "made")
    assert (made / "model.safetensors").samefile(scratch / "model.safetensors")  # nobody else has it: no copy
    np.testing.assert_array_equal(run(made)["logits"], run(exact)["logits"])


def test_half_precision_weights_are_written_as_float32(tmp_path: Path) -> None:
    folder = random_bert.bert(tmp_path / "model", "BertForQuestionAnswering")
    tensors = load_file(folder / "model.safetensors")
    halves = {name: value.astype(np.float16) for name, value in tensors.items()}
    save_file(halves, folder / "model.safetensors")
    found = run(encoder.convert(folder, tmp_path / "bundle"))
    rounded = {name: value.astype(np.float32) for name, value in halves.items()}
    logits = hidden(rounded) @ rounded["qa_outputs.weight"].T + rounded["qa_outputs.bias"]
    np.testing.assert_allclose(found["start_logits"][0], logits[:, 0], atol=1e-5)


@pytest.mark.parametrize("precision", ["int8", "nb8"])
@pytest.mark.parametrize("head", ["BertForSequenceClassification", "BertModel", "BertForMaskedLM"])
def test_eight_bits_are_near_and_say_how_near(
    tmp_path: Path, precision: str, head: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(parity, "LIMITS", {head: {} for head in parity.LIMITS})
    folder = random_bert.bert(tmp_path / "model", head)
    exact = encoder.convert(folder, tmp_path / "exact")
    eight = encoder.convert(folder, tmp_path / "eight", precision=precision)
    more = {"mask_positions": np.array([1])} if head == "BertForMaskedLM" else {}
    name = "sentence_embedding" if head == "BertModel" else "scores"
    near, far = run(eight, **more)[name], run(exact, **more)[name]
    assert np.abs(near - far).max() < 0.05
    assert np.abs(near - far).max() > 0
    assert Bundle.open(str(eight)).parity["texts"] >= 60


def test_eight_bits_that_change_the_answers_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(parity, "LIMITS", {"feature-extraction": {"min_cosine": (1.0, 1.0)}})
    folder = random_bert.bert(tmp_path / "model", "BertModel")
    with pytest.raises(ConversionError, match="min_cosine") as caught:
        encoder.convert(folder, tmp_path / "bundle", precision="int8")
    assert "fp32" in caught.value.hint


@pytest.mark.parametrize("precision", encoder.PRECISIONS)
def test_the_same_folder_gives_the_same_bundle(tmp_path: Path, precision: str) -> None:
    folder = random_bert.bert(tmp_path / "model")
    one, two = (encoder.convert(folder, tmp_path / name, precision=precision) for name in ("one", "two"))
    assert Bundle.open(str(one)).digest == Bundle.open(str(two)).digest
    Bundle.open(str(one), verify="hashes")


def test_facts_of_the_bundle(tmp_path: Path) -> None:
    folder = random_bert.bert(tmp_path / "model")
    (folder / "tokenizer_config.json").write_text(json.dumps({"model_max_length": 128}))
    (folder / "README.md").write_text("---\nlicense: mit\npipeline_tag: zero-shot-classification\n---\ntext")
    bundle = Bundle.open(str(encoder.convert(folder, tmp_path / "bundle", name="mood")))
    assert (bundle.name, bundle.task, bundle.engine, bundle.precision) == (
        "mood",
        "zero-shot-classification",
        "onnx",
        "fp32",
    )
    assert bundle.labels == ["label 0", "label 1", "label 2"]
    assert bundle.defaults["max_length"] == 128
    assert bundle.source["licence"] == "mit"
    tokenizer = json.loads((tmp_path / "bundle" / "tokenizer.json").read_text())
    assert tokenizer["padding"] is None
    assert tokenizer["truncation"] is None


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"model_type": "gpt2"}, "model_type 'gpt2'"),
        ({"architectures": ["BertForPreTraining"]}, "BertForPreTraining"),
        ({"hidden_act": "swish"}, "activation 'swish'"),
        ({"position_embedding_type": "relative_key"}, "relative positions"),
        ({"is_decoder": True}, "decoder"),
        ({"num_attention_heads": 5}, "5 heads"),
        ({"num_hidden_layers": 3}, "no tensor named"),
        ({"hidden_size": 64}, "64 features"),
        ({"hidden_size": None}, "does not describe an encoder"),
        ({"max_position_embeddings": 128}, "128 positions"),
        ({"id2label": {"a": "b"}}, "id2label"),
        ({"id2label": {"0": "yes", "1": "no"}}, "2 labels and the weights have 3"),
    ],
)
def test_what_cannot_be_converted_is_named(tmp_path: Path, change: dict[str, object], said: str) -> None:
    folder = random_bert.bert(tmp_path / "model")
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | change))
    with pytest.raises(ConversionError, match=said):
        encoder.convert(folder, tmp_path / "bundle")


def test_wrong_folders_are_named(tmp_path: Path) -> None:
    folder = random_bert.bert(tmp_path / "model")
    with pytest.raises(ConversionError, match="not for question-answering"):
        encoder.convert(folder, tmp_path / "bundle", task="question-answering")
    with pytest.raises(ConversionError, match="precision 'int4'"):
        encoder.convert(folder, tmp_path / "bundle", precision="int4")
    (folder / "tokenizer.json").unlink()
    with pytest.raises(ConversionError, match=r"neither tokenizer\.json nor vocab\.txt"):
        encoder.convert(folder, tmp_path / "bundle")
    (folder / "config.json").write_text("{")
    with pytest.raises(ConversionError, match="cannot be read"):
        encoder.convert(folder, tmp_path / "bundle")
    (folder / "config.json").unlink()
    with pytest.raises(ConversionError, match=r"no config\.json"):
        encoder.convert(folder, tmp_path / "bundle")


@pytest.mark.parametrize(("precision", "packed"), [("fp32", False), ("nb8", True)])
def test_weights_whose_kernel_needs_packing_are_packed_at_once(
    tmp_path: Path, precision: str, packed: bool
) -> None:
    folder = random_bert.bert(tmp_path / "model")
    bundle = Bundle.open(str(encoder.convert(folder, tmp_path / "bundle", precision=precision)))
    engine = engines.load(bundle)
    assert engine.packed is packed
    feeds = {
        name: tensor.int64(rows[0].tolist()) for name, rows in (("input_ids", IDS), ("token_type_ids", KINDS))
    }
    engine.run(feeds, ["scores"])
    engine.settle()
    assert engine.packed or not packed


values = st.one_of(
    st.none(), st.booleans(), st.integers(-3, 600), st.text(max_size=5), st.lists(st.integers(), max_size=2)
)


@settings(max_examples=examples(60), deadline=None)
@given(key=st.sampled_from([*random_bert.CONFIG, "model_type", "architectures", "id2label"]), value=values)
def test_any_configuration_is_converted_or_refused(
    tmp_path_factory: pytest.TempPathFactory, key: str, value: object
) -> None:
    folder = random_bert.bert(tmp_path_factory.mktemp("any") / "model")
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {key: value}))
    try:
        bundle = encoder.convert(folder, folder.parent / "bundle")
    except ConversionError as error:
        refused = error.message
    else:
        refused = ""
        run(bundle)
    assert bool(refused) or (folder.parent / "bundle" / "bundle.json").is_file()
