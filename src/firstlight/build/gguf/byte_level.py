"""Byte-level BPE tokenizers (GPT-2, Pythia, Llama 3, Qwen, SmolLM): which of llama.cpp's cutting rules each goes by.

llama.cpp does not read regular expressions from a file: it knows a list of them by name. A tokenizer whose rules are
not among them is refused rather than served with others.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from firstlight.runtime.errors import ConversionError

_GPT2 = r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"
_CONTRACTIONS = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|"
_REST = r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
_UPPER, _LOWER = r"[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]", r"[\p{Ll}\p{Lm}\p{Lo}\p{M}]"
_LETTERS = r"[^\r\n\p{L}\p{N}]?"
_ENDINGS = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)?"
_TEKKEN = (
    rf"{_LETTERS}{_UPPER}*{_LOWER}+|{_LETTERS}{_UPPER}+{_LOWER}*|\p{{N}}"
    r"| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
_GPT4O = (
    rf"{_LETTERS}{_UPPER}*{_LOWER}+{_ENDINGS}|{_LETTERS}{_UPPER}+{_LOWER}*{_ENDINGS}|\p{{N}}{{1,3}}"
    r"| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
_SHOWN = (*range(33, 127), *range(161, 173), *range(174, 256))
_LETTER_BYTES = {chr(number): number for number in _SHOWN} | {
    chr(256 + place): number for place, number in enumerate(sorted(set(range(256)) - set(_SHOWN)))
}
"""GPT-2's letters for bytes: those that can be shown stand for themselves, the others follow from U+0100 on."""
_NAMES: dict[tuple[tuple[str, ...], bool], str] = {
    ((_GPT2,), False): "gpt-2",
    (("digits", _GPT2), False): "smollm",
    ((_CONTRACTIONS + r"\p{N}{1,3}" + _REST,), True): "llama-bpe",
    ((_CONTRACTIONS + r"\p{N}{1,3}" + _REST,), False): "smaug-bpe",
    ((_CONTRACTIONS + r"\p{N}" + _REST,), False): "qwen2",
    ((_TEKKEN,), True): "tekken",
    ((_GPT4O,), False): "gpt-4o",
}
"""Rules in their order, and whether whole words that are tokens skip the merges -> llama.cpp's name."""


def is_byte_level(tokenizer: Mapping[str, Any]) -> bool:
    """Whether a tokenizer.json is of this kind."""
    return tokenizer["model"].get("type") == "BPE" and any(
        step.get("type") == "ByteLevel" for step in steps(tokenizer.get("pre_tokenizer"), "pretokenizers")
    )


def steps(component: Any, key: str) -> list[dict[str, Any]]:
    """The parts of a normalizer or pre-tokenizer, whether it is a sequence or a single one."""
    if component is None:
        return []
    if not isinstance(component, dict):
        raise ConversionError("tokenizer.json does not have the form that the library tokenizers writes")
    return list(component[key]) if component.get("type") == "Sequence" else [component]


def rules(tokenizer: Mapping[str, Any]) -> tuple[str, tuple[str, ...]]:
    """llama.cpp's name of the rules, and notes on what it does otherwise.

    Raises:
        ConversionError: llama.cpp has no such rules.
    """
    model = tokenizer["model"]
    for name in ("continuing_subword_prefix", "end_of_word_suffix"):
        if model.get(name):
            raise ConversionError(f"the tokenizer has a {name}, which llama.cpp's does not know")
    found: list[str] = []
    for step in steps(tokenizer["pre_tokenizer"], "pretokenizers"):
        found += _rule(step)
    known_as = _NAMES.get((tuple(found), bool(model.get("ignore_merges"))))
    if known_as is None:
        known = ", ".join(_NAMES.values())
        hint = f"rules it has are those of {known}; a GGUF file of the same model may exist on the hub"
        raise ConversionError(f"llama.cpp has no rules to cut texts by {found}", hint)
    return known_as, _normalization(tokenizer)


def _rule(step: Mapping[str, Any]) -> list[str]:
    kind = step.get("type")
    if kind == "ByteLevel":
        if step.get("add_prefix_space"):
            raise ConversionError("the tokenizer puts a space before every text, which llama.cpp's does not")
        return [_GPT2] if step.get("use_regex", True) else []
    if kind == "Digits" and step.get("individual_digits"):
        return ["digits"]
    pattern = step.get("pattern")
    if (
        kind == "Split"
        and isinstance(pattern, dict)
        and step.get("behavior") == "Isolated"
        and not step.get("invert")
    ):
        return [str(pattern.get("Regex", pattern.get("String", "")))]
    return [f"a step {kind}"]


def _normalization(tokenizer: Mapping[str, Any]) -> tuple[str, ...]:
    kinds = [str(step.get("type")) for step in steps(tokenizer.get("normalizer"), "normalizers")]
    if not kinds:
        return ()
    if kinds == ["NFC"]:
        return ("texts are tokenized as they come; the original tokenizer composes characters first (NFC)",)
    raise ConversionError(
        f"the tokenizer changes texts first ({', '.join(kinds)}), which llama.cpp's does not"
    )


def merges(model: Mapping[str, Any]) -> Sequence[str]:
    """The merges of a tokenizer.json in GGUF's form, two tokens with a space between them."""
    found = [merge if isinstance(merge, str) else " ".join(merge) for merge in model["merges"]]
    if any(merge.count(" ") != 1 for merge in found):
        raise ConversionError("a merge of the tokenizer is not made of two tokens")
    return found


def text_bytes(token: str) -> bytes:
    """The bytes a token of a byte-level vocabulary stands for; its own where it is not written in GPT-2's letters."""
    try:
        return bytes(_LETTER_BYTES[letter] for letter in token)
    except KeyError:
        return token.encode()
