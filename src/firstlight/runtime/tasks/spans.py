"""The best spans of a text from the logits of their first and last tokens.

The numbers of ``select_starts_ends`` and ``decode_spans`` in transformers 4.57, which multiplies two vectors into a
matrix and sorts it; here only the starts that can still win are looked at, in memory linear in the tokens.
"""

from __future__ import annotations

from heapq import heappush, heapreplace

from firstlight.runtime.tasks.arithmetic import softmax

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence


class Spans:
    """The spans of one window.

    Attributes:
        null: probability of "no answer": the first token as start and as end.
    """

    __slots__ = ("_ends", "_starts", "_tokens", "null")

    def __init__(self, allowed: Sequence[bool], starts: Sequence[float], ends: Sequence[float]) -> None:
        """``allowed`` says which tokens take part; ``starts`` and ``ends`` are logits, one for each token."""
        # 4.57 gives the others a logit of -10000, of which exp leaves nothing.
        self._tokens = [index for index, take in enumerate(allowed) if take]
        self._starts = softmax([starts[index] for index in self._tokens])
        self._ends = softmax([ends[index] for index in self._tokens])
        first = bool(self._tokens) and self._tokens[0] == 0
        self.null = self._starts[0] * self._ends[0] if first else 0.0
        if first:
            self._starts[0] = self._ends[0] = 0.0

    def best(self, count: int, length: int) -> list[tuple[float, int, int]]:
        """The best spans.

        Args:
            count: how many at most.
            length: tokens of a span at most.

        Returns:
            (score, first token, last token), best first; spans of probability zero are left out.
        """
        tokens, ends = self._tokens, self._ends
        top = max(ends, default=0.0)
        found: list[tuple[float, int, int]] = []
        for index in sorted(range(len(tokens)), key=self._starts.__getitem__, reverse=True):
            start = self._starts[index]
            if start * top <= (found[0][0] if len(found) == count else 0.0):
                break
            _extend(found, count, start, tokens, ends, index, length)
        # Equal scores in the order of the text.
        return sorted(((score, -first, -last) for score, first, last in found), key=_order)


def _extend(
    found: list[tuple[float, int, int]],
    count: int,
    start: float,
    tokens: Sequence[int],
    ends: Sequence[float],
    index: int,
    length: int,
) -> None:
    """Push the spans that begin at ``tokens[index]`` onto the heap ``found`` of the best ``count``."""
    first = tokens[index]
    for number in range(index, len(tokens)):
        last = tokens[number]
        if last - first >= length:
            break
        score = start * ends[number]
        if score <= 0.0:
            continue
        if len(found) < count:
            heappush(found, (score, -first, -last))
        elif score > found[0][0]:
            heapreplace(found, (score, -first, -last))


def _order(span: tuple[float, int, int]) -> tuple[float, int, int]:
    return -span[0], span[1], span[2]
