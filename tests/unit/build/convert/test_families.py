"""Encoders of other families than BERT: what their bundles hold; tests/parity compares their answers with torch."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import onnx
import pytest
import random_encoders
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.numpy import load_file, save_file

from firstlight.build.convert import double, encoder, parity
from firstlight.build.convert.families import FAMILIES
from firstlight.runtime.bundle import Bundle
from firstlight.runtime.errors import ConversionError
from trying import examples

TEXTS = ("the day was not with her", "a", "they said that his day was, and from that day")


@pytest.mark.parametrize("family", random_encoders.CONFIGS)
def test_the_graph_says_what_its_operators_mean(tmp_path: Path, family: str) -> None:
    """Run once by onnxruntime and once in numpy, each operator on its own."""
    folder = random_encoders.folder(tmp_path / "model", family)
    bundle = encoder.convert(folder, tmp_path / "bundle")
    rows = parity.feeds(folder / "tokenizer.json", TEXTS)
    found = double.run(bundle / encoder.GRAPH, rows, ["logits"])["logits"]
    for ours, wanted in zip(found, parity.run(bundle / encoder.GRAPH, rows), strict=True):
        np.testing.assert_allclose(ours, wanted["logits"], atol=5e-3)


@pytest.mark.parametrize(
    ("family", "precision"),
    [("deberta-v2", "fp32"), ("deberta-v2", "int8"), ("albert", "nb8"), ("mpnet", "nb8")],
)
def test_the_same_folder_gives_the_same_bundle(
    tmp_path: Path, family: str, precision: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(parity, "LIMITS", {head: {} for head in parity.LIMITS})
    folder = random_encoders.folder(tmp_path / "model", family)
    one, two = (encoder.convert(folder, tmp_path / name, precision=precision) for name in ("one", "two"))
    assert Bundle.open(str(one)).digest == Bundle.open(str(two), verify="hashes").digest


def test_shared_weights_are_stored_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parity, "LIMITS", {head: {} for head in parity.LIMITS})
    sizes = []
    for layers in (2, 6):
        folder = random_encoders.folder(tmp_path / str(layers), "albert", num_hidden_layers=layers)
        bundle = encoder.convert(folder, tmp_path / f"{layers}-bundle", precision="int8")
        graph = onnx.load(str(bundle / encoder.GRAPH), load_external_data=False).graph
        sizes.append(sorted(tensor.name for tensor in graph.initializer if "albert_layer" in tensor.name))
    assert sizes[0] == sizes[1]


def test_distances_are_looked_up_and_not_computed(tmp_path: Path) -> None:
    folder = random_encoders.folder(tmp_path / "model", "deberta-v2", max_position_embeddings=20)
    bundle = encoder.convert(folder, tmp_path / "bundle")
    graph = onnx.load(str(bundle / encoder.GRAPH), load_external_data=False).graph
    tables = [tensor for tensor in graph.initializer if tensor.name.endswith(".distances")]
    assert len(tables) == 4  # two layers, keys and queries
    assert all(list(tensor.dims) == [16, random_encoders.HIDDEN] for tensor in tables)


@pytest.mark.parametrize(
    ("family", "change", "said"),
    [
        ("albert", {"num_hidden_groups": 9}, "in 9 groups"),
        ("albert", {"embedding_size": 8}, "8 features"),
        ("deberta-v2", {"position_buckets": "many"}, "position_buckets 'many'"),
        ("deberta-v2", {"position_buckets": 1}, "1 buckets"),
        ("deberta-v2", {"position_buckets": 40}, "80 rows of distances"),
        ("deberta-v2", {"pos_att_type": 3}, "pos_att_type 3"),
        ("mpnet", {"num_attention_heads": 8}, "for each of 8 heads"),
        ("deberta-v2", {"attention_head_size": 16}, "heads of another size"),
        ("deberta-v2", {"conv_kernel_size": 3, "conv_act": "swish"}, "conv_act 'swish'"),
        ("deberta-v2", {"pooler_hidden_act": "swish"}, "pooler_hidden_act 'swish'"),
        ("electra", {"architectures": ["ElectraForPreTraining"]}, "feature-extraction needs none"),
    ],
)
def test_what_cannot_be_converted_is_named(
    tmp_path: Path, family: str, change: dict[str, object], said: str
) -> None:
    folder = random_encoders.folder(tmp_path / "model", family, **change)
    tensors = load_file(folder / "model.safetensors")
    name = f"{FAMILIES[family].prefixes[0]}embeddings.word_embeddings.weight"
    if "embedding_size" in change:
        tensors[name] = np.zeros((len(tensors[name]), 16), dtype=np.float32)
        save_file(tensors, folder / "model.safetensors")
    with pytest.raises(ConversionError) as caught:
        encoder.convert(folder, tmp_path / "bundle")
    assert said in f"{caught.value.message} {caught.value.hint}"


values = st.one_of(
    st.none(), st.booleans(), st.integers(-3, 70), st.text(max_size=5), st.lists(st.text(), max_size=2)
)
KEYS = ["pos_att_type", "position_buckets", "max_relative_positions", "norm_rel_ebd", "share_att_key",
        "conv_kernel_size", "attention_head_size", "pooler_hidden_act", "type_vocab_size", "position_biased_input",
        "embedding_size", "num_hidden_groups", "inner_group_num", "num_attention_heads", "pad_token_id"]  # fmt: skip


@settings(max_examples=examples(25), deadline=None)
@given(family=st.sampled_from([*random_encoders.CONFIGS]), key=st.sampled_from(KEYS), value=values)
def test_any_configuration_is_converted_or_refused(
    tmp_path_factory: pytest.TempPathFactory, family: str, key: str, value: object
) -> None:
    folder = random_encoders.folder(tmp_path_factory.mktemp("any") / "model", family)
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {key: value}))
    try:
        bundle = encoder.convert(folder, folder.parent / "bundle")
    except ConversionError as error:
        refused = error.message
    else:
        rows = parity.feeds(folder / "tokenizer.json", TEXTS)
        refused = next(iter(parity.run(bundle / encoder.GRAPH, rows)[0]))
    assert refused


def test_hidden_states_need_no_head(tmp_path: Path) -> None:
    folder = random_encoders.folder(tmp_path / "model", "electra")
    bundle = Bundle.open(str(encoder.convert(folder, tmp_path / "one", task="feature-extraction")))
    assert bundle.task == "feature-extraction"
    config = json.loads((folder / "config.json").read_text())
    del config["architectures"]
    (folder / "config.json").write_text(json.dumps(config))
    with pytest.raises(ConversionError, match="no head that is known"):
        encoder.convert(folder, tmp_path / "two")
    named = encoder.convert(folder, tmp_path / "three", task="text-classification")
    assert Bundle.open(str(named)).labels == ["label 0", "label 1", "label 2"]
