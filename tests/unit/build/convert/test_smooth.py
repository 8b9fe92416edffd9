from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import random_bert

from firstlight.build.convert import encoder, parity, smooth
from firstlight.build.convert.source import Source


def layer(outlier: float) -> tuple[np.ndarray, list[np.ndarray]]:
    random = np.random.default_rng(1)
    weight = random.standard_normal((40, 24)).astype(np.float32)
    samples = [random.standard_normal((9, 24)).astype(np.float32) for _ in range(3)]
    samples[1][4, 7] = outlier
    return weight, samples


def test_a_feature_that_dwarfs_the_rest_is_evened_out() -> None:
    weight, samples = layer(60.0)
    factors = smooth.factors(weight, samples)
    assert factors is not None
    assert factors.argmax() == 7
    assert factors[7] > 2
    assert np.delete(factors, 7).max() < 2


def test_even_features_are_left_alone() -> None:
    weight, samples = layer(0.5)
    assert smooth.factors(weight, samples) is None


def test_activations_are_what_the_layers_are_given(tmp_path: Path) -> None:
    folder = random_bert.bert(tmp_path / "model")
    graph = encoder.write_graph(Source.read(folder, None), tmp_path)
    rows = parity.feeds(
        encoder.convert(folder, tmp_path / "bundle") / "tokenizer.json", ["a day", "the day was"]
    )
    seen = smooth.activations(graph, rows)
    shapes = [x.shape for x in seen["bert.encoder.layer.0.output.dense.weight"]]
    assert shapes == [(len(row["input_ids"]), 64) for row in rows]
    # The last layer is computed for the first token alone.
    assert [len(x) for x in seen["bert.encoder.layer.1.intermediate.dense.weight"]] == [1, 1]


def test_the_last_digits_of_what_a_layer_is_given_do_not_matter() -> None:
    random = np.random.default_rng(2)
    for seed in range(20):
        weight = np.random.default_rng(seed).standard_normal((40, 64)).astype(np.float32)
        samples = [random.standard_normal((9, 64)) for _ in range(3)]
        samples[1][4, ::9] *= 30
        other = [sample * (1 + 1e-14 * random.standard_normal(sample.shape)) for sample in samples]
        factors = smooth.factors(weight, samples)
        assert factors is not None
        np.testing.assert_array_equal(factors, smooth.factors(weight, other))
        steps = 8 * np.log2(factors)
        np.testing.assert_allclose(steps, np.rint(steps), atol=1e-5)


def test_layers_that_share_a_weight_are_all_looked_at(tmp_path: Path) -> None:
    folder = random_bert.bert(tmp_path / "model")
    graph = encoder.write_graph(Source.read(folder, None), tmp_path)
    model = onnx.load(str(graph), load_external_data=False)
    layers = [node for node in model.graph.node if node.op_type == "Gemm"]
    first, second = (node for node in layers if "intermediate" in node.input[1])
    second.input[1] = first.input[1]
    graph.write_bytes(model.SerializeToString())
    seen = smooth.activations(graph, parity.feeds(folder / "tokenizer.json", ["a day", "the day was"]))
    assert len(seen[first.input[1]]) == 4
