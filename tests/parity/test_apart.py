"""Encoders exported by PyTorch against transformers: every family that is promised, every head."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import random_bert
import torch
import transformers
from tokenizers import Tokenizer

from firstlight.build.convert import apart, parity, ready
from firstlight.build.convert.apart import export
from firstlight.build.convert.sentences import PAIRS, SENTENCES
from firstlight.runtime.bundle import Bundle
from firstlight.runtime.errors import ConversionError
from firstlight.runtime.model import Model

EXACT = 1e-4
VOCABULARY = len(random_bert.WORDS)
HEADS = {
    "text-classification": "ForSequenceClassification",
    "token-classification": "ForTokenClassification",
    "question-answering": "ForQuestionAnswering",
    "fill-mask": "ForMaskedLM",
    "feature-extraction": "Model",
}
SIZES = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 64}
PADDED_FIRST = {"type_vocab_size": 1, "max_position_embeddings": 514, "pad_token_id": 1}
DEBERTA = {
    "relative_attention": True,
    "position_buckets": 32,
    "norm_rel_ebd": "layer_norm",
    "share_att_key": True,
    "pos_att_type": ["p2c", "c2p"],
    "position_biased_input": False,
    "type_vocab_size": 0,
    "max_relative_positions": -1,
}
FAMILIES: dict[str, dict[str, Any]] = {
    "Bert": {},
    "DistilBert": {"dim": 32, "n_layers": 2, "n_heads": 4, "hidden_dim": 64},
    "Roberta": PADDED_FIRST,
    "XLMRoberta": PADDED_FIRST,
    "MPNet": {"max_position_embeddings": 514, "pad_token_id": 1},
    "DebertaV2": DEBERTA,
    "Deberta": DEBERTA | {"position_buckets": -1},
    "Electra": {"embedding_size": 16},
    "Albert": {"embedding_size": 16},
    "Bart": {
        "d_model": 32,
        "encoder_layers": 2,
        "decoder_layers": 2,
        "encoder_attention_heads": 4,
        "decoder_attention_heads": 4,
        "encoder_ffn_dim": 64,
        "decoder_ffn_dim": 64,
        "pad_token_id": 0,
        "bos_token_id": 2,
        "eos_token_id": 3,
        "decoder_start_token_id": 3,
        "forced_eos_token_id": 3,
    },
    "ModernBert": {
        "global_attn_every_n_layers": 2,
        "local_attention": 16,
        "reference_compile": False,
        "pad_token_id": 0,
    },
}


WITHOUT = {("Bart", "token-classification"), ("Bart", "fill-mask")}
"""Heads that transformers does not have."""


def fast() -> Any:
    """A WordPiece tokenizer of letters, in the class that is read as it is whatever the model."""
    written = random_bert.tokenizer() | {"padding": None, "truncation": None}
    names = {"pad_token": "[PAD]", "unk_token": "[UNK]", "cls_token": "[CLS]", "sep_token": "[SEP]"}
    return transformers.PreTrainedTokenizerFast(
        tokenizer_object=Tokenizer.from_str(json.dumps(written)),
        model_max_length=512,
        mask_token="[MASK]",
        **names,
    )


def saved(folder: Path, family: str, head: str) -> Any:
    """A model with random weights, as the hub keeps it."""
    torch.manual_seed(11)
    tokenizer = fast()
    sizes = {} if family in ("Bart", "DistilBert") else SIZES
    labels = {} if head == "question-answering" else {"num_labels": 4}
    kind = getattr(transformers, f"{family}Config")
    config = kind(vocab_size=VOCABULARY, **sizes, **FAMILIES[family], **labels)
    setattr(config, "init_std" if family == "Bart" else "initializer_range", 0.3)
    model = getattr(transformers, family + HEADS[head])(config).eval()
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return model


def exported(folder: Path, head: str, out: Path) -> None:
    """What the script does, in this process, where PyTorch is loaded already."""
    out.mkdir()
    texts = [list(text) if isinstance(text, tuple) else text for text in parity.texts(head)]
    wish = {
        "model": str(folder),
        "head": head,
        "texts": texts,
        "longest": 300,
        "trust": False,
        "out": str(out),
    }
    export.main(wish)


def theirs(model: Any, head: str, ids: np.ndarray, kinds: np.ndarray) -> dict[str, np.ndarray]:
    """What transformers gives for a row."""
    given = {
        "input_ids": torch.tensor(ids[None]),
        "attention_mask": torch.ones(1, len(ids), dtype=torch.int64),
    }
    if getattr(model.config, "type_vocab_size", 0) > 1:
        given["token_type_ids"] = torch.tensor(kinds[None])
    with torch.inference_mode():
        output = model(**given)
    if head == "question-answering":
        return {"start_logits": output.start_logits.numpy(), "end_logits": output.end_logits.numpy()}
    if head == "fill-mask":
        return {"scores": output.logits[0, [1, len(ids) - 2]].softmax(-1).numpy()}
    if head == "feature-extraction":
        return {"last_hidden_state": output.last_hidden_state.numpy()}
    return {"logits": output.logits.numpy(), "scores": output.logits.softmax(-1).numpy()}


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(
    ("family", "head"), [(f, h) for f in FAMILIES for h in HEADS if (f, h) not in WITHOUT]
)
def test_the_graph_equals_the_model(tmp_path: Path, family: str, head: str) -> None:
    model = saved(tmp_path / "model", family, head)
    exported(tmp_path / "model", head, tmp_path / "out")
    found = ready.files.Files(tmp_path / "out" / "model.onnx", None, tmp_path / "model")
    golden = _golden(tmp_path)
    bundle = ready.made(found, tmp_path / "bundle", golden=golden)
    assert Bundle.open(bundle).parity["max_diff"] < EXACT
    assert Bundle.open(bundle).task == head
    random = np.random.default_rng(4)
    for length in (2, 3, 17, 130):
        ids = random.integers(5, VOCABULARY, length)
        ids[-1] = 3  # the token that ends a text, which BART looks for
        kinds = (np.arange(length) > length // 2).astype(np.int64)
        masks = np.array([1, length - 2])
        feed = {"input_ids": ids, "token_type_ids": kinds, "mask_positions": masks}
        ours = parity.run(bundle / ready.GRAPH, [feed])[0]
        for name, wanted in theirs(model, head, ids, kinds).items():
            np.testing.assert_allclose(ours[name], wanted, atol=EXACT, err_msg=f"{name}, {length} tokens")


def _golden(folder: Path) -> Any:
    from firstlight.build.convert.apart.exporting import Export

    run = Export(Path(sys.executable), folder, trust=False)
    run.home = folder / "model"
    return run.golden()


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("family", ["Bert", "DebertaV2"])
def test_eight_bits(tmp_path: Path, family: str) -> None:
    """Within the limits of parity, and of the same bytes when made again."""
    saved(tmp_path / "model", family, "token-classification")
    exported(tmp_path / "model", "token-classification", tmp_path / "out")
    found = ready.files.Files(tmp_path / "out" / "model.onnx", None, tmp_path / "model")
    bundles = [ready.made(found, tmp_path / name, precision="int8") for name in "ab"]
    first, second = (Bundle.open(bundle) for bundle in bundles)
    assert first.precision == "int8"
    assert first.parity["clear_label_agreement"] >= 0.97
    assert first.digest == second.digest


@pytest.mark.filterwarnings("ignore")
def test_the_whole_way(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """By the script in a process of its own, and answers like those of a pipeline."""
    monkeypatch.setenv("FIRSTLIGHT_CONVERT_PYTHON", sys.executable)
    saved(tmp_path / "model", "DebertaV2", "text-classification")
    bundle = apart.convert(tmp_path / "model", tmp_path / "bundle", name="mood")
    pipeline = transformers.pipeline("text-classification", str(tmp_path / "model"), top_k=None)
    ours = Model.load(bundle)
    for text in SENTENCES[:12]:
        wanted = {entry["label"]: entry["score"] for entry in pipeline([text])[0]}
        got = {entry["label"]: entry["score"] for entry in ours(text, {"top_k": 4})}
        assert got == pytest.approx(wanted, abs=EXACT)
    assert Bundle.open(bundle).name == "mood"


@pytest.mark.filterwarnings("ignore")
def test_what_is_off_is_refused(tmp_path: Path) -> None:
    """A length that was written into the graph shows on the longest text, another model on every one."""
    saved(tmp_path / "model", "Bert", "question-answering")
    exported(tmp_path / "model", "question-answering", tmp_path / "out")
    found = ready.files.Files(tmp_path / "out" / "model.onnx", None, tmp_path / "model")
    golden = _golden(tmp_path)
    golden.outputs[3]["start_logits"] += 3e-2
    with pytest.raises(ConversionError, match="gives other numbers than its source"):
        ready.made(found, tmp_path / "bundle", golden=golden)
    assert not (tmp_path / "bundle" / "bundle.json").exists()
    assert len(golden.outputs) == len(PAIRS) + 1


@pytest.mark.filterwarnings("ignore")
def test_weights_that_lack_a_head(tmp_path: Path) -> None:
    """transformers would make the missing ones up."""
    saved(tmp_path / "model", "Bert", "feature-extraction")
    config = json.loads((tmp_path / "model" / "config.json").read_text())
    config["architectures"] = ["BertForSequenceClassification"]
    (tmp_path / "model" / "config.json").write_text(json.dumps(config))
    with pytest.raises(export.Failed, match=r"the weights lack classifier\.bias, classifier\.weight"):
        exported(tmp_path / "model", "text-classification", tmp_path / "out")
