"""WordPiece from vocab.txt, one token a line: BERT's tokenizer and MPNet's."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors

from firstlight.build.convert.tokenizer import marked, special
from firstlight.runtime.errors import ConversionError

_BERT = {
    "unk_token": "[UNK]",
    "sep_token": "[SEP]",
    "pad_token": "[PAD]",
    "cls_token": "[CLS]",
    "mask_token": "[MASK]",
}
_MPNET = {
    "bos_token": "<s>",
    "eos_token": "</s>",
    "sep_token": "</s>",
    "cls_token": "<s>",
    "unk_token": "[UNK]",
    "pad_token": "<pad>",
    "mask_token": "<mask>",
}
KINDS: Mapping[str, Mapping[str, str]] = {
    **dict.fromkeys(
        ("BertTokenizer", "DistilBertTokenizer", "ElectraTokenizer", "MobileBertTokenizer"), _BERT
    ),
    **dict.fromkeys(("bert", "distilbert", "electra", "ernie", "mobilebert"), _BERT),
    **dict.fromkeys(("MPNetTokenizer", "mpnet"), _MPNET),
}
"""By ``tokenizer_class`` without ``Fast``, or ``model_type``: the special tokens where no file names them."""


def read(folder: Path, kind: str) -> Tokenizer:
    """The tokenizer of a folder that has no tokenizer.json.

    Raises:
        ConversionError: vocab.txt is missing or is no vocabulary of this kind.
    """
    usual = KINDS[kind]
    ids = _vocabulary(folder / "vocab.txt")
    unknown, (first, last) = marked.parts(folder, usual).get("unk_token", ""), marked.ends(folder, usual)
    missing = [text for text in (unknown, first, last) if text not in ids]
    if missing:
        raise ConversionError(f"{folder}/vocab.txt has no token {missing[0]!r}", "download it again")
    tokenizer = Tokenizer(models.WordPiece(ids, unk_token=unknown))
    found = special.settings(folder)
    tokenizer.normalizer = normalizers.BertNormalizer(
        clean_text=True,
        handle_chinese_chars=found.get("tokenize_chinese_chars") is not False,
        strip_accents=_choice(found.get("strip_accents")),
        lowercase=found.get("do_lower_case") is not False,
    )
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    between = f"{last}:0 {last}:0" if usual is _MPNET else f"{last}:0"
    tokenizer.post_processor = processors.TemplateProcessing(
        single=f"{first}:0 $A:0 {last}:0",
        pair=f"{first}:0 $A:0 {between} $B:1 {last}:1",
        special_tokens=[(first, ids[first]), (last, ids[last])],
    )
    tokenizer.decoder = decoders.WordPiece(prefix="##")
    marked.add(tokenizer, folder, usual, wide_mask=usual is _MPNET)
    return tokenizer


def _choice(found: object) -> bool | None:
    return found if isinstance(found, bool) else None


def _vocabulary(file: Path) -> dict[str, int]:
    """Token to line number; a token that stands there twice has its last one."""
    try:
        with file.open(encoding="utf-8") as opened:
            return {line.rstrip("\n"): number for number, line in enumerate(opened)}
    except FileNotFoundError:
        hint = "download vocab.txt too, or save the tokenizer with AutoTokenizer.from_pretrained(...).save_pretrained"
        raise ConversionError(f"{file.parent} has neither tokenizer.json nor vocab.txt", hint) from None
    except (OSError, UnicodeDecodeError) as error:
        raise ConversionError(f"{file} cannot be read: {error}", "download it again") from error
