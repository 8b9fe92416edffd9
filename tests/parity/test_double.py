"""Graphs of every family in double precision against onnxruntime: what int8 is calibrated on is what the model does."""

from __future__ import annotations

from pathlib import Path

import encoder_models as small
import numpy as np
import onnx
import pytest

from firstlight.build.convert import double, encoder, parity
from firstlight.build.convert.source import Source


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("head", ["SequenceClassification", "MaskedLM", "Model"])
@pytest.mark.parametrize("variant", small.VARIANTS)
def test_every_family_gives_what_onnxruntime_gives(tmp_path: Path, variant: str, head: str) -> None:
    small.model(variant, head).save_pretrained(tmp_path)
    (tmp_path / "made").mkdir()
    graph = encoder.write_graph(Source.read(tmp_path, None), tmp_path / "made")
    random = np.random.default_rng(0)
    rows = [
        {
            "input_ids": random.integers(3, small.VOCABULARY, length),
            "token_type_ids": np.zeros(length, np.int64),
            "mask_positions": np.array([length // 2]),
        }
        for length in (1, 7, 50)
    ]
    outputs = [value.name for value in onnx.load(str(graph), load_external_data=False).graph.output]
    found = double.run(graph, rows, outputs)
    for number, wanted in enumerate(parity.run(graph, rows)):
        for name in outputs:
            # Gelu is another formula in ``double``.
            scale = max(1.0, float(np.abs(wanted[name]).max()))
            np.testing.assert_allclose(found[name][number], wanted[name], rtol=0, atol=5e-3 * scale)
