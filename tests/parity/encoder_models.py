"""Small encoders of every family that is converted without torch, with random weights, as the hub keeps them."""

from __future__ import annotations

import json
import warnings
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import seq2seq_models as small
import torch
import transformers
from tokenizers import ByteLevelBPETokenizer

VOCABULARY = 500
HEADS = ("SequenceClassification", "TokenClassification", "QuestionAnswering", "MaskedLM", "Model")

_V3 = {
    "relative_attention": True, "position_buckets": 8, "share_att_key": True, "norm_rel_ebd": "layer_norm",
    "pos_att_type": ["p2c", "c2p"], "position_biased_input": False, "max_position_embeddings": 256,
}  # fmt: skip
VARIANTS: Mapping[str, tuple[str, Mapping[str, Any]]] = {
    "BERT": ("Bert", {}),
    "DistilBERT": ("DistilBert", {}),
    "RoBERTa": ("Roberta", {}),
    "XLM-RoBERTa": ("XLMRoberta", {}),
    "CamemBERT": ("Camembert", {}),
    "MPNet": ("MPNet", {}),
    "ELECTRA": ("Electra", {"embedding_size": 24}),
    "ELECTRA, one size": ("Electra", {"embedding_size": 64}),
    "ALBERT": ("Albert", {"embedding_size": 24}),
    "ALBERT, groups": (
        "Albert", {"embedding_size": 24, "num_hidden_layers": 4, "num_hidden_groups": 2, "inner_group_num": 2},
    ),
    "DeBERTa-v3": ("DebertaV2", _V3),
    "DeBERTa-v2": ("DebertaV2", _V3 | {"share_att_key": False, "conv_kernel_size": 3, "conv_act": "gelu"}),
    "DeBERTa, no buckets": (
        "DebertaV2",
        {"relative_attention": True, "pos_att_type": "c2p", "max_position_embeddings": 256, "type_vocab_size": 2},
    ),
    "DeBERTa, projected": (
        "DebertaV2", _V3 | {"embedding_size": 24, "position_buckets": 6, "max_relative_positions": 30},
    ),
    "DeBERTa, absolute": ("DebertaV2", {"max_position_embeddings": 256}),
    "ERNIE": ("Ernie", {"use_task_id": True}),
    "data2vec": ("Data2VecText", {}),
    "RoBERTa-PreLayerNorm": ("RobertaPreLayerNorm", {}),
}  # fmt: skip


def config(variant: str, head: str, activation: str = "gelu", size: int = VOCABULARY, labels: int = 5) -> Any:
    family, more = VARIANTS[variant]
    labels = 2 if head == "QuestionAnswering" else labels
    shared = {"vocab_size": size, "initializer_range": 0.2, "num_labels": labels} | more
    kind = getattr(transformers, f"{family}Config")
    if family == "DistilBert":
        return kind(dim=64, n_layers=3, n_heads=4, hidden_dim=128, activation=activation, **shared)
    sizes = {"hidden_size": 64, "num_hidden_layers": 3, "num_attention_heads": 4, "intermediate_size": 128}
    if family in ("Roberta", "XLMRoberta", "Camembert", "Data2VecText", "RobertaPreLayerNorm"):
        sizes |= {"type_vocab_size": 1, "max_position_embeddings": 258, "pad_token_id": 1}
    if family == "MPNet":
        sizes |= {"max_position_embeddings": 258}
    return kind(hidden_act=activation, **(sizes | shared))


def model(variant: str, head: str, activation: str = "gelu", size: int = VOCABULARY, labels: int = 5) -> Any:
    """A model whose biases and scales are not 0 and 1."""
    torch.manual_seed(7)
    name = VARIANTS[variant][0] + ("Model" if head == "Model" else f"For{head}")
    made = getattr(transformers, name)(config(variant, head, activation, size, labels)).eval()
    with torch.no_grad():
        for weight in made.parameters():
            if weight.ndim == 1:
                weight.add_(0.1 * torch.randn_like(weight))
    return made


def _words(folder: Path, first: list[str], last: list[str]) -> None:
    words = dict.fromkeys([*first, *small.corpus()[0].lower().split(), *_pieces(), *last])
    (folder / "vocab.txt").write_text("\n".join(words) + "\n", encoding="utf-8")


def _pieces() -> list[str]:
    """Whole words, and every character alone and as the end of a word."""
    letters = sorted({letter for text in small.texts() for letter in text.lower() if letter.strip()})
    whole = sorted({word.lower() for text in small.SENTENCES for word in text.split() if word.isalpha()})
    return [
        *letters,
        *(f"##{letter}" for letter in letters if letter.isalnum()),
        *whole,
        "##ing",
        "##ed",
        "##s",
    ]


def _bert(folder: Path, kind: str = "BertTokenizer", **more: Any) -> None:
    _words(folder, ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"], [])
    getattr(transformers, kind)(str(folder / "vocab.txt"), **more).save_pretrained(folder)


def _mpnet(folder: Path) -> None:
    _words(folder, ["<s>", "<pad>", "</s>", "<unk>"], ["[UNK]", "<mask>"])
    transformers.MPNetTokenizer(str(folder / "vocab.txt")).save_pretrained(folder)


def _roberta(folder: Path, **more: Any) -> None:
    trained = ByteLevelBPETokenizer()
    special = ["<s>", "<pad>", "</s>", "<unk>", "<mask>"]
    trained.train_from_iterator(small.corpus(), vocab_size=900, special_tokens=special, show_progress=False)
    trained.save_model(str(folder))
    files = str(folder / "vocab.json"), str(folder / "merges.txt")
    transformers.RobertaTokenizer(*files, **more).save_pretrained(folder)


def _pieced(folder: Path, kind: str, file: str, own: Mapping[str, Any], more: Mapping[str, Any]) -> None:
    small.train(folder / file, **own)
    made = getattr(transformers, kind)(str(folder / file), **more)
    made.save_pretrained(folder)


_ALBERT = {
    "pad_id": 0, "unk_id": 1, "bos_id": -1, "eos_id": -1, "pad_piece": "<pad>", "size": 1000,
    "control_symbols": ["[CLS]", "[SEP]", "[MASK]"],
}  # fmt: skip
_DEBERTA = {
    "pad_id": 0, "bos_id": 1, "eos_id": 2, "unk_id": 3, "pad_piece": "[PAD]", "bos_piece": "[CLS]",
    "eos_piece": "[SEP]", "unk_piece": "[UNK]", "size": 1000,
}  # fmt: skip
_BPE_FILE = "sentencepiece.bpe.model"

TOKENIZERS: Mapping[str, tuple[str, Callable[[Path], None]]] = {
    "bert": ("bert", _bert),
    "bert-cased": ("bert", lambda folder: _bert(folder, do_lower_case=False)),
    "bert-accents": ("bert", lambda folder: _bert(folder, strip_accents=False)),
    "bert-whole-chinese": ("bert", lambda folder: _bert(folder, tokenize_chinese_chars=False)),
    "bert-own-tokens": (
        "bert", lambda folder: _bert(folder, additional_special_tokens=["[E1]", "[/E1]"], mask_token="[MASK]"),
    ),
    "distilbert": ("distilbert", lambda folder: _bert(folder, "DistilBertTokenizer")),
    "electra": ("electra", lambda folder: _bert(folder, "ElectraTokenizer")),
    "mpnet": ("mpnet", _mpnet),
    "roberta": ("roberta", _roberta),
    "roberta-prefix": ("roberta", lambda folder: _roberta(folder, add_prefix_space=True)),
    "albert": ("albert", lambda folder: _pieced(folder, "AlbertTokenizer", "spiece.model", _ALBERT, {})),
    "albert-cased": (
        "albert",
        lambda folder: _pieced(
            folder, "AlbertTokenizer", "spiece.model", _ALBERT, {"do_lower_case": False, "keep_accents": True}
        ),
    ),
    "xlm-roberta": ("xlm-roberta", lambda folder: _pieced(folder, "XLMRobertaTokenizer", _BPE_FILE, {}, {})),
    "camembert": ("camembert", lambda folder: _pieced(folder, "CamembertTokenizer", _BPE_FILE, {}, {})),
    "deberta-v2": (
        "deberta-v2", lambda folder: _pieced(folder, "DebertaV2Tokenizer", "spm.model", _DEBERTA, {}),
    ),
    "deberta-v2-lower": (
        "deberta-v2",
        lambda folder: _pieced(
            folder, "DebertaV2Tokenizer", "spm.model", _DEBERTA, {"do_lower_case": True, "split_by_punct": True}
        ),
    ),
}  # fmt: skip


def tokenizer(folder: Path, name: str, files: str = "now") -> Any:
    """Write a tokenizer without tokenizer.json and return transformers' own of that folder.

    Args:
        files: ``now`` as transformers writes them, ``once`` as it did before 2023, ``bare`` for the vocabulary alone.
    """
    folder.mkdir(parents=True, exist_ok=True)
    model_type, write = TOKENIZERS[name]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        write(folder)
        settings = folder / "tokenizer_config.json"
        if files == "once":
            found = json.loads(settings.read_text())
            added = found.pop("added_tokens_decoder")
            settings.write_text(json.dumps(found))
            ids = {token["content"]: int(number) for number, token in added.items()}
            size = _size(folder)
            (folder / "added_tokens.json").write_text(json.dumps({t: n for t, n in ids.items() if n >= size}))
        elif files == "bare":
            for name in ("tokenizer_config.json", "special_tokens_map.json", "added_tokens.json"):
                (folder / name).unlink(missing_ok=True)
        (folder / "config.json").write_text(json.dumps({"model_type": model_type}))
        return transformers.AutoTokenizer.from_pretrained(folder)


def _size(folder: Path) -> int:
    """Tokens of the vocabulary itself; of other files than vocab.txt no token is added behind."""
    file = folder / "vocab.txt"
    return len(file.read_text(encoding="utf-8").splitlines()) if file.is_file() else 1000
