"""What stands at each id of the vocabularies that come as SentencePiece files, family by family.

Sources: the tokenizers of transformers 4.57 (``tokenization_t5.py``, ``_pegasus``, ``_mbart``, ``_mbart50``, ``_nllb``,
``_m2m_100``, ``_marian``), which is where the ids of published models come from.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from firstlight.build.convert.source import read_json
from firstlight.build.convert.tokenizer import languages, pieces, sentencepiece, special
from firstlight.build.convert.tokenizer.pieces import Layout
from firstlight.build.convert.tokenizer.sentencepiece import SentencePieces
from firstlight.runtime.errors import ConversionError

_FAIRSEQ = ["<s>", "<pad>", "</s>", "<unk>"]
_END = "</s>"


@dataclass(frozen=True, slots=True)
class Family:
    """The SentencePiece file of a model, and what its ids are.

    Attributes:
        model: cuts the texts that go in.
        layout: numbers its pieces.
        source, target: tokens by id as the model knows them, going in and coming out.
        silent: tokens that are no part of decoded text.
    """

    model: SentencePieces
    layout: Layout
    source: list[str]
    target: list[str]
    silent: Collection[str] = ()


def read(folder: Path, kind: str) -> Family:
    """The vocabulary of a folder that has no tokenizer.json.

    Args:
        kind: ``tokenizer_class`` of transformers without ``Fast``, or the ``model_type``.

    Raises:
        ConversionError: a file is missing or wrong.
    """
    return KINDS[kind](folder)


def _same(folder: Path, model: SentencePieces, layout: Layout, usual: Sequence[str] = ()) -> Family:
    """A model with one vocabulary.

    Args:
        usual: tokens that follow the entries where the folder does not say which do.
    """
    layout = replace(layout, added=special.added(folder, len(layout.entries)) or list(dict.fromkeys(usual)))
    tokens = [*(text for text, _ in layout.entries), *layout.added]
    return Family(model, layout, tokens, tokens)


def _t5(folder: Path) -> Family:
    model = sentencepiece.read(_file(folder, "spiece.model"))
    count = special.settings(folder).get("extra_ids", 100)
    extra = [f"<extra_id_{number}>" for number in range(count - 1, -1, -1)] if isinstance(count, int) else []
    entries = [*pieces.entries(model), *((text, 0.0) for text in extra)]
    layout = Layout(entries, model.unknown, ["<pad>", _END, "<unk>", *extra], after=[_END])
    return _same(folder, model, layout)


def _pegasus(folder: Path) -> Family:
    model = sentencepiece.read(_file(folder, "spiece.model"))
    found = special.settings(folder)
    offset = int(found.get("offset", 103))
    first = ["<pad>", _END]
    if found.get("mask_token_sent", "<mask_1>") is not None:
        first += [
            special.text(found.get("mask_token_sent", "<mask_1>")) or "<mask_1>",
            special.text(found.get("mask_token", "<mask_2>")) or "<mask_2>",
        ]
    first += [f"<unk_{number}>" for number in range(2, offset)]
    first = first[: 2 + offset]
    entries = [*((text, 0.0) for text in first), *pieces.entries(model)[2:]]
    layout = Layout(entries, model.unknown + offset, [*first, "<unk>"], after=[_END], words=True)
    return _same(folder, model, layout)


def _fairseq(folder: Path, after_pieces: list[str]) -> tuple[SentencePieces, list[tuple[str, float]]]:
    """Four tokens in front of the pieces, whose own first three are other ones."""
    model = sentencepiece.read(_file(folder, "sentencepiece.bpe.model"))
    first = [(text, 0.0) for text in _FAIRSEQ]
    return model, [*first, *pieces.entries(model)[3:], *((text, 0.0) for text in after_pieces)]


def _mbart(folder: Path) -> Family:
    model, entries = _fairseq(folder, [*languages.MBART, "<mask>"])
    own = special.text(special.settings(folder).get("src_lang")) or "en_XX"
    marked = [*_FAIRSEQ, *languages.MBART, "<mask>"]
    return _same(folder, model, Layout(entries, 3, marked, after=[_END, own]))


def _mbart50(folder: Path) -> Family:
    model, entries = _fairseq(folder, [*languages.MBART50, "<mask>"])
    own = special.text(special.settings(folder).get("src_lang")) or "en_XX"
    marked = [*_FAIRSEQ, *languages.MBART50, "<mask>"]
    return _same(folder, model, Layout(entries, 3, marked, before=[own], after=[_END]))


def _nllb(folder: Path) -> Family:
    model, entries = _fairseq(folder, [])
    codes = special.additional(folder) or languages.NLLB
    own = special.text(special.settings(folder).get("src_lang")) or "eng_Latn"
    layout = Layout(entries, 3, _FAIRSEQ, before=[own], after=[_END])
    return _same(folder, model, layout, [*codes, "<mask>"])


def _m2m100(folder: Path) -> Family:
    model = sentencepiece.read(_file(folder, "sentencepiece.bpe.model"))
    ids = _ids(_file(folder, "vocab.json"))
    marked = [token for token in _FAIRSEQ if token in ids]
    entries, size = pieces.numbered(model, ids, marked)
    usual = special.additional(folder) or [f"__{code}__" for code in languages.M2M100]
    added = special.added(folder, size) or usual
    own = special.text(special.settings(folder).get("src_lang")) or "en"
    tokens = [*_by_id(ids), *added]
    if len(entries) > size:
        # Languages come directly behind the vocabulary; pieces it lacks must not stand there.
        entries = [*entries[:size], *((text, 0.0) for text in added), *entries[size:]]
        marked, size, added = [*marked, *added], size + len(added), []
    layout = Layout(entries, ids["<unk>"], marked, added, [f"__{own}__"], [_END], size=size)
    return Family(model, layout, tokens, tokens, {*marked, *added})


def _marian(folder: Path) -> Family:
    model = sentencepiece.read(_file(folder, "source.spm"))
    ids = _ids(_file(folder, "vocab.json"))
    codes = [token for token in ids if token.startswith(">>") and token.endswith("<<")]
    marked = [token for token in (_END, "<unk>", "<pad>", *codes) if token in ids]
    entries, size = pieces.numbered(model, ids, marked)
    source = target = _by_id(ids)
    if special.settings(folder).get("separate_vocabs") is True:
        target = _by_id(_ids(_file(folder, "target_vocab.json")))
    layout = Layout(entries, ids["<unk>"], marked, after=[_END], size=size)
    return Family(model, layout, source, target, (_END, "<unk>", "<pad>"))


KINDS: Mapping[str, Callable[[Path], Family]] = {
    "T5Tokenizer": _t5,
    "t5": _t5,
    "mt5": _t5,
    "PegasusTokenizer": _pegasus,
    "pegasus": _pegasus,
    "MBartTokenizer": _mbart,
    "mbart": _mbart,
    "MBart50Tokenizer": _mbart50,
    "NllbTokenizer": _nllb,
    "M2M100Tokenizer": _m2m100,
    "m2m_100": _m2m100,
    "MarianTokenizer": _marian,
    "marian": _marian,
}


def _file(folder: Path, name: str) -> Path:
    if not (folder / name).is_file():
        hint = f"download {name} too, or save the tokenizer with AutoTokenizer.from_pretrained(...).save_pretrained"
        raise ConversionError(f"{folder} has neither tokenizer.json nor {name}", hint)
    return folder / name


def _ids(file: Path) -> dict[str, int]:
    """A vocabulary file: token to id, each id once."""
    found: dict[str, Any] = read_json(file, required=True)
    if "<unk>" not in found or not all(type(number) is int for number in found.values()):
        raise ConversionError(f"{file} is not a vocabulary: <unk> or an id is missing", "download it again")
    if (
        len(set(found.values())) != len(found)
        or min(found.values()) < 0
        or max(found.values()) > 4 * len(found)
    ):
        raise ConversionError(f"{file} does not number its {len(found)} tokens", "download it again")
    return found


def _by_id(ids: Mapping[str, int]) -> list[str]:
    tokens = [f"<unused_{number}>" for number in range(max(ids.values()) + 1)]
    for text, number in ids.items():
        tokens[number] = text
    return tokens


def written(family: Family, first: int) -> str:
    """The file of what comes out of a model (see ``runtime.tokenizers.two_sided``)."""
    content = {
        "tokens": family.target,
        "special": [number for number, token in enumerate(family.target, first) if token in family.silent],
        "first": first,
        "shared": family.target is family.source,
    }
    return json.dumps(content, ensure_ascii=False, separators=(",", ":"))
