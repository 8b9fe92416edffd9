"""Models that only PyTorch can read, from a folder to answers, in the environment that firstlight makes."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import sentencepiece

from firstlight.build.convert import apart
from firstlight.build.convert.sentences import SENTENCES
from firstlight.runtime.bundle import Bundle
from firstlight.runtime.errors import ConversionError
from firstlight.runtime.model import Model

There = Callable[..., str]

DEBERTA = """
import sys, torch, transformers
torch.manual_seed(1)
config = transformers.DebertaV2Config(
    vocab_size=400, hidden_size=64, num_hidden_layers=2, num_attention_heads=4, intermediate_size=128,
    relative_attention=True, position_buckets=64, norm_rel_ebd="layer_norm", share_att_key=True,
    pos_att_type=["p2c", "c2p"], position_biased_input=False, type_vocab_size=0, initializer_range=0.3,
    id2label={0: "contradiction", 1: "neutral", 2: "entailment"},
    label2id={"contradiction": 0, "neutral": 1, "entailment": 2},
)
model = transformers.DebertaV2ForSequenceClassification(config)
model.save_pretrained(sys.argv[1], safe_serialization=sys.argv[2] == "safe")
"""
THEIRS = """
import json, sys, torch, transformers
tokenizer = transformers.AutoTokenizer.from_pretrained(sys.argv[1])
model = transformers.AutoModelForSequenceClassification.from_pretrained(sys.argv[1]).eval()
with torch.inference_mode():
    scores = [model(**tokenizer(text, return_tensors="pt")).logits.softmax(-1)[0].tolist()
              for text in json.loads(sys.argv[2])]
print(json.dumps(scores))
"""
CODE = """
from pathlib import Path
Path("MARKER").write_text("run")
from transformers import BertConfig, BertForSequenceClassification
class OwnConfig(BertConfig):
    model_type = "own"
class OwnForSequenceClassification(BertForSequenceClassification):
    config_class = OwnConfig
"""
OWN = """
import sys, torch, transformers
torch.manual_seed(2)
config = transformers.BertConfig(
    vocab_size=400, hidden_size=32, num_hidden_layers=1, num_attention_heads=2, intermediate_size=64,
    initializer_range=0.3)
transformers.BertForSequenceClassification(config).save_pretrained(sys.argv[1])
"""


def deberta(there: There, folder: Path, form: str = "safe") -> Path:
    """As DeBERTa-v3 lies on the hub: a SentencePiece model and no tokenizer.json."""
    there(DEBERTA, folder, form)
    tokenizer(folder)
    return folder


def tokenizer(folder: Path) -> None:
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter([*SENTENCES] * 4),
        model_prefix=str(folder / "spm"),
        vocab_size=380,
        hard_vocab_limit=False,
        pad_id=0,
        bos_id=1,
        eos_id=2,
        unk_id=3,
        pad_piece="[PAD]",
        bos_piece="[CLS]",
        eos_piece="[SEP]",
        unk_piece="[UNK]",
        minloglevel=2,
    )
    (folder / "spm.vocab").unlink()
    settings = {"tokenizer_class": "DebertaV2Tokenizer", "do_lower_case": False, "vocab_type": "spm"}
    (folder / "tokenizer_config.json").write_text(json.dumps(settings))


@pytest.fixture(scope="module")
def model(there: There, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return deberta(there, tmp_path_factory.mktemp("deberta"))


def scores(bundle: Path, texts: list[str]) -> np.ndarray:
    ours = Model.load(bundle)
    labels = Bundle.open(bundle).labels
    answers = [{entry["label"]: entry["score"] for entry in ours(text, {"top_k": 3})} for text in texts]
    return np.array([[answer[label] for label in labels] for answer in answers])


def test_deberta_from_end_to_end(
    interpreter: Path, there: There, model: Path, tmp_path: Path, told: Any
) -> None:
    bundle = apart.convert(model, tmp_path / "bundle", progress=told)
    opened = Bundle.open(bundle, verify="hashes")
    assert (opened.task, opened.engine, opened.precision) == ("text-classification", "onnx", "fp32")
    assert opened.parity["max_diff"] < 1e-4
    assert opened.parity["label_agreement"] == 1.0
    assert any("exporting" in stage for stage in told.stages)
    texts = list(SENTENCES[:10])
    theirs = np.array(json.loads(there(THEIRS, model, json.dumps(texts))))
    np.testing.assert_allclose(scores(bundle, texts), theirs, atol=1e-4)
    again = Model.load(bundle)(
        "The river rose.", {"candidate_labels": ["water", "money"]}, "zero-shot-classification"
    )
    assert sum(again["scores"]) == pytest.approx(1, abs=1e-5)


def test_eight_bits_and_the_same_bytes_again(interpreter: Path, model: Path, tmp_path: Path) -> None:
    digests = set()
    for name in "ab":
        bundle = apart.convert(model, tmp_path / name, precision="int8", name="nli")
        digests.add(Bundle.open(bundle).digest)
    assert len(digests) == 1
    opened = Bundle.open(bundle)
    assert opened.precision == "int8"
    assert opened.parity["clear_label_agreement"] >= 0.97
    assert opened.parity["fp32_max_diff"] < 1e-4


def test_weights_in_pickle_format_are_not_read(interpreter: Path, there: There, tmp_path: Path) -> None:
    folder = deberta(there, tmp_path / "model", form="pickle")
    assert (folder / "pytorch_model.bin").is_file()
    with pytest.raises(ConversionError) as caught:
        apart.convert(folder, tmp_path / "bundle")
    assert "transformers cannot load the model" in caught.value.message
    assert not (tmp_path / "bundle").exists()


@pytest.fixture
def with_code(interpreter: Path, there: There, tmp_path: Path) -> Path:
    """A repository whose code leaves a mark when it is imported."""
    folder = tmp_path / "own"
    there(OWN, folder)
    tokenizer(folder)
    config = json.loads((folder / "config.json").read_text())
    config |= {
        "model_type": "own",
        "architectures": ["OwnForSequenceClassification"],
        "auto_map": {
            "AutoConfig": "modeling_own.OwnConfig",
            "AutoModelForSequenceClassification": "modeling_own.OwnForSequenceClassification",
        },
    }
    (folder / "config.json").write_text(json.dumps(config))
    (folder / "modeling_own.py").write_text(CODE.replace("MARKER", str(tmp_path / "marker")))
    return folder


def test_code_of_a_repository_is_not_run(with_code: Path, tmp_path: Path) -> None:
    with pytest.raises(ConversionError) as caught:
        apart.convert(with_code, tmp_path / "bundle")
    assert not (tmp_path / "marker").exists()
    assert "trust" in caught.value.hint
    assert not (tmp_path / "bundle").exists()


def test_code_that_is_trusted_is_run_without_a_network_and_cannot_write(
    with_code: Path, tmp_path: Path
) -> None:
    """Where the system lets firstlight put up walls; the folder it may write to is gone afterwards."""
    code = (with_code / "modeling_own.py").read_text()
    tried = code.replace(f'Path("{tmp_path / "marker"}").write_text("run")', TRIED)
    (with_code / "modeling_own.py").write_text(tried)
    bundle = apart.convert(with_code, tmp_path / "bundle", trust_remote_code=True)
    assert Bundle.open(bundle).parity["max_diff"] < 1e-4
    assert len(Bundle.open(bundle).labels) == 2


TRIED = """
import os, socket
assert "HF_TOKEN" not in os.environ
try:
    socket.create_connection(("192.0.2.1", 80), timeout=5)
except OSError as error:
    assert error.errno in (101, 113) or "unreachable" in str(error), error
else:
    raise AssertionError("there is a network")
try:
    Path("/usr/firstlight-was-here").write_text("run")
except OSError:
    pass
else:
    raise AssertionError("the system can be written to")
"""


def test_an_architecture_nobody_knows(interpreter: Path, there: There, tmp_path: Path) -> None:
    there(OWN, tmp_path / "model")
    tokenizer(tmp_path / "model")
    config = json.loads((tmp_path / "model" / "config.json").read_text())
    config |= {"model_type": "quokka", "architectures": ["QuokkaForSequenceClassification"]}
    (tmp_path / "model" / "config.json").write_text(json.dumps(config))
    with pytest.raises(ConversionError) as caught:
        apart.convert(tmp_path / "model", tmp_path / "bundle")
    assert "quokka" in caught.value.message
    assert "newer than the pinned transformers" in caught.value.hint
