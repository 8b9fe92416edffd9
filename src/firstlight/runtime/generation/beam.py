"""The search for the likeliest answer of an encoder-decoder model, by the rules of ``transformers.generate`` 4.57.

What a model is stays outside: a search asks a ``Step`` for the best continuations of some rows of tokens, and decides
which of them go on. The rules of logits that need more than their own row's tokens (repetition penalty, tokens that
may not come) are worked out here and applied by the step, before it picks the best.

Scores are rounded to single precision, as in a tensor.
"""

from __future__ import annotations

from _struct import Struct
from math import inf

from firstlight.runtime.generation.wishes import Hypothesis

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from firstlight.runtime.deadline import Deadline
    from firstlight.runtime.generation.rules import Rules
    from firstlight.runtime.generation.wishes import Search

    Candidate = tuple[float, int, int]
    Step = Callable[["Asked"], list[Candidate]]

_float = Struct("f")


class Asked:
    """What a step is asked for.

    Attributes:
        rows: tokens of each hypothesis so far, all of one length, the ones it began with included.
        parents: for each row, the row of the step before that it goes on from; empty at the first step.
        sums: log-probability of each row so far.
        banned: (row, token) that may not come.
        penalty: repetition penalty; 1 is none.
        normalise: whether scores are log-probabilities (summed up), not logits.
        count: how many candidates are wanted: (score, row, token), the best first. There are fewer where the
            vocabulary is smaller.
    """

    __slots__ = ("banned", "count", "normalise", "parents", "penalty", "rows", "sums")

    def __init__(
        self,
        rows: list[list[int]],
        parents: list[int],
        sums: list[float],
        banned: list[tuple[int, int]],
        penalty: float,
        normalise: bool,
        count: int,
    ) -> None:
        self.rows = rows
        self.parents = parents
        self.sums = sums
        self.banned = banned
        self.penalty = penalty
        self.normalise = normalise
        self.count = count


class Pace:
    """Whether there is time left for one more step, if it takes as long as the one before."""

    def __init__(self, deadline: Deadline) -> None:
        self._deadline = deadline
        self._left = deadline.left

    def late(self) -> bool:
        """Asked before every step."""
        before, self._left = self._left, self._deadline.left
        return self._left <= max(before - self._left, 0.0)


def single(value: float) -> float:
    """A number rounded to single precision; infinite where it is too large for that."""
    try:
        rounded: float = _float.unpack(_float.pack(value))[0]
    except OverflowError:
        return inf if value > 0 else -inf
    return rounded


class _Complete:
    """A hypothesis that has ended."""

    __slots__ = ("row", "score")

    def __init__(self, score: float, row: list[int]) -> None:
        self.score = score
        self.row = row


class BeamSearch:
    """A search with several hypotheses (``GenerationMixin._beam_search``).

    Where there are fewer hypotheses than beams, transformers fills up with ones that cannot win; here there are fewer.

    Args:
        step: the model.
        rules: of the model.
        prefix: tokens every answer begins with, after the model's own first one.
        source: tokens of the source, for the rule that they may not be repeated.
        search: of the request.
    """

    def __init__(
        self, step: Step, rules: Rules, prefix: Sequence[int], source: Sequence[int], search: Search
    ) -> None:
        self._step = step
        self._search = search
        self._rules = rules
        self._ends = frozenset(rules.end)
        self._begun = [rules.start, *prefix]
        self._limit = rules.limit(search, len(self._begun))
        self._bound = rules.bound(search, len(self._begun), source)
        self._width = search.num_beams
        self._rows: list[list[int]] = [self._begun]
        self._sums = [0.0]
        self._parents: list[int] = []
        self._complete: list[_Complete] = []
        self._can_improve = True

    def run(self, deadline: Deadline) -> list[Hypothesis]:
        """The best hypotheses, best first; the best so far, marked as not whole, where the deadline comes first."""
        pace, going_on = Pace(deadline), True
        while going_on:
            if pace.late():
                return self._so_far()
            going_on = self._advance()
        return [self._hypothesis(one) for one in self._best()] or self._so_far(whole=True)

    def _advance(self) -> bool:
        """One more token for every hypothesis; whether the search goes on."""
        candidates = self._candidates()
        length = len(self._rows[0]) + 1
        going_on: list[tuple[float, int, list[int]]] = []
        ended: list[_Complete] = []
        for place, (score, parent, token) in enumerate(candidates):
            row = [*self._rows[parent], token]
            if token not in self._ends and length < self._limit:
                going_on.append((score, parent, row))
            elif place < self._width:  # the others are there so that enough go on
                ended.append(_Complete(single(score / self._divisor(length)), row))
        self._keep(ended)
        if not going_on:
            return False
        chosen = going_on[: self._width]
        self._rows = [row for _, _, row in chosen]
        self._sums = [score for score, _, _ in chosen]
        self._parents = [parent for _, parent, _ in chosen]
        self._judge(length)
        return self._can_improve and not self._full()

    def _candidates(self) -> list[Candidate]:
        bound = self._bound
        count = max(2, 1 + len(self._ends)) * self._width
        banned = bound.banned(self._rows)
        asked = Asked(self._rows, self._parents, self._sums, banned, bound.penalty, True, count)
        found = self._step(asked)
        forced = bound.forced(len(self._rows[0]), self._limit)
        if forced:
            found = [(total, row, token) for row, total in enumerate(self._sums) for token in forced]
            found.sort(key=_first, reverse=True)
        return [candidate for candidate in found[:count] if candidate[0] > -inf]

    def _divisor(self, length: int) -> float:
        """By what the score of a row is divided; the first token of the decoder is not counted, forced ones are."""
        return single(float(length - 1) ** self._search.length_penalty)

    def _full(self) -> bool:
        return self._search.early_stopping is True and len(self._complete) == self._width

    def _keep(self, ended: list[_Complete]) -> None:
        """Keep the best complete hypotheses (``_update_finished_beams``)."""
        if self._can_improve and not self._full():
            self._complete = sorted([*self._complete, *ended], key=_score, reverse=True)[: self._width]

    def _judge(self, length: int) -> None:
        """Whether a hypothesis that goes on may still become one of the best (``_check_early_stop_heuristic``)."""
        if len(self._complete) == self._width:
            never = self._search.early_stopping == "never" and self._search.length_penalty > 0
            best = single(self._sums[0] / self._divisor(self._limit if never else length))
            self._can_improve = self._can_improve and best > self._complete[-1].score

    def _best(self) -> list[_Complete]:
        return self._complete[: max(1, self._search.answers)]

    def _hypothesis(self, one: _Complete) -> Hypothesis:
        tokens = one.row[len(self._begun) :]
        ends = tokens[-1] in self._ends
        whole = ends or self._rules.exhausted(len(one.row))
        return Hypothesis(tokens[:-1] if ends else tokens, one.score, whole)

    def _so_far(self, whole: bool = False) -> list[Hypothesis]:
        found = [self._hypothesis(one) for one in self._best()]
        if not found:
            score = self._sums[0] / self._divisor(max(len(self._rows[0]), 2))
            found = [Hypothesis(self._rows[0][len(self._begun) :], score)]
        for hypothesis in found:
            hypothesis.whole = whole
        return found


def _first(candidate: Candidate) -> float:
    return candidate[0]


def _score(one: _Complete) -> float:
    return one.score
