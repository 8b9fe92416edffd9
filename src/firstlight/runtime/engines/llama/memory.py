"""What a model has read: keys and values of tokens, kept from one request to the next.

A chat's next turn, and the continuation of an answer, begin with tokens that were read before. Those are found and
kept, only what follows is read. Room is made as it is needed: the library fills all of a context's memory with zeros
when it makes one, which for the 2,048 tokens of a 410M model is 200 MB and a tenth of a second, for an answer of a few.

What ggml computes for a token is rounded otherwise when it is read alone than in a batch, enough to change a word now
and then. So an answer's tokens, which were read one by one when they were written, are read so again where there is
time for it, and what follows the last prompt is remembered: a request that is repeated is answered alike, and one that
is continued goes on as it would have gone on.
"""

from __future__ import annotations

from _ctypes import addressof
from time import monotonic

from firstlight.runtime.deadline import NEVER
from firstlight.runtime.engines.library import Int
from firstlight.runtime.engines.llama import candidates, structs
from firstlight.runtime.errors import EngineError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from firstlight.runtime.deadline import Deadline
    from firstlight.runtime.engines.llama.crew import Crew
    from firstlight.runtime.engines.llama.library import Library
    from firstlight.runtime.engines.llama.weights import Weights

BATCH = 512
"""Tokens that are read at once."""

STEP = 256
"""Room is made for multiples of this; libllama rounds up to it itself."""

_UNWATCHED = structs.AbortCallback()
_ABORTED = 2
_SLOW = 0.2  # seconds; a token that takes longer is watched while it is computed
_SHARE = 0.35  # of the time there is, that may be spent on reading an answer's beginning token by token


class Memory:
    """The tokens one model has read, in order, and what it expects after the last one.

    Args:
        library: the loaded libllama.
        weights: the model.
        limit: tokens that are remembered at most.
        crew: how many threads to compute with.
        whole: make room for all of them at once, for models whose positions depend on it.

    Attributes:
        context: libllama's name for it.
    """

    def __init__(
        self, library: Library, weights: Weights, limit: int, crew: Crew, whole: bool = False
    ) -> None:
        self._library = library
        self._weights = weights
        self._limit = limit
        self._crew = crew
        self._threads = 0
        self._whole = whole
        self._tokens: list[int] = []
        self._read = 0  # of those tokens, how many were read
        self._room = 0
        self._deadline = NEVER
        self._watched = False
        self._pace = 0.0  # seconds that the last token took that was read alone
        self._end: tuple[int, bytes] | None = None  # after how many tokens, and the logits of what follows
        self._watch = structs.AbortCallback(lambda _: self._deadline.passed)
        self._one = (Int * 1)()
        self._next = structs.Batch(1, addressof(self._one))
        self.context = 0

    def __del__(self) -> None:
        self.close()

    def close(self) -> None:
        """Give the memory back."""
        context, self.context = self.__dict__.get("context", 0), 0
        if context:
            self._library.free(context)

    def reserve(self, count: int) -> None:
        """Have room for that many tokens; what was read is kept.

        Raises:
            EngineError: there is no memory for them.
        """
        if count <= self._room:
            return
        wanted = self._limit if self._whole else max(count, min(2 * self._room, self._limit))
        saved = self._saved() if self._read else None
        self.close()
        self._room, self._watched, self._threads, self._end = 0, False, self._crew.size(), None
        parameters = self._library.context_default_params()
        wanted = -(-wanted // STEP) * STEP
        structs.set_context(parameters, wanted, BATCH, self._threads, self._weights.exact)
        self.context = self._library.init_from_model(self._weights.handle, parameters) or 0
        if not self.context:
            self._read = 0
            raise EngineError(f"libllama has no memory for {wanted} tokens: {self._library.said()}")
        self._room = wanted
        if saved is None or not self._library.state_seq_set_data(
            self.context, addressof(saved), len(saved), 0
        ):
            self._read = 0

    def read(self, tokens: list[int], answer: int, deadline: Deadline) -> bool:
        """Have exactly these tokens read.

        Args:
            tokens: all of them, at least one. The list itself is kept: append to it and call again to go on.
            answer: how many of them are the prompt; the others were written by the model.
            deadline: when to stop.

        Returns:
            Whether all were read; what follows the last one can be drawn then. False when the deadline has passed.

        Raises:
            EngineError: the library refuses.
        """
        if tokens is not self._tokens:
            self._keep(_common(self._tokens, tokens, self._read))
            self._tokens = tokens
        if self._read >= len(tokens):  # what follows the last one is known only right after it was read
            if self._recalled(len(tokens)):
                return True
            self._keep(len(tokens) - 1)
        self.reserve(len(tokens))
        self._deadline = deadline
        while self._read < len(tokens):
            if deadline.passed or not self._advance(tokens, self._step(len(tokens), answer)):
                return False
        if len(tokens) == answer:
            self._end = answer, bytes(candidates.logits(self._library, self.context, self._weights.count))
        return True

    def _step(self, count: int, answer: int) -> int:
        """How many tokens to read next."""
        if self._read < answer:
            return min(BATCH, answer - self._read)
        left, deadline = count - self._read, self._deadline
        if left == 1 or deadline is NEVER or self._pace * left <= _SHARE * deadline.left:
            return 1
        return min(BATCH, left)

    def _recalled(self, count: int) -> bool:
        """Have again what follows the first tokens, where that is remembered."""
        if self._end is None or self._end[0] != count:
            return False
        logits = self._end[1]
        self._keep(count)
        if self._read != count:
            return False
        numbers = candidates.logits(self._library, self.context, self._weights.count)
        numbers[:] = memoryview(logits).cast("f")
        return True

    def _advance(self, tokens: list[int], count: int) -> bool:
        """Read the next tokens; False where the deadline has passed meanwhile."""
        if count == 1:
            self._one[0] = tokens[self._read]
            batch = self._next
        else:
            several = (Int * count)(*tokens[self._read : self._read + count])
            batch = structs.Batch(count, addressof(several))
        self._watch_over(count > 1 or self._pace > _SLOW)
        status = self._decoded(batch)
        if status == 0:
            self._read += count
            return True
        self._keep(self._read)  # of the batch, some may have been read
        if status == _ABORTED:
            return False
        raise EngineError(f"libllama cannot read {count} tokens (status {status}): {self._library.said()}")

    def _decoded(self, batch: structs.Batch) -> int:
        threads = self._crew.size()
        if threads != self._threads:
            self._library.set_n_threads(self.context, threads, threads)
            self._threads = threads
        start = monotonic()
        status: int = self._library.decode(self.context, batch)
        if batch.count == 1:
            self._pace = monotonic() - start
        self._crew.done()
        return status

    def _watch_over(self, long: bool) -> None:
        """Have a computation look at the deadline while it runs, which it does hundreds of times for each batch."""
        wanted = long and self._deadline is not NEVER
        if wanted is not self._watched:
            self._library.set_abort_callback(self.context, self._watch if wanted else _UNWATCHED, None)
            self._watched = wanted

    def _keep(self, count: int) -> None:
        """Forget all but the first tokens; all of them where the model's memory cannot be cut."""
        if self._end is not None and count < self._end[0]:
            self._end = None
        if not self.context:
            self._read = 0
            return
        memory = self._library.get_memory(self.context)
        cut = count and self._library.memory_seq_rm(memory, 0, count, -1)
        if cut and self._library.memory_seq_pos_max(memory, 0) == count - 1:
            self._read = count
        else:
            self._library.memory_clear(memory, True)
            self._read, self._end = 0, None

    def _saved(self) -> Any:
        """Keys and values of what was read, to be put into another context."""
        size = self._library.state_seq_get_size(self.context, 0)
        saved = (structs.Byte * size)()
        return (
            saved
            if self._library.state_seq_get_data(self.context, addressof(saved), size, 0) == size
            else None
        )


def _common(before: list[int], now: list[int], most: int) -> int:
    """With how many equal tokens two lists begin, no more than ``most``."""
    most = min(most, len(now))
    if before[:most] == now[:most]:
        return most
    return next(place for place in range(most) if before[place] != now[place])
