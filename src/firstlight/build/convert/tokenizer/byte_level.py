"""Byte-level BPE from vocab.json and merges.txt, the files GPT-2 came with (BART kept them)."""

from __future__ import annotations

from pathlib import Path

from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers, processors

from firstlight.build.convert.source import read_json
from firstlight.build.convert.tokenizer import special
from firstlight.runtime.errors import ConversionError

KINDS = ("BartTokenizer", "bart", "GPT2Tokenizer", "gpt2")


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
    parts = special.parts(folder, "bart" if kind.lower().startswith("bart") else "gpt2")
    names = list(dict.fromkeys(text for text in parts.values() if text))
    if kind.lower().startswith("bart"):
        names.append(special.text(found.get("mask_token")) or "<mask>")
        begin, end = parts["bos_token"] or "<s>", parts["eos_token"] or "</s>"
        tokenizer.post_processor = processors.RobertaProcessing(
            (end, ids.get(end, 2)), (begin, ids.get(begin, 0)), trim_offsets=True, add_prefix_space=prefix
        )
    else:
        tokenizer.post_processor = processors.ByteLevel(trim_offsets=False)
    tokenizer.add_special_tokens(
        [AddedToken(name, special=True, normalized=False, lstrip=name == "<mask>") for name in names]
    )
    return tokenizer
