"""The text of token ids as they arrive, for tokenizers that turn lists of ids into text and no single one.

What a token adds depends on its neighbours: a word's first piece has a space before it unless it is the first of all,
and several tokens may share a character. So the ids are decoded again with each new one, and what is new in the text
is released; of a long text only its last tokens are, which show as much.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

_LONG = 48
_CONTEXT = 8
"""Tokens that go on being decoded when there are ``_LONG`` of them."""

_UNKNOWN = "\ufffd"


class GrowingText:
    """The text of ids that come one by one; all that is released, put together, is the text of all of them.

    Args:
        decode: the text of a list of ids.
    """

    def __init__(self, decode: Callable[[Sequence[int]], str]) -> None:
        self._decode = decode
        self._ids: list[int] = []
        self._known = ""

    def add(self, token_id: int) -> str:
        """Take one more id.

        Returns:
            The text that is certain now: often that of the token, nothing while a character is incomplete.
        """
        self._ids.append(token_id)
        whole = self._decode(self._ids)
        certain = whole.rstrip(_UNKNOWN)
        if not certain.startswith(self._known):
            return ""  # bytes that are no whole character spoil those before them, until the rest comes
        new = certain[len(self._known) :]
        self._known = certain
        if len(self._ids) >= _LONG and certain == whole:
            self._forget(whole)
        return new

    def rest(self) -> str:
        """No more ids come: what was held back."""
        whole = self._decode(self._ids)
        new = whole[len(self._known) :] if whole.startswith(self._known) else ""
        self._known = whole
        return new

    def _forget(self, whole: str) -> None:
        """Keep the last ids alone, where the text of those before them does not depend on them."""
        head, tail = self._ids[:-_CONTEXT], self._ids[-_CONTEXT:]
        before, after = self._decode(head), self._decode(tail)
        if not after.strip() or _UNKNOWN in after or before.endswith(_UNKNOWN):
            return
        if whole.startswith(before) and whole.endswith(after):
            self._ids, self._known = tail, after
