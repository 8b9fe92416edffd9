"""Graphs run in double precision give what onnxruntime gives, to its last digits."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
import random_bert

from firstlight.build.convert import double, encoder, parity
from firstlight.build.convert.source import Source
from firstlight.runtime.errors import ConversionError

TEXTS = ("the day was not with her", "a", "they said that his day was")


@pytest.mark.parametrize(
    "head", ["BertForSequenceClassification", "BertForTokenClassification", "BertForMaskedLM", "BertModel"]
)
def test_every_inner_value_is_the_one_of_onnxruntime(tmp_path: Path, head: str) -> None:
    folder = random_bert.bert(tmp_path / "model", head)
    graph = encoder.write_graph(Source.read(folder, None), tmp_path)
    rows = parity.feeds(folder / "tokenizer.json", TEXTS)
    outputs = [value.name for value in onnx.load(str(graph), load_external_data=False).graph.output]
    found = double.run(graph, rows, outputs)
    for number, wanted in enumerate(parity.run(graph, rows)):
        for name in outputs:
            assert found[name][number].dtype == np.float32
            # Gelu is another formula here.
            np.testing.assert_allclose(found[name][number], wanted[name], atol=5e-3)


def test_only_what_is_wanted_is_computed(tmp_path: Path) -> None:
    folder = random_bert.bert(tmp_path / "model")
    graph = encoder.write_graph(Source.read(folder, None), tmp_path)
    model = onnx.load(str(graph), load_external_data=False)
    first = next(node for node in model.graph.node if node.op_type == "LayerNormalization")
    model.graph.node[-1].op_type = "Unheard"
    graph.write_bytes(model.SerializeToString())
    rows = parity.feeds(folder / "tokenizer.json", TEXTS)
    assert list(double.run(graph, rows, list(first.output))) == list(first.output)
    with pytest.raises(ConversionError, match="operator Unheard"):
        double.run(graph, rows, list(model.graph.node[-1].output))


def test_a_convolution_and_a_fused_product() -> None:
    random = np.random.default_rng(0)
    x, weight, bias = (random.standard_normal(shape) for shape in ((1, 4, 6), (4, 2, 3), (4,)))
    made = double.OPERATORS["Conv"](x, weight, bias, kernel_shape=[3], pads=[1, 1], group=2)
    padded = np.pad(x, ((0, 0), (0, 0), (1, 1)))
    for out in range(4):
        own = padded[0, :2] if out < 2 else padded[0, 2:]
        for place in range(6):
            wanted = (own[:, place : place + 3] * weight[out]).sum() + bias[out]
            assert made[0, out, place] == pytest.approx(wanted)
    left, right = random.standard_normal((2, 3, 4)), random.standard_normal((2, 5, 4))
    product = double.OPERATORS["FusedMatMul"](left, right, transB=1, alpha=0.5)
    np.testing.assert_allclose(product, np.einsum("hik,hjk->hij", left, right) / 2)
