"""Where the tokens of a text lie in it, found when it is asked for: most tasks look at the ids only."""

from __future__ import annotations

from firstlight.runtime.tokenizers.encoding import Encoding
from firstlight.runtime.tokenizers.preparing import WHITE

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from firstlight.runtime.tokenizers.pieces import Pieces


class Located:
    """Where the tokens of a text lie in it."""

    __slots__ = ("offsets", "tokens", "word_ids")

    def __init__(self) -> None:
        self.offsets: list[tuple[int, int]] = []
        self.word_ids: list[int] = []
        self.tokens: list[str] = []

    @property
    def next(self) -> int:
        """The number of the next word; a word without tokens has none of its own."""
        return self.word_ids[-1] + 1 if self.word_ids else 0

    def add(self, number: int, offset: tuple[int, int], token: str) -> None:
        """One more token of the word with that number."""
        self.word_ids.append(number)
        self.offsets.append(offset)
        self.tokens.append(token)


class Tokens:
    """The tokens of one text: ids now; offsets, word ids and names when they are asked for."""

    __slots__ = ("_located", "_text", "_tokenizer", "ids")

    def __init__(self, tokenizer: Pieces, text: str, ids: list[int]) -> None:
        self._tokenizer = tokenizer
        self._text = text
        self._located: Any = None
        self.ids = ids

    def offsets(self) -> list[tuple[int, int]]:
        """Where each token lies in the text, in characters."""
        return list(self.located().offsets)

    def word_ids(self) -> list[int]:
        """The number of the word each token comes from; an added token is a word."""
        return list(self.located().word_ids)

    def located(self) -> Any:
        """Offsets, word ids and names at once."""
        if self._located is None:
            self._located = self._tokenizer.locate(self._text)
        return self._located


class Encoded(Encoding):
    """An encoding that also says how its tokens read."""

    __slots__ = ()

    @property
    def tokens(self) -> list[str]:
        """The names of the tokens; the letters of an unknown one of Unigram, nothing for one around a text."""
        found: list[str] = []
        for tokens, ids, _, _ in self._parts:
            found += [""] * len(ids) if tokens is None else tokens.located().tokens  # type: ignore[attr-defined]
        return found


def trimmed(offsets: list[tuple[int, int]], names: list[str], prefix: bool) -> list[tuple[int, int]]:
    """Offsets without the spaces of their tokens (``process_offsets`` of the library).

    Args:
        prefix: a space before the first word may be one that was put there.
    """
    white, found = WHITE + "\u0120", []
    for index, (name, (start, end)) in enumerate(zip(names, offsets, strict=True)):
        leading, trailing = len(name) - len(name.lstrip(white)), len(name) - len(name.rstrip(white))
        if leading:
            if prefix and leading == 1 and (index == 0 or start == 0):
                leading = 0
            start = min(start + leading, end)  # noqa: PLW2901
        if trailing and end >= trailing:
            end = max(end - trailing, start)  # noqa: PLW2901
        found.append((start, end))
    return found
