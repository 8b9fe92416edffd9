"""Keeping what people write apart from what a chat template writes.

The text a template renders is read with its special tokens: ``<|im_start|>`` and its like say who speaks. Whoever
writes such a text inside a message could speak for somebody else. Two ways lead there, and both are closed without
knowing the vocabulary, by asking the engine itself, for which a special token is one that stands for no bytes:

* a special token's text inside a message: a zero-width space is put into it, which no special token holds;
* one that comes together from the end of one text and the beginning of the next: the special tokens of the prompt are
  compared with those of the same prompt with a zero-width space around each message. Where they differ, that one is
  taken.
"""

from __future__ import annotations

from firstlight.runtime import notes
from firstlight.runtime.errors import InvalidInput

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from firstlight.runtime.types import TokenEngine

EDGE = "\u200b"
_BREAKERS = (EDGE, " ")
_PIECE = 1000
_OVERLAP = 200
"""No special token's text is that long."""

_MOST = 2000
_EDGED = ("content", "reasoning_content", "documents")
"""Where people's words are. Names and ids, which templates compare, are made of less."""

_AS_THEY_ARE = ("role", "type")


class Guard:
    """Reads texts for special tokens, with one engine.

    Args:
        engine: whose special tokens they are.
    """

    def __init__(self, engine: TokenEngine) -> None:
        self._engine = engine
        self._special: dict[int, bool] = {}

    def special(self, tokens: list[int]) -> list[int]:
        """The special ones of some tokens."""
        known, piece = self._special, self._engine.piece
        for token in tokens:
            if token not in known:
                known[token] = not piece(token)
        return [token for token in tokens if known[token]]

    def tokens(self, render: Callable[[Any], str], said: Any) -> list[int]:
        """The tokens of what ``render`` makes of people's words, none of which is read as a special token.

        Args:
            render: from words to the text of the prompt.
            said: messages and whatever else there is, as JSON.

        Raises:
            InvalidInput: a text holds special tokens that cannot be read as plain text.
        """
        said = self._plain(said)
        found = self._engine.encode(render(said), special=False)
        apart = self._engine.encode(render(edged(said)), special=False)
        return found if self.special(found) == self.special(apart) else apart

    def _plain(self, said: Any) -> Any:
        texts = sorted(set(_texts(said)))
        if not self._holds("\n".join(texts)):
            return said
        changed = {text: self.plain(text) for text in texts if self._holds(text)}
        if changed:
            notes.warn(
                "the messages hold special tokens of the model, written out; they were read as plain text"
            )
        return _with(said, lambda text, _: changed.get(text, text))

    def plain(self, text: str) -> str:
        """The same text to a reader, in which the engine sees no special token.

        Raises:
            InvalidInput: that cannot be done.
        """
        for breaker in _BREAKERS:
            found = self._found(text)
            for special in sorted(found, key=len, reverse=True):
                text = text.replace(special, special[:-1] + breaker + special[-1:])
            if not self._holds(text):
                return text
        raise InvalidInput(
            "a message holds special tokens of the model that cannot be read as plain text", "leave them out"
        )

    def _holds(self, text: str) -> bool:
        return bool(self.special(self._engine.encode(text, special=False)))

    def _found(self, text: str) -> list[str]:
        """The texts of the special tokens in a text, each as short as it can be."""
        found: list[str] = []
        for start in range(0, len(text), _PIECE):
            piece = text[start : start + _PIECE + _OVERLAP]
            for special in found:
                piece = piece.replace(special, "\n")
            while self._holds(piece) and len(found) < _MOST:
                special = self._first(piece)
                if len(special) > 1 or not self._is_unknown(special):
                    found.append(special)
                    piece = piece.replace(special, "\n")
        return found

    def _is_unknown(self, letter: str) -> bool:
        """Whether a letter is a special token because the vocabulary lacks it; if so, it counts as none from now on."""
        tokens = self.special(self._engine.encode(letter, special=False))
        first = self._engine.encode("")
        if any(token in first or self._engine.ends(token) for token in tokens):
            return False
        self._special.update(dict.fromkeys(tokens, False))
        return True

    def _first(self, text: str) -> str:
        """The special token's text that ends first."""
        end = _least(len(text), lambda size: self._holds(text[:size]))
        return text[end - _least(end, lambda size: self._holds(text[end - size : end])) : end]


def edged(said: Any) -> Any:
    """People's words with a zero-width space before and after each text."""
    return _with(said, lambda text, inside: f"{EDGE}{text}{EDGE}" if inside and text else text)


def _least(most: int, holds: Callable[[int], bool]) -> int:
    """The least size from 1 to ``most`` that holds; larger ones do then."""
    low, high = 1, most
    while low < high:
        middle = (low + high) // 2
        if holds(middle):
            high = middle
        else:
            low = middle + 1
    return low


def _texts(said: Any) -> list[str]:
    found: list[str] = []

    def keep(text: str, _: bool) -> str:
        found.append(text)
        return text

    _with(said, keep)
    return found


def _with(said: Any, change: Callable[[str, bool], str], inside: bool = False) -> Any:
    """A copy of people's words with each text changed."""
    if isinstance(said, str):
        return change(said, inside)
    if isinstance(said, (list, tuple)):
        return [_with(one, change, inside) for one in said]
    if not isinstance(said, dict):
        return said
    return {
        key: value if key in _AS_THEY_ARE else _with(value, change, inside or key in _EDGED)
        for key, value in said.items()
    }
