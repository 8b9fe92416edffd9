"""Encoders whose vocabulary is a SentencePiece file: ALBERT, XLM-RoBERTa, CamemBERT, DeBERTa-v2.

The pieces are cut as transformers' fast tokenizers of these families cut them (``convert_slow_tokenizer.py``, 4.57):
published tokenizer.json files of these models were made by that, and theirs are the ids that ``pipeline`` gives a
model. ``pieces`` follows SentencePiece itself instead, as the tokenizers of encoder-decoders do.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from tokenizers import AddedToken, Regex, Tokenizer, decoders, normalizers, pre_tokenizers, processors

from firstlight.build.convert.tokenizer import marked, pieces, sentencepiece, special
from firstlight.build.convert.tokenizer.pieces import Layout
from firstlight.build.convert.tokenizer.sentencepiece import CONTROL, USER_DEFINED, SentencePieces
from firstlight.runtime.errors import ConversionError

Entries = list[tuple[str, float]]
Steps = list[normalizers.Normalizer]

_BRACKETS = {"bos_token": "[CLS]", "eos_token": "[SEP]", "sep_token": "[SEP]", "cls_token": "[CLS]"}
_ALBERT = {**_BRACKETS, "unk_token": "<unk>", "pad_token": "<pad>", "mask_token": "[MASK]"}
_DEBERTA = {**_BRACKETS, "unk_token": "[UNK]", "pad_token": "[PAD]", "mask_token": "[MASK]"}
_FAIRSEQ = {
    "bos_token": "<s>",
    "eos_token": "</s>",
    "sep_token": "</s>",
    "cls_token": "<s>",
    "unk_token": "<unk>",
    "pad_token": "<pad>",
    "mask_token": "<mask>",
}
_UNUSED = ("<s>NOTUSED", "</s>NOTUSED", "<unk>NOTUSED")
_NEVER = 100.0
"""What a piece's score is lowered by so that others are preferred."""


@dataclass(frozen=True, slots=True)
class Kind:
    """How one family's tokenizer is made of its file.

    Attributes:
        file: its name.
        usual: special tokens where no file names them.
        entries: text and score by id.
        unknown: id of what no piece covers; None is the file's.
        before: what a text goes through before the file's own replacements.
        after: and after them.
        pair: the template of two texts, with ``{c}`` and ``{s}`` for the tokens around them.
        wide_mask: a mask takes the space before it.
        more: special tokens without a part.
    """

    file: str
    usual: Mapping[str, str]
    entries: Callable[[SentencePieces], Entries]
    unknown: int | None
    before: Callable[[Mapping[str, Any]], Steps]
    after: Callable[[], Steps]
    pair: str
    wide_mask: bool = True
    more: tuple[str, ...] = ()


def read(folder: Path, kind: str) -> Tokenizer:
    """The tokenizer of a folder that has no tokenizer.json.

    Raises:
        ConversionError: the file is missing or is not of this family.
    """
    asked, found = KINDS[kind], special.settings(folder)
    file = folder / asked.file
    if not file.is_file():
        hint = f"download {file.name} too, or save the tokenizer with AutoTokenizer.from_pretrained(...)"
        raise ConversionError(f"{folder} has neither tokenizer.json nor {file.name}", hint)
    model = replace(sentencepiece.read(file), byte_fallback=False)
    entries = asked.entries(model)
    unknown = model.unknown if asked.unknown is None else asked.unknown
    tokenizer = Tokenizer(pieces.cutting(model, Layout(entries, unknown)))
    charsmap = [normalizers.Precompiled(model.charsmap)] if model.charsmap else []
    tokenizer.normalizer = normalizers.Sequence([*asked.before(found), *charsmap, *asked.after()])
    spaces = pre_tokenizers.Metaspace(prepend_scheme="always")
    alone = [pre_tokenizers.Punctuation(behavior="isolated")] if found.get("split_by_punct") is True else []
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([*alone, spaces]) if alone else spaces
    tokenizer.decoder = decoders.Metaspace(prepend_scheme="always")
    own = [piece.text for piece in model.pieces if piece.kind in (CONTROL, USER_DEFINED)]
    tokenizer.add_tokens([AddedToken(text, normalized=False) for text in own])
    first, last = marked.ends(folder, asked.usual)
    behind = marked.listed(folder, {first, last})
    missing = [text for text in (first, last) if tokenizer.token_to_id(text) is None and text not in behind]
    if missing:
        raise ConversionError(
            f"{file} has no token {missing[0]!r}", "it is of another model; download it again"
        )
    marked.add(tokenizer, folder, asked.usual, asked.wide_mask, asked.more)
    tokenizer.post_processor = processors.TemplateProcessing(
        single=f"{first}:0 $A:0 {last}:0",
        pair=asked.pair.format(c=first, s=last),
        special_tokens=[(text, tokenizer.token_to_id(text)) for text in (first, last)],
    )
    return tokenizer


def _plain(model: SentencePieces) -> Entries:
    return [(piece.text, piece.score) for piece in model.pieces]


def _albert_pieces(model: SentencePieces) -> Entries:
    """A number with the comma behind it is not one piece."""
    return [
        (text, score - _NEVER) if len(text) > 1 and text[-1] == "," and text[-2].isdigit() else (text, score)
        for text, score in _plain(model)
    ]


def _xlm_pieces(model: SentencePieces) -> Entries:
    first = [(text, 0.0) for text in ("<s>", "<pad>", "</s>", "<unk>")]
    return [*first, *_plain(model)[3:], ("<mask>", 0.0)]


def _camembert_pieces(model: SentencePieces) -> Entries:
    first = [(text, 0.0) for text in ("<s>NOTUSED", "<pad>", "</s>NOTUSED", "<unk>")]
    return [*first, ("<unk>NOTUSED", -_NEVER), *_plain(model)[1:], ("<mask>", 0.0)]


def _albert_text(found: Mapping[str, Any]) -> Steps:
    steps: Steps = [normalizers.Replace("``", '"'), normalizers.Replace("''", '"')]
    if found.get("keep_accents") is not True:
        steps += [normalizers.NFKD(), normalizers.StripAccents()]
    return [*steps, normalizers.Lowercase()] if found.get("do_lower_case") is not False else steps


def _deberta_text(found: Mapping[str, Any]) -> Steps:
    lower: Steps = [normalizers.Lowercase()] if found.get("do_lower_case") is True else []
    return [*lower, normalizers.Strip()]


def _single_spaces() -> Steps:
    return [normalizers.Replace(Regex(" {2,}"), " ")]


def _fairseq_spaces() -> Steps:
    return [normalizers.Strip(left=False, right=True), normalizers.Replace(Regex(" {2,}"), "\u2581")]


_ONE_BETWEEN = "{c}:0 $A:0 {s}:0 $B:1 {s}:1"
_TWO_BETWEEN = "{c}:0 $A:0 {s}:0 {s}:0 $B:0 {s}:0"
_ALBERT_KIND = Kind("spiece.model", _ALBERT, _albert_pieces, None, _albert_text, _single_spaces, _ONE_BETWEEN)
_XLM_KIND = Kind(
    "sentencepiece.bpe.model", _FAIRSEQ, _xlm_pieces, 3, lambda _: [], _fairseq_spaces, _TWO_BETWEEN
)
_CAMEMBERT_KIND = replace(_XLM_KIND, entries=_camembert_pieces, more=_UNUSED)
_DEBERTA_KIND = Kind(
    "spm.model", _DEBERTA, _plain, None, _deberta_text, _single_spaces, _ONE_BETWEEN, wide_mask=False
)
KINDS: Mapping[str, Kind] = {
    "AlbertTokenizer": _ALBERT_KIND,
    "albert": _ALBERT_KIND,
    "XLMRobertaTokenizer": _XLM_KIND,
    "xlm-roberta": _XLM_KIND,
    "CamembertTokenizer": _CAMEMBERT_KIND,
    "camembert": _CAMEMBERT_KIND,
    "DebertaV2Tokenizer": _DEBERTA_KIND,
    "deberta-v2": _DEBERTA_KIND,
}
"""By ``tokenizer_class`` without ``Fast``, or ``model_type``."""
