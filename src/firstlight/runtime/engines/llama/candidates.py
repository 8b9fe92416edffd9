"""All tokens of a vocabulary with their logits, in the layout that libllama's samplers work on."""

from __future__ import annotations

from _ctypes import addressof, byref
from _struct import pack
from math import log

from firstlight.runtime.engines.llama.structs import Byte, Candidate, Candidates, Float

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from firstlight.runtime.engines.llama.library import Library

_SIZE = 12  # bytes of a Candidate: three numbers


def logits(library: Library, context: int, count: int) -> memoryview[float]:
    """What follows the last token that was read: the library's own numbers, which can be changed."""
    numbers = (Float * count).from_address(library.get_logits_ith(context, -1))
    return memoryview(numbers).cast("B").cast("f")


class Table:
    """Room for all tokens and their logits.

    Args:
        library: the loaded libllama.
        count: tokens of the vocabulary.
    """

    def __init__(self, library: Library, count: int) -> None:
        self._library = library
        self._count = count
        self._bytes = (Byte * (_SIZE * count))()
        self._all = memoryview(self._bytes).cast("B")
        self._logits = self._all.cast("f")[1::3]
        self._all.cast("i")[::3] = memoryview(pack(f"{count}i", *range(count))).cast("i")
        self._fresh = bytes(self._all)  # samplers sort what they are given
        self._candidates = Candidates()
        self._measure = library.sampler_init_dist(0)

    def __del__(self) -> None:
        measure, self._measure = self.__dict__.get("_measure", 0), 0
        if measure:
            self._library.sampler_free(measure)

    def fill(self, numbers: memoryview[float]) -> None:
        """Take these logits, one for each token of the vocabulary."""
        self._all[:] = self._fresh
        self._logits[:] = numbers
        candidates = self._candidates
        candidates.first, candidates.count = addressof(self._bytes), self._count
        candidates.selected, candidates.sorted = -1, False

    def apply(self, sampler: int) -> None:
        """Have a sampler change, sort or choose."""
        self._library.sampler_apply(sampler, byref(self._candidates))

    def chosen(self) -> int | None:
        """The token that was chosen; None where none is possible."""
        place = self._candidates.selected
        if not 0 <= place < self._candidates.count:
            return None
        candidate = self._at(place)
        return None if candidate.logit == float("-inf") else int(candidate.id)

    def probabilities(
        self, numbers: memoryview[float], most: int
    ) -> tuple[float, Sequence[tuple[int, float]]]:
        """The logarithm by which logits become log-probabilities, and the likeliest tokens with theirs.

        The sampler that draws also turns logits into probabilities; the likeliest one's tells the sum of them all.
        """
        self.fill(numbers)
        self.apply(self._measure)
        sorter = self._library.sampler_init_top_k(max(most, 1))
        self.apply(sorter)
        self._library.sampler_free(sorter)
        first = self._at(0)
        if not first.probability > 0:  # not a number
            return float("nan"), ()
        total = first.logit - log(first.probability)
        best = [self._at(place) for place in range(min(most, self._candidates.count))]
        return total, [(candidate.id, candidate.logit - total) for candidate in best]

    def _at(self, place: int) -> Candidate:
        return Candidate.from_address(self._candidates.first + _SIZE * place)
