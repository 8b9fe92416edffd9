from __future__ import annotations

from pathlib import Path

import numpy as np
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
