"""SentencePiece's tokenizers as tokenizer.json has them: BPE with bytes for what is unknown (Llama 2), and Unigram.

llama.cpp's ``llama`` tokenizer has no merges. It joins the two neighbours whose joined text is the token with the
highest score. That gives what the merges give when every pair that makes a token is a merge, and all merges that make
one token stand together in the list, which SentencePiece's own vocabularies fulfil. Others are refused.
"""

from __future__ import annotations

import base64
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from firstlight.build.gguf.byte_level import steps
from firstlight.build.gguf.vocabulary import BYTE, NORMAL
from firstlight.runtime.errors import ConversionError

SPACE = "\u2581"
LEAST = -1e6
"""Score of a token that nothing is merged into."""
_NOTES = {
    "sometimes": "a text that begins with a space is given one more in front, which the original tokenizer does not do",
    "normalised": "compatibility characters before a combining mark may be normalised another way",
    "first": "text after a special token is given a space in front, which the original tokenizer does not do",
}
_NOT_THE_SAME = "llama.cpp's tokenizer would cut texts otherwise"


def is_sentence_pieces(tokenizer: Mapping[str, Any]) -> bool:
    """Whether a tokenizer.json is of this kind."""
    model = tokenizer["model"]
    return model.get("type") == "Unigram" or (model.get("type") == "BPE" and bool(model.get("byte_fallback")))


def kinds(tokens: Sequence[str]) -> list[int]:
    """What each token is: one of the 256 bytes, or a text."""
    return [BYTE if len(t) == 6 and t.startswith("<0x") and t.endswith(">") else NORMAL for t in tokens]


def spaces(tokenizer: Mapping[str, Any]) -> tuple[dict[str, bool], tuple[str, ...]]:
    """The flags that say what becomes of spaces, and notes on what llama.cpp does otherwise.

    Raises:
        ConversionError: llama.cpp cannot treat them so.
    """
    of_unigram = tokenizer["model"].get("type") == "Unigram"
    found = {_of_normalizer(step, of_unigram) for step in steps(tokenizer.get("normalizer"), "normalizers")}
    for step in steps(tokenizer.get("pre_tokenizer"), "pretokenizers"):
        found |= _of_cutter(step, found)
    if "replaced" not in found:
        raise ConversionError(f"the tokenizer keeps spaces as they are; {_NOT_THE_SAME}")
    if of_unigram and not {"prefix", "extra"} <= found:
        message = "the Unigram tokenizer keeps runs of spaces, or puts no space in front of a text"
        raise ConversionError(f"{message}; {_NOT_THE_SAME}")
    if (
        "split" in found
        and not of_unigram
        and any(SPACE in token[1:] for token in tokenizer["model"]["vocab"])
    ):
        raise ConversionError(f"the tokenizer cuts texts before every space; {_NOT_THE_SAME}")
    flags = {"add_space_prefix": "prefix" in found, "remove_extra_whitespaces": "extra" in found}
    told = ("normalised",) if of_unigram else ("sometimes", "first")
    return flags, tuple(_NOTES[name] for name in told if name in found)


def _of_cutter(step: Mapping[str, Any], before: set[str]) -> set[str]:
    """What a pre-tokenizer does with spaces."""
    if step.get("type") == "WhitespaceSplit" and "normalised" in before:
        return {"extra"}
    if step.get("type") != "Metaspace" or step.get("replacement") != SPACE:
        raise ConversionError(f"the tokenizer cuts texts by a step {step.get('type')}; {_NOT_THE_SAME}")
    found = {"replaced"} | ({"split"} if step.get("split", True) else set())
    scheme = step.get("prepend_scheme", "always" if step.get("add_prefix_space", True) else "never")
    return found | {"never": set(), "first": {"prefix", "sometimes", "first"}}.get(
        scheme, {"prefix", "sometimes"}
    )


def _of_normalizer(step: Mapping[str, Any], of_unigram: bool) -> str:
    """What a normalizer does with spaces: puts one in front, writes them as U+2581, drops those that are too many."""
    kind, pattern, content = step.get("type"), step.get("pattern"), step.get("content")
    if kind == "Prepend" and step.get("prepend") == SPACE:
        return "prefix"
    if kind == "Replace" and pattern == {"String": " "} and content == SPACE:
        return "replaced"
    if of_unigram and (kind == "Strip" or (kind == "Replace" and pattern == {"Regex": " {2,}"})):
        return "extra"
    if of_unigram and kind == "Precompiled":
        return "normalised"
    raise ConversionError(f"the tokenizer changes texts by a step {kind}; {_NOT_THE_SAME}")


def scores(
    vocabulary: Mapping[str, int], merges: Sequence[str], special: Collection[str]
) -> dict[str, float]:
    """Scores of the tokens that merges make, which make the same of every text as the merges do.

    Args:
        merges: best first, two tokens with a space between them.
        special: tokens that no text is cut into.

    Raises:
        ConversionError: there are none such.
    """
    found: dict[str, float] = {}
    pairs, last = set(), ""
    for rank, merge in enumerate(merges):
        left, _, right = merge.partition(" ")
        token = left + right
        if token not in vocabulary:
            raise ConversionError(f"the tokenizer merges {left!r} and {right!r} into no token")
        if token != last:
            if token in found:
                raise ConversionError(
                    f"the merges that make {token!r} do not stand together; {_NOT_THE_SAME}"
                )
            found[token] = -float(rank + 1)
            last = token
        pairs.add((left, right))
    _check_complete(vocabulary, pairs, special)
    return found


def _check_complete(
    vocabulary: Mapping[str, int], pairs: set[tuple[str, str]], special: Collection[str]
) -> None:
    for token, kind in zip(vocabulary, kinds(list(vocabulary)), strict=True):
        if kind == BYTE or token in special:
            continue
        for at in range(1, len(token)):
            left, right = token[:at], token[at:]
            if left in vocabulary and right in vocabulary and (left, right) not in pairs:
                raise ConversionError(
                    f"{left!r} and {right!r} are not merged into {token!r}; {_NOT_THE_SAME}"
                )


def unigram(tokenizer: Mapping[str, Any]) -> tuple[list[str], list[float], bytes]:
    """Tokens, their scores and the compiled normalisation of a Unigram tokenizer.

    Raises:
        ConversionError: it falls back to bytes, which llama.cpp's does not.
    """
    model = tokenizer["model"]
    if model.get("byte_fallback"):
        raise ConversionError(f"the Unigram tokenizer falls back to bytes; {_NOT_THE_SAME}")
    charsmap = b""
    for step in steps(tokenizer.get("normalizer"), "normalizers"):
        if step.get("type") == "Precompiled":
            charsmap = base64.b64decode(step["precompiled_charsmap"])
    return (
        [str(piece) for piece, _ in model["vocab"]],
        [float(score) for _, score in model["vocab"]],
        charsmap,
    )
