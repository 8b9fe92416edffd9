"""A long text in parts that fit a model: whole sentences where possible, then clauses, words, and tokens at last.

A part is (start, end) in characters of the text. Parts are in order, and only white space is between them, so that
what is made of each can be put together with the text's own separators.
"""

from __future__ import annotations

from firstlight.runtime.tasks import sentences

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    Span = tuple[int, int]

_WIDEST = 64
"""Characters a token may stand for in what is taken for one part without looking: a text longer than that is cut."""

_VIEW = 12
"""Characters for each token of room that are looked at when a piece is cut; the tokens of a language have 2 to 6."""

_PAUSES = ".!?…;:,—–،؛·"  # noqa: RUF001
_SPACELESS_PAUSES = "、，；：」』）" + sentences.HARD  # noqa: RUF001


class Room:
    """How much text fits into one run of a model.

    Args:
        offsets: the (start, end) in characters of each token of a text, special ones left out.
        size: tokens that fit, special ones not counted; None is no limit.
    """

    def __init__(self, offsets: Callable[[str], Sequence[Span]], size: int | None) -> None:
        self.offsets = offsets
        self.size = None if size is None else max(size, 1)

    def count(self, text: str) -> int:
        """Tokens of a text, special ones not counted."""
        return len(self.offsets(text))

    def takes(self, text: str) -> bool:
        """Whether a text fits."""
        if self.size is None or len(text) == 0:
            return True
        return len(text) <= self.size * _WIDEST and self.count(text) <= self.size


def by_sentence(text: str, room: Room) -> list[Span]:
    """One part for each sentence; several for one that does not fit."""
    found: list[Span] = []
    for start, end in sentences.spans(text):
        found += [(start, end)] if room.takes(text[start:end]) else pieces(text, start, end, room)
    return found


def packed(text: str, room: Room) -> list[Span]:
    """As few parts as possible, of about the same length, each of whole sentences where they fit."""
    spans = by_sentence(text, room)
    if room.size is None or not spans:
        return [(spans[0][0], spans[-1][1])] if spans else []
    counts = [room.count(text[start:end]) for start, end in spans]
    aim = _even(sum(counts), room.size)
    found, first = [], 0
    while first < len(spans):
        last, total = first, counts[first]
        while total < aim and last + 1 < len(spans) and total + counts[last + 1] <= room.size:
            if 4 * total >= 3 * aim and text.count("\n", spans[last][1], spans[last + 1][0]) > 1:
                break  # a paragraph ends near enough
            last += 1
            total += counts[last]
        # Tokens between sentences, such as line breaks, were not counted.
        while last > first and not room.takes(text[spans[first][0] : spans[last][1]]):
            last -= 1
        found.append((spans[first][0], spans[last][1]))
        first = last + 1
    return found


def pieces(text: str, start: int, end: int, room: Room) -> list[Span]:
    """A stretch of text that does not fit, cut where a clause ends, between words, or between tokens."""
    size = room.size or end - start
    found = []
    while start < end:
        seen = min(end, start + max(size, 4) * _VIEW)
        offsets = room.offsets(text[start:seen])
        if len(offsets) <= size and seen == end:
            found.append((start, end))
            break
        edge = start + offsets[size][0] if len(offsets) > size else seen
        low, aim = start + (edge - start) // 2, edge
        if seen == end:  # the rest shall not need more pieces for being cut at a clause
            total = len(offsets)
            aim = min(edge, start + offsets[_even(total, size)][0])
            low = min(aim, start + offsets[total - (-(-total // size) - 1) * size][0])
        stop = _cut(text, start, low, aim, edge)
        while stop > start + 1 and not room.takes(text[start:stop]):
            edge = start + (stop - start) * 3 // 4
            stop = _cut(text, start, start, edge, edge)
        found.append((start, _trimmed(text, start, stop)))
        start = sentences.skip_space(text, stop, end)
    return found


def between(separator: str, before: str, after: str) -> str:
    """What goes between the answers to two parts, where the text itself has ``separator``.

    A text that was cut inside a word or in a script without spaces has nothing there; words of other scripts need a
    space.

    Args:
        before, after: the last character of the one answer and the first of the other; empty where there is none.
    """
    if separator or not before or not after or before.isspace() or after.isspace():
        return separator
    return "" if sentences.spaceless(before) or sentences.spaceless(after) else " "


def _even(total: int, most: int) -> int:
    """Tokens of each part when a total is shared out evenly among as few as possible."""
    return -(-total // max(1, -(-total // most)))


def _trimmed(text: str, start: int, stop: int) -> int:
    while stop > start + 1 and text[stop - 1].isspace():
        stop -= 1
    return stop


def _cut(text: str, start: int, low: int, aim: int, edge: int) -> int:
    """Where to cut: near ``aim``, neither before ``low`` nor behind ``edge``, and always behind ``start``."""
    edge = max(edge, start + 1)
    clauses, words = [], []
    for at in range(max(low, start + 1), edge + 1):
        space = at < len(text) and text[at].isspace()
        if text[at - 1] in _SPACELESS_PAUSES or text[at - 1] == "\n" or (space and text[at - 1] in _PAUSES):
            clauses.append(at)
        elif space:
            words.append(at)
    for places in (clauses, words):
        if places:
            return min(places, key=lambda at: abs(at - aim))
    return _between_letters(text, start, edge)


def _between_letters(text: str, start: int, edge: int) -> int:
    """The last place up to ``edge`` that does not part a letter from its accent or a sequence of emoji."""
    from unicodedata import category

    for at in range(edge, max(start, edge - 16), -1):
        if at >= len(text):
            return edge
        if not category(text[at]).startswith("M") and "\u200d" not in text[at - 1 : at + 1]:
            return at
    return edge
