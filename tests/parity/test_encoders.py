"""Graphs made without torch against torch: every family, head and activation, with random weights."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import encoder_models as small
import numpy as np
import onnxruntime as ort
import pytest
import torch
import transformers
from safetensors.torch import load_file, save_file

from firstlight.build.convert import disentangled, encoder, relative
from firstlight.build.convert.source import Source

EXACT = 1e-5
ACTIVATIONS = [("BERT", "relu"), ("DistilBERT", "relu"), ("RoBERTa", "relu"), ("ALBERT", "gelu_new")]
ALL = [*((variant, "gelu") for variant in small.VARIANTS), *ACTIVATIONS]
TYPED = ("BERT", "ELECTRA", "ELECTRA, one size", "ALBERT", "ALBERT, groups", "ERNIE", "DeBERTa, no buckets")


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
@pytest.mark.parametrize("head", small.HEADS)
@pytest.mark.parametrize(("variant", "activation"), ALL)
def test_graph_equals_torch(tmp_path: Path, variant: str, head: str, activation: str) -> None:
    model = small.model(variant, head, activation)
    model.save_pretrained(tmp_path)
    (tmp_path / "made").mkdir()
    graph = encoder.write_graph(Source.read(tmp_path, None), tmp_path / "made")
    for length in (1, 7, 50):
        ids = torch.randint(3, small.VOCABULARY, (1, length))
        if length == 50:
            ids[0, 20] = model.config.pad_token_id  # a padding id within the text moves RoBERTa's positions
        kinds = torch.zeros_like(ids)
        kinds[0, length // 2 :] = int(variant in TYPED)
        masks = np.array([0, length // 2, length - 1])
        given = {"input_ids": ids, "attention_mask": torch.ones_like(ids)}
        with torch.no_grad():
            output = model(**given, **({"token_type_ids": kinds} if variant in TYPED else {}))
        feeds = {"input_ids": ids.numpy(), "token_type_ids": kinds.numpy(), "mask_positions": masks}
        found = ours(graph, feeds)
        for name, value in expected(head, output, masks).items():
            np.testing.assert_allclose(
                found[name], value, atol=EXACT, rtol=0, err_msg=f"{name}, {length} tokens"
            )


@pytest.mark.filterwarnings("ignore")
def test_buckets_of_distances() -> None:
    from transformers.models.deberta_v2.modeling_deberta_v2 import make_log_bucket_position
    from transformers.models.mpnet.modeling_mpnet import MPNetEncoder

    away = np.arange(-512, 513)
    theirs = MPNetEncoder.relative_position_bucket(torch.from_numpy(away)).numpy()
    assert relative.buckets(away).tolist() == theirs.tolist()
    for count, farthest in ((256, 512), (8, 64), (6, 30), (32, 512), (2, 512)):
        wanted = make_log_bucket_position(torch.from_numpy(away), count, farthest).to(torch.long)
        assert disentangled.buckets(away, count, farthest).tolist() == wanted.tolist()


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("variant", ["BERT", "MPNet", "ALBERT", "DeBERTa-v3"])
def test_files_as_they_are_found(tmp_path: Path, variant: str) -> None:
    """Parts, half precision, tensors of no use, tied weights that are there all the same, old names."""
    model = small.model(variant, "MaskedLM").to(torch.bfloat16)
    model.save_pretrained(tmp_path / "parts", max_shard_size="60KB")
    assert len(list((tmp_path / "parts").glob("*.safetensors"))) > 1
    model = model.float()
    model.save_pretrained(tmp_path / "whole")
    file = tmp_path / "whole" / "model.safetensors"
    tensors = load_file(file)
    head = model.get_output_embeddings().weight.detach().clone()
    more = {"bert.embeddings.position_ids": torch.arange(512)[None]}
    if variant != "DeBERTa-v3":  # whose decoder transformers names otherwise
        more[
            {"BERT": "cls.predictions", "MPNet": "lm_head", "ALBERT": "predictions"}[variant]
            + ".decoder.weight"
        ] = head
    old = {
        name.replace("LayerNorm.weight", "LayerNorm.gamma").replace(
            "LayerNorm.bias", "LayerNorm.beta"
        ): tensor
        for name, tensor in tensors.items()
    }
    save_file(old | more, file, {"format": "pt"})
    ids = torch.randint(3, small.VOCABULARY, (1, 9))
    with torch.no_grad():
        wanted = model(input_ids=ids).logits[0, [4]].softmax(-1).numpy()
    feeds = {
        "input_ids": ids.numpy(),
        "token_type_ids": np.zeros((1, 9), np.int64),
        "mask_positions": np.array([4]),
    }
    for name in ("parts", "whole"):
        (tmp_path / f"{name}-made").mkdir()
        graph = encoder.write_graph(Source.read(tmp_path / name, None), tmp_path / f"{name}-made")
        np.testing.assert_allclose(ours(graph, feeds)["scores"], wanted, atol=EXACT, rtol=0)


@pytest.mark.filterwarnings("ignore")
def test_the_masked_head_deberta_v3_was_published_with(tmp_path: Path) -> None:
    """transformers has the layers of it, but ties their weights to the wrong table (4.57)."""
    from transformers.models.deberta_v2.modeling_deberta_v2 import DebertaV2OnlyMLMHead

    model = small.model("DeBERTa-v3", "MaskedLM")
    head = DebertaV2OnlyMLMHead(model.config).eval()
    with torch.no_grad():
        for weight in head.parameters():
            weight.normal_(0, 0.2)
    model.config.save_pretrained(tmp_path)
    tensors = {f"deberta.{name}": tensor for name, tensor in model.deberta.state_dict().items()}
    tensors |= {f"lm_predictions.{name}": tensor for name, tensor in head.state_dict().items()}
    save_file(tensors, tmp_path / "model.safetensors", {"format": "pt"})
    config = json.loads((tmp_path / "config.json").read_text())
    (tmp_path / "config.json").write_text(json.dumps(config | {"architectures": ["DebertaV2ForMaskedLM"]}))
    (tmp_path / "made").mkdir()
    graph = encoder.write_graph(Source.read(tmp_path, None), tmp_path / "made")
    ids = torch.randint(3, small.VOCABULARY, (1, 9))
    with torch.no_grad():
        hidden = model.deberta(ids).last_hidden_state
        wanted = head(hidden, model.deberta.embeddings.word_embeddings)[0, [4]].softmax(-1).numpy()
    found = ours(graph, {"input_ids": ids.numpy(), "mask_positions": np.array([4])})
    np.testing.assert_allclose(found["scores"], wanted, atol=EXACT, rtol=0)


@pytest.mark.filterwarnings("ignore")
def test_any_encoder_gives_hidden_states(tmp_path: Path) -> None:
    """feature-extraction needs no head, and a configuration without architectures is taken at the task's word."""
    model = small.model("BERT", "SequenceClassification")
    model.save_pretrained(tmp_path)
    (tmp_path / "made").mkdir()
    graph = encoder.write_graph(Source.read(tmp_path, "feature-extraction"), tmp_path / "made")
    ids = torch.randint(3, small.VOCABULARY, (1, 9))
    with torch.no_grad():
        wanted = model.bert(ids).last_hidden_state.numpy()
    found = ours(graph, {"input_ids": ids.numpy(), "token_type_ids": np.zeros((1, 9), np.int64)})
    np.testing.assert_allclose(found["last_hidden_state"], wanted, atol=EXACT, rtol=0)
    assert isinstance(transformers.AutoConfig.from_pretrained(tmp_path), transformers.BertConfig)
