"""Graphs made without torch against torch: every family, head and activation, with random weights."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime as ort
import pytest
import torch
import transformers

from firstlight.build.convert import encoder
from firstlight.build.convert.source import Source

EXACT = 1e-5
VOCABULARY = 500
HEADS = ("SequenceClassification", "TokenClassification", "QuestionAnswering", "MaskedLM", "Model")
FAMILIES = ("Bert", "DistilBert", "Roberta", "XLMRoberta", "Camembert")


def config(family: str, head: str, activation: str) -> Any:
    labels = 2 if head == "QuestionAnswering" else 5
    shared = {"vocab_size": VOCABULARY, "initializer_range": 0.2, "num_labels": labels}
    kind = getattr(transformers, f"{family}Config")
    if family == "DistilBert":
        return kind(dim=64, n_layers=3, n_heads=4, hidden_dim=128, activation=activation, **shared)
    shared |= {"hidden_size": 64, "num_hidden_layers": 3, "num_attention_heads": 4, "intermediate_size": 128}
    if family != "Bert":
        shared |= {"type_vocab_size": 1, "max_position_embeddings": 66, "pad_token_id": 1}
    return kind(hidden_act=activation, **shared)


def saved(folder: Path, family: str, head: str, activation: str) -> Any:
    torch.manual_seed(7)
    name = family + ("Model" if head == "Model" else f"For{head}")
    model = getattr(transformers, name)(config(family, head, activation)).eval()
    with torch.no_grad():
        for weight in model.parameters():
            if weight.ndim == 1:
                weight.add_(0.1 * torch.randn_like(weight))
    model.save_pretrained(folder)
    return model


def ours(graph: Path, feeds: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    session = ort.InferenceSession(str(graph), options)
    taken = {value.name: feeds[value.name] for value in session.get_inputs()}
    return dict(zip([value.name for value in session.get_outputs()], session.run(None, taken), strict=True))


def expected(head: str, output: Any, masks: np.ndarray) -> dict[str, np.ndarray]:
    if head == "QuestionAnswering":
        return {"start_logits": output.start_logits.numpy(), "end_logits": output.end_logits.numpy()}
    if head == "MaskedLM":
        return {"scores": output.logits[0, masks].softmax(-1).numpy()}
    if head == "Model":
        mean = output.last_hidden_state.mean(1)
        pooled = torch.nn.functional.normalize(mean, dim=1)
        return {"last_hidden_state": output.last_hidden_state.numpy(), "sentence_embedding": pooled.numpy()}
    return {"logits": output.logits.numpy(), "scores": output.logits.softmax(-1).numpy()}


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("head", HEADS)
@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("activation", ["gelu", "relu"])
def test_graph_equals_torch(tmp_path: Path, family: str, head: str, activation: str) -> None:
    model = saved(tmp_path, family, head, activation)
    (tmp_path / "made").mkdir()
    graph = encoder.write_graph(Source.read(tmp_path, None), tmp_path / "made")
    for length in (1, 7, 50):
        ids = torch.randint(3, VOCABULARY, (1, length))
        if length == 50:
            ids[0, 20] = model.config.pad_token_id  # a padding id within the text moves RoBERTa's positions
        kinds = torch.zeros_like(ids)
        kinds[0, length // 2 :] = int(family == "Bert")
        masks = np.array([0, length // 2, length - 1])
        given = {"input_ids": ids, "attention_mask": torch.ones_like(ids)}
        with torch.no_grad():
            output = model(**given, **({"token_type_ids": kinds} if family == "Bert" else {}))
        feeds = {"input_ids": ids.numpy(), "token_type_ids": kinds.numpy(), "mask_positions": masks}
        found = ours(graph, feeds)
        for name, value in expected(head, output, masks).items():
            np.testing.assert_allclose(
                found[name], value, atol=EXACT, rtol=0, err_msg=f"{name}, {length} tokens"
            )
