"""Tokens that are found in a text before it is cut, as they are written."""

from __future__ import annotations

from firstlight.runtime.tokenizers.preparing import WHITE

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence


class Added:
    """The tokens of one pass: the leftmost first, of several there the longest.

    Args:
        tokens: content, id, whether white space before it belongs to it, and whether that behind it does.
    """

    def __init__(self, tokens: Sequence[tuple[str, int, bool, bool]]) -> None:
        self._tokens = {content: (number, left, right) for content, number, left, right in tokens}

    def parts(self, text: str) -> Iterator[tuple[int, int, int | None]]:
        """Where each part begins and ends, and the id of those that are tokens; none of them is empty."""
        near = {content: at for content in self._tokens if (at := text.find(content)) >= 0}
        taken = searched = 0
        while near:
            at, content = min(((at, content) for content, at in near.items()), key=_leftmost_longest)
            number, left, right = self._tokens[content]
            searched = end = at + len(content)
            if left:
                at = max(taken, _begin(text, at))
            if right:
                end = _end(text, end)
            if at > taken:
                yield taken, at, None
            yield at, end, number
            taken = end
            for other in [other for other, place in near.items() if place < searched]:
                near[other] = text.find(other, searched)
                if near[other] < 0:
                    del near[other]
        if taken < len(text):
            yield taken, len(text), None


def _leftmost_longest(place: tuple[int, str]) -> tuple[int, int]:
    return place[0], -len(place[1])


def _begin(text: str, at: int) -> int:
    while at and text[at - 1] in WHITE:
        at -= 1
    return at


def _end(text: str, at: int) -> int:
    while at < len(text) and text[at] in WHITE:
        at += 1
    return at
