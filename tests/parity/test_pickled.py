"""Weights that torch itself wrote in pickle format, and whole folders of them, against torch."""

from __future__ import annotations

import json
from collections import OrderedDict
from pathlib import Path
from typing import Any

import encoder_models
import pytest
import torch
import transformers
from safetensors.torch import load_file

from firstlight.build.convert import encoder, pickled
from firstlight.runtime.errors import ConversionError
from firstlight.runtime.model import Model


def state() -> dict[str, torch.Tensor]:
    torch.manual_seed(3)
    table = torch.randn(30, 8)
    return {
        "table": table,
        "tied": table,
        "part": table[4:9],
        "turned": table.T,
        "column": table[:, 3],
        "every other": table[::2],
        "parameter": torch.nn.Parameter(torch.randn(5)),
        "half": torch.randn(3).half(),
        "brain": torch.randn(3).bfloat16(),
        "double": torch.randn(3).double(),
        "number": torch.tensor(4),
        "flags": torch.tensor([True, False]),
        "bytes": torch.arange(5, dtype=torch.uint8),
        "small": torch.arange(5, dtype=torch.int16),
        "nothing": torch.zeros(0, 4),
    }


@pytest.mark.parametrize("zipped", [True, False])
@pytest.mark.parametrize("protocol", [2, 4])
@pytest.mark.parametrize("ordered", [True, False])
def test_tensors_of_every_kind(tmp_path: Path, zipped: bool, protocol: int, ordered: bool) -> None:
    tensors: Any = OrderedDict(state()) if ordered else state()
    torch.save(
        tensors, tmp_path / pickled.SINGLE, _use_new_zipfile_serialization=zipped, pickle_protocol=protocol
    )
    found = load_file(pickled.to_safetensors(tmp_path, tmp_path / "out") / "model.safetensors")
    assert found.keys() == tensors.keys()
    for name, tensor in tensors.items():
        assert found[name].dtype == tensor.dtype
        assert torch.equal(found[name], tensor.detach())


def test_a_state_dict_has_attributes_and_tied_weights(tmp_path: Path) -> None:
    model = encoder_models.model("ALBERT", "MaskedLM")
    for zipped in (True, False):
        torch.save(model.state_dict(), tmp_path / pickled.SINGLE, _use_new_zipfile_serialization=zipped)
        out = pickled.to_safetensors(tmp_path, tmp_path / f"out-{zipped}")
        found = load_file(out / "model.safetensors")
        assert all(torch.equal(found[name], tensor) for name, tensor in model.state_dict().items())


class Attack:
    def __reduce__(self) -> tuple[Any, ...]:
        return exec, ("open('canary', 'w')",)


@pytest.mark.parametrize("zipped", [True, False])
def test_what_is_hidden_in_a_file_of_torch_does_not_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, zipped: bool
) -> None:
    monkeypatch.chdir(tmp_path)
    torch.save({**state(), "more": Attack()}, pickled.SINGLE, _use_new_zipfile_serialization=zipped)
    with pytest.raises(ConversionError, match=r"asks for __builtin__\.exec"):
        pickled.to_safetensors(tmp_path, tmp_path / "out")
    assert not (tmp_path / "canary").exists()


def test_modules_and_quantised_tensors_are_refused(tmp_path: Path) -> None:
    torch.save(torch.nn.Linear(2, 2), tmp_path / pickled.SINGLE)
    with pytest.raises(ConversionError, match="asks for"):
        pickled.to_safetensors(tmp_path, tmp_path / "out")
    torch.save({"x": torch.zeros(2, dtype=torch.complex64)}, tmp_path / pickled.SINGLE)
    with pytest.raises(ConversionError, match="ComplexFloatStorage"):
        pickled.to_safetensors(tmp_path, tmp_path / "out")


LABELS = ("joy", "anger", "fear", "love", "surprise")
FOLDERS = {
    "BERT": "bert",
    "DistilBERT": "distilbert",
    "ELECTRA": "electra",
    "MPNet": "mpnet",
    "RoBERTa": "roberta",
    "XLM-RoBERTa": "xlm-roberta",
    "CamemBERT": "camembert",
    "ALBERT": "albert",
    "DeBERTa-v3": "deberta-v2",
}


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("sharded", [False, True])
@pytest.mark.parametrize("variant", FOLDERS)
def test_an_old_repository_answers_as_torch_does(tmp_path: Path, variant: str, sharded: bool) -> None:
    """No tokenizer.json, no safetensors: vocabulary files and pytorch_model.bin, through to answers."""
    folder = tmp_path / "model"
    words = encoder_models.tokenizer(folder, FOLDERS[variant])
    model = encoder_models.model(variant, "SequenceClassification", size=len(words))
    model.config.id2label = dict(enumerate(LABELS))
    model.save_pretrained(folder, safe_serialization=False, max_shard_size="60KB" if sharded else "5GB")
    assert (folder / pickled.INDEX).is_file() is sharded
    bundle = encoder.convert(pickled.to_safetensors(folder, tmp_path / "scratch"), tmp_path / "bundle")
    ours = Model.load(bundle)
    theirs = transformers.pipeline("text-classification", model=model, tokenizer=words)
    limit = json.loads((bundle / "bundle.json").read_text())["defaults"]["max_length"]
    for text in encoder_models.small.SENTENCES:
        answer = theirs(text, truncation=True, max_length=limit, top_k=None)
        wanted = {entry["label"]: entry["score"] for entry in answer}
        found: Any = ours(text, {"top_k": len(LABELS)})
        scores = {entry["label"]: entry["score"] for entry in found}
        assert max(scores, key=scores.__getitem__) == max(wanted, key=wanted.__getitem__)
        assert max(abs(scores[label] - wanted[label]) for label in LABELS) < 1e-4
