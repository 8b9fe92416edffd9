"""Draws the next token, in C: the samplers of libllama in the order of ``transformers.generate``.

Repetition penalty over prompt and answer, frequency and presence penalties over the answer, temperature, top-k, top-p,
min-p, draw (transformers: ``GenerationMixin._get_logits_processor``). Each token of an answer is drawn by a generator
of its own, seeded with the request's seed and the token's place: an answer that is continued later goes on as it would
have gone on at once.
"""

from __future__ import annotations

from math import isnan

from firstlight.runtime.engines.llama import candidates
from firstlight.runtime.engines.llama.grammars import Grammar
from firstlight.runtime.engines.llama.structs import ChainParameters
from firstlight.runtime.errors import EngineError
from firstlight.runtime.generation.wishes import Token

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from firstlight.runtime.engines.llama.candidates import Table
    from firstlight.runtime.engines.llama.library import Library
    from firstlight.runtime.engines.llama.weights import Weights
    from firstlight.runtime.generation.wishes import Sampling

_COLDEST = 1e-5  # a temperature below would divide logits to infinity
_MASK = (1 << 64) - 1


class Sampler:
    """Draws the tokens of one answer.

    Args:
        library: the loaded libllama.
        weights: the model.
        table: room for its vocabulary; used where a grammar or log-probabilities ask for it.
        sampling: what is wished.
        prompt: all tokens so far, ``sampling.generated`` of them of the answer.

    Raises:
        InvalidInput: the grammar is none, or what was generated does not follow it.
    """

    def __init__(
        self,
        library: Library,
        weights: Weights,
        table: Table | None,
        sampling: Sampling,
        prompt: Sequence[int],
    ) -> None:
        self._library = library
        self._weights = weights
        self._table = table
        self._sampling = sampling
        self._chain = self._length = 0
        answer = prompt[len(prompt) - sampling.generated :]
        self._grammar = Grammar(library, weights.vocabulary, sampling.grammar) if sampling.grammar else None
        if self._grammar is not None:
            for token in answer:
                self._grammar.accept(token)
        self._chain = library.sampler_chain_init(ChainParameters(True))
        self._add_penalties(prompt, answer)
        if sampling.temperature > 0:
            self._add_warpers()
        else:
            self._add(library.sampler_init_greedy())

    def __del__(self) -> None:
        self.close()

    def close(self) -> None:
        """Give the memory back."""
        chain, self._chain = self.__dict__.get("_chain", 0), 0
        if chain:
            self._library.sampler_free(chain)
        if self.__dict__.get("_grammar") is not None:
            self._grammar.close()  # type: ignore[union-attr]

    def draw(self, context: int, position: int) -> Token:
        """The next token.

        Args:
            context: libllama's name for what was read last.
            position: place of the token in the answer, from 0.

        Raises:
            EngineError: the grammar allows nothing that the vocabulary can write.
        """
        sampling = self._sampling
        if self._grammar is None and sampling.logprobs is None and position >= sampling.min_tokens:
            return Token(self._drawn(context, position))
        numbers = candidates.logits(self._library, context, self._weights.count)
        total, top = 0.0, ()  # type: tuple[float, Sequence[tuple[int, float]]]
        if sampling.logprobs is not None and self._table is not None:
            total, top = self._table.probabilities(numbers, sampling.logprobs)
        before = {token: numbers[token] for token in self._forbidden(position)}
        for token in before:
            numbers[token] = float("-inf")
        if self._grammar is None:
            chosen = self._drawn(context, position)
        else:
            chosen = self._constrained(numbers, position, before)
        if sampling.logprobs is None:
            return Token(chosen)
        logprob = before.get(chosen, numbers[chosen]) - total
        return Token(chosen, None if isnan(logprob) else logprob, top)

    def _drawn(self, context: int, position: int) -> int:
        """Draw from what the library has, without a copy of it."""
        self._seed(position, 0)
        token: int = self._library.sampler_sample(self._chain, context, -1)
        self._unseed()
        return token

    def _constrained(self, numbers: memoryview[float], position: int, before: dict[int, float]) -> int:
        """Draw under the grammar: freely at first, and again among what it allows where it does not allow that.

        To look at all of a vocabulary takes milliseconds, at one token microseconds. The second draw has a generator
        of its own, so that together they draw from what is allowed as one draw would.
        """
        grammar, table = self._grammar, self._table
        assert grammar is not None and table is not None  # noqa: S101, PT018
        chosen = self._chosen(table, numbers, position, 0)
        if chosen is None or not grammar.allows(chosen):
            chosen = self._chosen(table, numbers, position, 1)
        if chosen is None and before:  # only an end is allowed, and it is too early for one: the grammar wins
            for token, logit in before.items():
                numbers[token] = logit
            chosen = self._chosen(table, numbers, position, 1)
        if chosen is None:
            raise EngineError("no token of this model's vocabulary can go on under the grammar")
        self._library.sampler_accept(self._chain, chosen)
        grammar.accept(chosen)
        return chosen

    def _chosen(self, table: Table, numbers: memoryview[float], position: int, attempt: int) -> int | None:
        table.fill(numbers)
        if attempt and self._grammar is not None:
            self._grammar.restrict(table)
        self._seed(position, attempt)
        table.apply(self._chain)
        self._unseed()
        return table.chosen()

    def _forbidden(self, position: int) -> Sequence[int]:
        return self._weights.endings() if position < self._sampling.min_tokens else ()

    def _seed(self, position: int, attempt: int) -> None:
        if self._sampling.temperature > 0:
            seed = mixed(self._sampling.seed, position, attempt)
            self._library.sampler_chain_add(self._chain, self._library.sampler_init_dist(seed))

    def _unseed(self) -> None:
        if self._sampling.temperature > 0:
            self._library.sampler_free(self._library.sampler_chain_remove(self._chain, self._length))

    def _add(self, sampler: int) -> None:
        self._library.sampler_chain_add(self._chain, sampler)
        self._length += 1

    def _add_penalties(self, prompt: Sequence[int], answer: Sequence[int]) -> None:
        sampling = self._sampling
        if sampling.repetition_penalty != 1:
            self._add_penalty(prompt, sampling.repetition_penalty, 0, 0)
        if sampling.frequency_penalty or sampling.presence_penalty:
            self._add_penalty(answer, 1, sampling.frequency_penalty, sampling.presence_penalty)

    def _add_penalty(
        self, tokens: Sequence[int], repetition: float, frequency: float, presence: float
    ) -> None:
        library = self._library
        # Until llama.cpp 0.5 the first argument was what the second is now, the number of tokens that are remembered.
        memory = max(self._weights.count, 1 << 20)
        sampler = library.sampler_init_penalties(memory, memory, repetition, frequency, presence)
        for token in tokens:
            library.sampler_accept(sampler, token)
        self._add(sampler)

    def _add_warpers(self) -> None:
        sampling, library = self._sampling, self._library
        if sampling.temperature != 1:
            self._add(library.sampler_init_temp(max(sampling.temperature, _COLDEST)))
        if 0 < sampling.top_k < self._weights.count:
            self._add(library.sampler_init_top_k(sampling.top_k))
        if sampling.top_p < 1:
            self._add(library.sampler_init_top_p(sampling.top_p, 1))
        if sampling.min_p > 0:
            self._add(library.sampler_init_min_p(sampling.min_p, 1))


def mixed(seed: int, position: int, attempt: int) -> int:
    """A seed of 32 bits for one draw (SplitMix64's finalizer, Steele et al. 2014); never the library's "any seed"."""
    state = (seed * 0x9E3779B97F4A7C15 + (2 * position + attempt + 1) * 0xD1342543DE82EF95) & _MASK
    state = ((state ^ (state >> 30)) * 0xBF58476D1CE4E5B9) & _MASK
    state = ((state ^ (state >> 27)) * 0x94D049BB133111EB) & _MASK
    return min((state ^ (state >> 31)) >> 32, 0xFFFFFFFE)
