"""Encodings made without a library: the ids at once, the other lists when they are first looked at.

Most tasks never look at offsets, word ids and sequence ids.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any, Protocol

    class Tokens(Protocol):
        """The tokens of one text, without special tokens."""

        ids: list[int]

        def offsets(self) -> list[tuple[int, int]]: ...

        def word_ids(self) -> list[int]: ...

    # Where the ids come from (None for a run of special tokens), the ids, their type, the number of the text.
    Part = tuple[Tokens | None, Sequence[int], int, int | None]


class Encoding:
    """The tokens of a text or pair of texts; see ``types.Encoding`` for what the lists hold."""

    __slots__ = ("_parts", "ids", "offsets", "sequence_ids", "type_ids", "word_ids")

    ids: list[int]
    type_ids: list[int]
    offsets: list[tuple[int, int]]
    sequence_ids: list[int | None]
    word_ids: list[int | None]

    def __init__(self, parts: Sequence[Part]) -> None:
        self._parts = parts
        self.ids = []
        for part in parts:
            self.ids += part[1]

    def __getattr__(self, name: str) -> Any:
        """Make a list that was not asked for before; an unset slot leads here."""
        if name not in _MAKERS:
            raise AttributeError(name)
        made: list[Any] = []
        for part in self._parts:
            made += _MAKERS[name](part)
        setattr(self, name, made)
        return made


_MAKERS: dict[str, Any] = {
    "type_ids": lambda part: [part[2]] * len(part[1]),
    "offsets": lambda part: [(0, 0)] * len(part[1]) if part[0] is None else part[0].offsets(),
    "word_ids": lambda part: [None] * len(part[1]) if part[0] is None else part[0].word_ids(),
    "sequence_ids": lambda part: [part[3]] * len(part[1]),
}
