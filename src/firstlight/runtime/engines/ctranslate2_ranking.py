"""Which hypotheses of CTranslate2's beam search transformers' would have completed, and in what order.

Both searches go through the same hypotheses: at each step the best ``num_beams`` of twice as many candidates that do
not end, while candidates that end are completed when they are among the first ``num_beams``. They differ in when they
end. CTranslate2 ends with a number of complete hypotheses (``patience``), transformers (4.57,
``GenerationMixin._check_early_stop_heuristic``) when the best one that is still running could not be better than the
worst of the best ``num_beams`` complete ones. So CTranslate2 is asked for more hypotheses than that, and those
transformers would not have come to are left out here.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from firstlight.runtime.generation.wishes import Search

_MORE, _MANY_MORE = 2.0, 3.0
_NO_MORE = 1.0001
"""As many as there are beams; exactly 1 and no length penalty would make CTranslate2 end with the best one alone."""


def patience(search: Search) -> float:
    """How many hypotheses to complete for each beam; a penalty above 1 rewards those that come late."""
    if search.early_stopping is True:
        return _NO_MORE
    return _MORE if search.length_penalty <= 1 else _MANY_MORE


class Found:
    """A hypothesis that was completed.

    Args:
        tokens: all of it, what it had to begin with and the end token included.
        score: as CTranslate2 says it: divided by the length to the power of the length penalty.
        whole: whether it ends with the end token.
        forced_end: whether transformers would put an end token behind one that reached the limit.

    Attributes:
        length: as transformers counts it.
        total: sum of its log-probabilities.
        score: the total divided by that length to the power of the length penalty.
    """

    __slots__ = ("length", "score", "tokens", "total", "whole")

    def __init__(
        self, tokens: list[str], score: float, whole: bool, search: Search, forced_end: bool
    ) -> None:
        self.tokens = tokens
        self.whole = whole
        self.length = max(1, len(tokens) + (forced_end and not whole))
        self.total = score * max(1, len(tokens)) ** search.length_penalty
        self.score = self.total / self.length**search.length_penalty


def kept(
    found: Sequence[Found],
    search: Search,
    most: int,
    sums: Callable[[Sequence[Found]], list[list[float]]],
) -> list[Found]:
    """Those of the hypotheses that transformers would have completed, best first.

    What was running when a hypothesis was completed is not known, only what became of it. A sum only falls, so that of
    a later hypothesis is a lower bound of what was running; where that does not decide, the sums of its beginnings do.

    Args:
        found: all that were completed.
        search: with more than one beam.
        most: the longest length.
        sums: the sums of log-probabilities of every beginning of some hypotheses, shortest first.
    """
    beams, penalty = search.num_beams, search.length_penalty
    ranked = sorted(found, key=lambda one: -one.score)
    beginnings: dict[int, list[float]] = {}
    for length in range(1, max(one.length for one in ranked)):
        complete = [one for one in ranked if one.length <= length][:beams]
        if len(complete) < beams:
            continue
        if search.early_stopping is True:
            return complete
        later = [one for one in ranked if one.length > length]
        hoped = most if search.early_stopping == "never" and penalty > 0 else length
        if max(one.total for one in later) / hoped**penalty > complete[-1].score:
            continue
        if later[0].score <= complete[0].score:
            return complete  # the best one stays the best
        if not beginnings:
            beginnings = {id(one): sums_of for one, sums_of in zip(ranked, sums(ranked), strict=True)}
        running = max(beginnings[id(one)][length - 1] for one in later)
        if running / hoped**penalty <= complete[-1].score:
            return complete
    return ranked
