"""The tokens a tokenizer reads as such wherever a text has them: which, in which order, and how they are matched.

The order gives those that are not in the vocabulary their ids; it is that of transformers' ``PreTrainedTokenizerFast``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import groupby
from pathlib import Path
from typing import Any

from tokenizers import AddedToken, Tokenizer

from firstlight.build.convert.source import read_json
from firstlight.build.convert.tokenizer import special
from firstlight.runtime.errors import ConversionError

PARTS = ("bos_token", "eos_token", "unk_token", "sep_token", "pad_token", "cls_token", "mask_token")
_FLAGS = ("lstrip", "rstrip", "single_word", "normalized")


def parts(folder: Path, usual: Mapping[str, str]) -> dict[str, str]:
    """The text of each part a folder has a token for.

    Args:
        usual: what the family's tokenizer uses where no file says.
    """
    found = {**usual, **special.settings(folder)}
    texts = ((part, special.text(found.get(part))) for part in PARTS)
    return {part: text for part, text in texts if text}


def ends(folder: Path, usual: Mapping[str, str]) -> tuple[str, str]:
    """The tokens a text begins and ends with.

    Raises:
        ConversionError: the folder says there is none.
    """
    found = parts(folder, usual)
    if "cls_token" not in found or "sep_token" not in found:
        hint = "save the tokenizer with AutoTokenizer.from_pretrained(...).save_pretrained(folder)"
        raise ConversionError(f"{folder}/tokenizer_config.json has no cls_token or no sep_token", hint)
    return found["cls_token"], found["sep_token"]


def add(
    tokenizer: Tokenizer, folder: Path, usual: Mapping[str, str], wide_mask: bool, more: Sequence[str] = ()
) -> None:
    """Give a tokenizer its marked tokens.

    Args:
        wide_mask: a mask stands for a word, the space before it included, where no file says otherwise.
        more: special tokens without a part, where no file lists any.
    """
    found = listed(folder, set(parts(folder, usual).values()))
    settings = {**usual, **special.settings(folder)}
    named: list[tuple[str, Any]] = [(part, settings.get(part)) for part in PARTS]
    others = settings.get("additional_special_tokens", list(more))
    named += [("", token) for token in (others if isinstance(others, list) else [])]
    for part, token in named:
        text = special.text(token)
        if text and text not in found:
            found[text] = _token(text, token, special=True, lstrip=wide_mask and part == "mask_token")
    for marked, batch in groupby(found.values(), key=lambda token: bool(token.special)):
        (tokenizer.add_special_tokens if marked else tokenizer.add_tokens)(list(batch))


def listed(folder: Path, marked: set[str]) -> dict[str, AddedToken]:
    """Those with an id in tokenizer_config.json, or in added_tokens.json of older folders, by their ids.

    Args:
        marked: the text of each part.
    """
    given = special.settings(folder).get("added_tokens_decoder")
    if isinstance(given, Mapping):
        numbered = _numbered(
            folder, {number: (special.text(token), token) for number, token in given.items()}
        )
        return {
            text: _token(text, token, bool(isinstance(token, Mapping) and token.get("special")))
            for text, token in numbered
        }
    older = read_json(folder / "added_tokens.json")
    numbered = _numbered(folder, {str(number): (text, None) for text, number in older.items()})
    return {text: _token(text, None, text in marked, normalized=text not in marked) for text, _ in numbered}


def _numbered(folder: Path, listed: Mapping[Any, tuple[str | None, Any]]) -> list[tuple[str, Any]]:
    try:
        ordered = sorted(listed, key=int)
    except (TypeError, ValueError) as error:
        raise ConversionError(
            f"{folder}: an added token has no number", "download its files again"
        ) from error
    return [(text, token) for text, token in (listed[number] for number in ordered) if text]


def _token(text: str, given: Any, special: bool, **usual: bool) -> AddedToken:
    flags = {"normalized": False} | usual
    if isinstance(given, Mapping):
        flags |= {flag: bool(given[flag]) for flag in _FLAGS if flag in given}
    return AddedToken(text, special=special, **flags)
