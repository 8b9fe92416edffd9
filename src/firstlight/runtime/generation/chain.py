"""One token after another: the likeliest, or one that is drawn (``GenerationMixin._sample`` of transformers 4.57).

The token at a place of an answer is drawn with a number made of the seed and the place alone, so that an answer which
is cut in two draws what the whole one would have drawn.
"""

from __future__ import annotations

from math import exp

from firstlight.runtime.generation.beam import Asked, Pace

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from firstlight.runtime.deadline import Deadline
    from firstlight.runtime.generation.beam import Candidate, Step
    from firstlight.runtime.generation.rules import Rules
    from firstlight.runtime.generation.wishes import Search

_WORD = (1 << 64) - 1


class Chain:
    """One answer, grown by one token a step.

    Args:
        step: the model.
        rules: of the model.
        prefix: tokens the answer begins with, after the model's own first one.
        source: tokens of the source.
        search: of the request; ``num_beams`` is 1.
        number: which of several drawn answers this is.

    Attributes:
        whole: whether the answer has ended by itself, or where the model can go no further.
    """

    def __init__(
        self,
        step: Step,
        rules: Rules,
        prefix: Sequence[int],
        source: Sequence[int],
        search: Search,
        number: int = 0,
    ) -> None:
        self.whole = False
        self._step = step
        self._search = search
        self._ends = frozenset(rules.end)
        self._row = [rules.start, *prefix]
        self._begun = len(self._row)
        self._rules = rules
        self._limit = rules.limit(search, self._begun)
        self._bound = rules.bound(search, self._begun, source)
        self._seed = mixed(search.seed, number) if number else search.seed
        self._count = 1
        if search.temperature > 0:
            self._count = min(search.top_k or rules.vocabulary, rules.vocabulary)

    def tokens(self, deadline: Deadline) -> Iterator[int]:
        """Each token when it is known, the end left out; fewer where the deadline comes first."""
        pace = Pace(deadline)
        while len(self._row) < self._limit and not pace.late():
            token = self._next()
            self._row.append(token)
            if token in self._ends:
                self.whole = True
                return
            self.whole = self._rules.exhausted(len(self._row))
            yield token

    def _next(self) -> int:
        row, bound = [self._row], self._bound
        asked = Asked(row, [0], [0.0], bound.banned(row), bound.penalty, False, self._count)
        candidates = self._step(asked)
        forced = bound.forced(len(self._row), self._limit)
        if forced:
            return min(forced)
        if self._search.temperature > 0:
            return drawn(candidates, self._search, uniform(self._seed, len(self._row) - self._begun))
        return candidates[0][2]


def drawn(candidates: Sequence[Candidate], search: Search, number: float) -> int:
    """The token that a number between 0 and 1 falls on.

    Args:
        candidates: (logit, row, token), the best first; as many as ``top_k`` leaves.
        search: gives ``temperature`` and ``top_p``; a token is left out where those above it have ``top_p`` already.
    """
    top = candidates[0][0]
    weights = [exp((score - top) / search.temperature) for score, _, _ in candidates]
    enough, kept, total = search.top_p * sum(weights), 0, 0.0
    while kept == 0 or (kept < len(weights) and total < enough):
        total += weights[kept]
        kept += 1
    reached, aim = 0.0, number * total
    for place in range(kept):
        reached += weights[place]
        if reached > aim:
            return candidates[place][2]
    return candidates[kept - 1][2]  # sums of the same numbers may differ in their last bit


def uniform(seed: int, place: int) -> float:
    """A number from 0 up to 1, made of a seed and a place."""
    return (mixed(seed, place) >> 11) / (1 << 53)


def mixed(seed: int, place: int) -> int:
    """64 bits of a seed and a place (the finalizer of SplitMix64, Steele et al. 2014, applied to each)."""
    value = 0
    for word in (seed, place):
        value = (value + word + 0x9E3779B97F4A7C15) & _WORD
        value = ((value ^ (value >> 30)) * 0xBF58476D1CE4E5B9) & _WORD
        value = ((value ^ (value >> 27)) * 0x94D049BB133111EB) & _WORD
        value ^= value >> 31
    return value
