"""How tokens of SentencePiece and of byte-level BPE read when put together, by the rules of ``tokenizers``."""

from __future__ import annotations

from firstlight.runtime.tokenizers import token_bytes

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Any


def joined(tokens: Sequence[str], rules: Mapping[str, Any]) -> str:
    """The text of tokens.

    Args:
        rules: ``kind`` is ``bytes`` (byte-level), ``spaced`` (as Llama's: a ``mark`` is a space, then tokens such as
            ``<0x0A>`` are bytes, then the first space goes) or ``marked``: with ``bytes`` such tokens are bytes, then a
            ``mark`` is a space, but in the first token where ``drop`` says so.
    """
    if rules["kind"] == "bytes":
        return b"".join(map(_letters, tokens)).decode("utf-8", "replace")
    mark = rules["mark"]
    if rules["kind"] == "spaced":
        return "".join(_with_bytes([token.replace(mark, " ") for token in tokens])).removeprefix(" ")
    found = _with_bytes(tokens) if rules["bytes"] else list(tokens)
    if found and rules["drop"]:
        found[0] = found[0].replace(mark, "")
    return "".join(found).replace(mark, " ")


def _letters(token: str) -> bytes:
    """The bytes of a token; of one that has another letter than those of bytes, its own."""
    found = token_bytes.of_bytes(token)
    return token.encode() if any(token_bytes.stands(letter) is None for letter in token) else found


def _with_bytes(tokens: Sequence[str]) -> list[str]:
    """The tokens with runs of bytes put together; those of a run that is not UTF-8 are U+FFFD each."""
    found: list[str] = []
    run: list[int] = []
    for token in [*tokens, ""]:
        byte = _byte(token)
        if byte is not None:
            run.append(byte)
            continue
        if run:
            try:
                found.append(bytes(run).decode())
            except UnicodeDecodeError:
                found += ["\ufffd"] * len(run)
            run = []
        found.append(token)
    return found[:-1]


def _byte(token: str) -> int | None:
    """The byte a token names, as Rust's ``u8::from_str_radix`` reads it: a plus sign may stand before one digit."""
    if len(token.encode()) != 6 or not token.startswith("<0x") or not token.endswith(">"):
        return None
    digits = token[3:5]
    if all(digit in "0123456789abcdefABCDEF" for digit in digits.removeprefix("+")) and digits != "+":
        return int(digits, 16)
    return None
