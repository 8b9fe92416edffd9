"""How tokens of a WordPiece vocabulary read when they are put together; the rules are those of ``tokenizers``."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

PREFIX = "##"
_CLEANUP = (
    (" .", "."),
    (" ?", "?"),
    (" !", "!"),
    (" ,", ","),
    (" ' ", "'"),
    (" n't", "n't"),
    (" 'm", "'m"),
    (" do not", " don't"),
    (" 's", "'s"),
    (" 've", "'ve"),
    (" 're", "'re"),
)


def joined(tokens: Iterable[str], prefix: str = PREFIX, cleanup: bool = True) -> str:
    """The text of tokens: inner pieces lose their prefix, others gain a space.

    Args:
        prefix: what marks a token that continues a word.
        cleanup: take out the spaces before English punctuation and contractions, token by token.
    """
    parts: list[str] = []
    for token in tokens:
        part = token
        if parts:
            part = token[len(prefix) :] if token.startswith(prefix) else f" {token}"
        if cleanup:
            for dirty, clean in _CLEANUP:
                if dirty in part:
                    part = part.replace(dirty, clean)
        parts.append(part)
    return "".join(parts)
