"""The special tokens of a model folder by their part: what transformers would call ``eos_token`` and so on."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from firstlight.build.convert.source import read_json
from firstlight.runtime.errors import ConversionError

PARTS = ("bos_token", "eos_token", "unk_token", "pad_token")

_ANGLED = {"bos_token": "<s>", "eos_token": "</s>", "unk_token": "<unk>", "pad_token": "<pad>"}
_NO_BEGINNING = {"eos_token": "</s>", "unk_token": "<unk>", "pad_token": "<pad>"}
_END_OF_TEXT = "<|endoftext|>"

_USUAL: Mapping[str, Mapping[str, str]] = {
    "bart": _ANGLED,
    "mbart": _ANGLED,
    "m2m_100": _ANGLED,
    "marian": _NO_BEGINNING,
    "t5": _NO_BEGINNING,
    "mt5": _NO_BEGINNING,
    "pegasus": _NO_BEGINNING,
    "gpt2": {"bos_token": _END_OF_TEXT, "eos_token": _END_OF_TEXT, "unk_token": _END_OF_TEXT},
    "gpt_neox": {"bos_token": _END_OF_TEXT, "eos_token": _END_OF_TEXT, "unk_token": _END_OF_TEXT},
    "llama": {"bos_token": "<s>", "eos_token": "</s>", "unk_token": "<unk>"},
    "mistral": {"bos_token": "<s>", "eos_token": "</s>", "unk_token": "<unk>"},
    "qwen2": {"eos_token": _END_OF_TEXT, "unk_token": _END_OF_TEXT, "pad_token": _END_OF_TEXT},
}
"""What the tokenizers of each ``model_type`` use where their files say nothing."""


def settings(folder: Path) -> dict[str, Any]:
    """tokenizer_config.json, with what special_tokens_map.json says where the former is of an older form."""
    found = read_json(folder / "tokenizer_config.json")
    if "added_tokens_decoder" not in found:
        found |= read_json(folder / "special_tokens_map.json")
    return found


def parts(folder: Path, model_type: str) -> dict[str, str | None]:
    """The text of each special token by its part; None where a model has none."""
    known = settings(folder)
    usual = _USUAL.get(model_type, {})
    if str(known.get("tokenizer_class")).startswith("MBart50"):
        usual = _NO_BEGINNING
    found = {**dict.fromkeys(PARTS), **usual, **known}
    return {part: text(found[part]) for part in PARTS}


def text(token: Any) -> str | None:
    """A token as these files write it: a string, an object with ``content``, or null."""
    if isinstance(token, Mapping):
        token = token.get("content")
    return token if isinstance(token, str) else None


def added(folder: Path, first: int) -> list[str]:
    """The tokens that were added behind a vocabulary of ``first`` ones, by their ids; empty where no file says.

    Raises:
        ConversionError: their ids leave some out.
    """
    listed = settings(folder).get("added_tokens_decoder")
    if not isinstance(listed, Mapping):
        return []
    try:
        found = {int(number): text(token) for number, token in listed.items() if int(number) >= first}
    except ValueError as error:
        raise ConversionError(f"{folder}/tokenizer_config.json: an added token has no number") from error
    tokens = [found.get(number) for number in range(first, first + len(found))]
    if None in tokens:
        message = f"{folder}/tokenizer_config.json: added tokens do not follow a vocabulary of {first}"
        raise ConversionError(message, "its files are of different tokenizers; download them again")
    return [token for token in tokens if token is not None]


def additional(folder: Path) -> list[str]:
    """Special tokens without a part, such as those of languages."""
    listed = settings(folder).get("additional_special_tokens")
    return [found for token in listed or [] if (found := text(token))] if isinstance(listed, list) else []


def chat_template(folder: Path) -> str:
    """The template a model's chats are written with: its own file, or tokenizer_config.json; empty for none."""
    file = folder / "chat_template.jinja"
    if file.is_file():
        return file.read_text(encoding="utf-8")
    found = settings(folder).get("chat_template")
    if isinstance(found, list):
        named = {entry.get("name"): entry.get("template") for entry in found if isinstance(entry, Mapping)}
        found = named.get("default")
    return found if isinstance(found, str) else ""
