"""The tokenizer of a model folder as tokenizer.json: copied, or made of the files an older tokenizer came with."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tokenizers import Tokenizer

from firstlight.build import bundle
from firstlight.build.convert.source import read_json
from firstlight.build.convert.tokenizer import byte_level, families, pieces, special, unigram, wordpiece
from firstlight.runtime.errors import ConversionError

FILE, TARGET = "tokenizer.json", "target.json"
_ANY = ("PreTrainedTokenizer", "TokenizersBackend")
"""Classes that are read from tokenizer.json whatever is in it, and so say nothing."""


@dataclass(frozen=True, slots=True)
class Vocabulary:
    """The tokens of a model by id.

    Attributes:
        source, target: going in and coming out; the same list for most models.
        own: how many of them the tokenizer itself numbers; what follows was added to it.
        marked: those that are read as such wherever a text has them, such as languages.
        parts: ``bos_token``, ``eos_token``, ``unk_token``, ``pad_token``.
        settings: what bundle.json says under ``tokenizer``; empty where ``bundle.write`` finds it.
    """

    source: list[str]
    target: list[str]
    own: int
    marked: frozenset[str]
    parts: Mapping[str, str | None]
    settings: Mapping[str, Any] = field(default_factory=dict)


def write(folder: Path, out: Path, model_type: str) -> None:
    """Write the tokenizer.json of an encoder.

    Args:
        folder: as the hub keeps it, with tokenizer.json, vocab.txt, vocab.json and merges.txt, or a SentencePiece file.
        out: the bundle's folder.
        model_type: as in config.json.

    Raises:
        ConversionError: a file is missing or wrong, or the kind of tokenizer is not known here.
    """
    if (folder / FILE).is_file():
        bundle.add_tokenizer(folder, out)
        return
    readers = (wordpiece, unigram, byte_level)
    kind = _kind(folder, model_type, {kind for reader in readers for kind in reader.KINDS})
    reader = next(reader for reader in readers if kind in reader.KINDS)
    _save(reader.read(folder, kind), out)


def add(folder: Path, out: Path, model_type: str, tokens: bool = True) -> Vocabulary:
    """Write tokenizer.json, and target.json for a model whose answers have a vocabulary of their own.

    Args:
        folder: as the hub keeps it, with tokenizer.json, or SentencePiece files, or vocab.json and merges.txt.
        out: the bundle's folder.
        model_type: as in config.json.
        tokens: the engine speaks tokens; one that speaks ids needs those of an answer as the model numbers them.

    Raises:
        ConversionError: a file is missing or wrong, or the kind of tokenizer is not known here.
    """
    parts = special.parts(folder, model_type)
    if (folder / FILE).is_file():
        bundle.add_tokenizer(folder, out)
        return _read(out, parts)
    kind = _kind(folder, model_type, {*families.KINDS, *byte_level.KINDS})
    if kind in byte_level.KINDS:
        _save(byte_level.read(folder, kind), out)
        return _read(out, parts)
    family = families.read(folder, kind)
    layout = family.layout
    _save(pieces.of_pieces(family.model, layout), out)
    size = layout.size if layout.size is not None and layout.size < len(layout.entries) else None
    spelt = [text for text, _ in layout.entries[: layout.size]] + list(layout.added)
    settings: dict[str, Any] = {}
    if size is not None:
        settings |= {"size": size, "unknown": layout.unknown}
    if family.target != spelt:
        first = len(family.source) if tokens and family.target is not family.source else 0
        text = families.written(family, first)
        (out / TARGET).write_text(text, encoding="utf-8")
        settings["target"] = TARGET
    if settings:
        settings.setdefault("unknown", layout.unknown)
        settings |= {"kind": "tokenizers", "file": FILE}
    own, marked = len(family.source) - len(layout.added), frozenset([*layout.special, *layout.added])
    return Vocabulary(family.source, family.target, own, marked, parts, settings)


def _kind(folder: Path, model_type: str, known: Collection[str]) -> str:
    """The class of the tokenizer where the folder names one, otherwise the type of the model."""
    for found in (special.settings(folder), read_json(folder / "config.json")):
        name = str(found.get("tokenizer_class") or "").removesuffix("Fast")
        if name in known:
            return name
        if name and name not in _ANY:
            hint = "save the tokenizer with AutoTokenizer.from_pretrained(...).save_pretrained(folder)"
            raise ConversionError(f"{folder} has no tokenizer.json, and its files are for a {name}", hint)
    if model_type in known:
        return model_type
    hint = "save the tokenizer with AutoTokenizer.from_pretrained(...).save_pretrained(folder)"
    raise ConversionError(f"{folder} has no tokenizer.json", hint)


def _save(tokenizer: Tokenizer, out: Path) -> None:
    text = json.dumps(json.loads(tokenizer.to_str()), ensure_ascii=False, separators=(",", ":"))
    (out / FILE).write_text(text, encoding="utf-8")


def _read(out: Path, parts: Mapping[str, str | None]) -> Vocabulary:
    try:
        tokenizer = Tokenizer.from_file(str(out / FILE))
    except Exception as error:  # tokenizers raises bare Exception
        raise ConversionError(f"{out / FILE} is not a tokenizer: {error}", "download it again") from error
    ids = tokenizer.get_vocab(with_added_tokens=True)
    size = max(ids.values(), default=-1) + 1
    if size > 4 * len(ids) + 1024:
        raise ConversionError(f"{out / FILE} does not number its {len(ids)} tokens", "download it again")
    tokens = [f"<unused_{number}>" for number in range(size)]
    for text, number in ids.items():
        tokens[number] = text
    marked = frozenset(token.content for token in tokenizer.get_added_tokens_decoder().values())
    return Vocabulary(tokens, tokens, tokenizer.get_vocab_size(with_added_tokens=False), marked, parts)
