"""Byte-level BPE from vocab.json and merges.txt, the files GPT-2 came with (BART and RoBERTa kept them)."""

from __future__ import annotations

from pathlib import Path

from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers, processors

from firstlight.build.convert.source import read_json
from firstlight.build.convert.tokenizer import marked, special
from firstlight.runtime.errors import ConversionError

_ANGLED = {
    "bos_token": "<s>",
    "eos_token": "</s>",
    "sep_token": "</s>",
    "cls_token": "<s>",
    "unk_token": "<unk>",
    "pad_token": "<pad>",
    "mask_token": "<mask>",
}
_AROUND = ("BartTokenizer", "bart", "RobertaTokenizer", "roberta", "data2vec-text", "roberta-prelayernorm")
KINDS = (*_AROUND, "GPT2Tokenizer", "gpt2")


def read(folder: Path, kind: str) -> Tokenizer:
    """The tokenizer of a folder that has no tokenizer.json.

    Raises:
        ConversionError: a file is missing, or the two do not belong together.
    """
    merges = folder / "merges.txt"
    if not merges.is_file():
        hint = "download merges.txt too, or save the tokenizer with AutoTokenizer.from_pretrained(...).save_pretrained"
        raise ConversionError(f"{folder} has neither tokenizer.json nor merges.txt", hint)
    ids = read_json(folder / "vocab.json", required=True)
    found = special.settings(folder)
    prefix = found.get("add_prefix_space") is True
    try:
        lines = merges.read_text(encoding="utf-8").splitlines()
        pairs = [
            (left, right)
            for line in lines
            if (left := line.partition(" ")[0]) and (right := line.partition(" ")[2])
        ]
        tokenizer = Tokenizer(models.BPE(ids, [pair for pair in pairs if not pair[0].startswith("#version")]))
    except Exception as error:  # tokenizers raises bare Exception
        raise ConversionError(f"vocab.json and merges.txt in {folder} do not fit: {error}") from error
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=prefix)
    tokenizer.decoder = decoders.ByteLevel()
    if kind not in _AROUND:
        tokenizer.post_processor = processors.ByteLevel(trim_offsets=False)
        parts = special.parts(folder, "gpt2")
        names = list(dict.fromkeys(text for text in parts.values() if text))
        tokenizer.add_special_tokens([AddedToken(name, special=True, normalized=False) for name in names])
        return tokenizer
    marked.add(tokenizer, folder, _ANGLED, wide_mask=True)
    first, last = ((text, tokenizer.token_to_id(text) or 0) for text in marked.ends(folder, _ANGLED))
    tokenizer.post_processor = processors.RobertaProcessing(
        last, first, trim_offsets=True, add_prefix_space=prefix
    )
    return tokenizer
