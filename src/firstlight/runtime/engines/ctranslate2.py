"""Encoder-decoder models on CTranslate2: a ``SequenceEngine`` that speaks tokens.

A bundle of this engine is a folder CTranslate2 opens itself (config.json, model.bin and a vocabulary), with
tokenizer.json beside it. Greedy answers come token by token. A search with several hypotheses is one call that nothing
can end, so it is only begun for as many tokens as the time allows.
"""

from __future__ import annotations

from itertools import accumulate
from time import perf_counter

from firstlight.runtime import jsons, notes
from firstlight.runtime.engines import ctranslate2_library
from firstlight.runtime.engines.cpus import threads
from firstlight.runtime.engines.ctranslate2_ranking import Found, kept, patience
from firstlight.runtime.errors import EngineError
from firstlight.runtime.generation.wishes import Hypothesis

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from typing import Any

    from firstlight.runtime.bundle import Bundle
    from firstlight.runtime.deadline import Deadline
    from firstlight.runtime.engines.ctranslate2_library import Run
    from firstlight.runtime.generation.wishes import Search

_SLOWEST = 2e9
"""Bytes of weights a step goes through in a second, at least, before the machine's own pace is known."""

_SOURCE = 12
"""Tokens of a source that are read in the time one token of the answer takes, at least."""

_CAUTION = 1.3
"""The next search may take that much longer than the one before."""

_PROBE = 2
"""Tokens of the search that measures the pace."""


class Translator:
    """Generates tokens from tokens.

    Args:
        bundle: its folder holds the converted model; ``model.never`` lists sequences of tokens that may not come.

    Raises:
        MissingExtra: ctranslate2 is not installed.
        EngineError: ctranslate2 cannot load the model.
    """

    units = "tokens"

    def __init__(self, bundle: Bundle) -> None:
        path = bundle.file("config.json")
        weights = bundle.model.get("file", "model.bin")
        self._weights = bundle.file(weights)
        self._bytes = bundle.files[weights]["size"]
        self._never = bundle.model.get("never")
        self._forced_end = bundle.defaults.get("generation", {}).get("forced_eos_token_id") is not None
        try:
            with open(path, "rb") as file:  # noqa: PTH123 - pathlib costs 5 ms
                self._end: str = jsons.loads(file.read())["eos_token"]
        except (OSError, ValueError, KeyError) as error:
            raise EngineError(
                f"ctranslate2 cannot load {bundle.path}: config.json has no eos_token"
            ) from error
        self._translator: Any = ctranslate2_library.opened("Translator", bundle.path, threads())
        self._pace: dict[int, float] = {}
        self._run: Run | None = None
        import atexit

        atexit.register(self.close)

    def close(self) -> None:
        """End what is going on and the library's threads: one that calls back into an ending interpreter aborts."""
        if self._run is not None:
            self._run.stop()
        self._translator = None

    def search(
        self, source: Sequence[str], prefix: Sequence[str], search: Search, deadline: Deadline
    ) -> list[Hypothesis]:
        """The best answers; see ``types.SequenceEngine.search``.

        Where the time is too short for ``max_tokens`` the search is for fewer, and those it cuts are not ``whole``.
        """
        if search.num_beams == 1:
            return [self._drawn(source, prefix, search, deadline) for _ in range(max(1, search.answers))]
        tokens = self._bound(source, prefix, search, deadline)
        if tokens < 1:
            return []
        begun = len(prefix)
        found = self._searched(source, prefix, search, tokens)
        most = begun + search.max_tokens
        best = kept(found, search, most, lambda those: self._sums(source, begun, those))
        return [
            Hypothesis(one.tokens[begun : len(one.tokens) - one.whole], one.score, one.whole)
            for one in best[: max(1, search.answers)]
        ]

    def stream(
        self, source: Sequence[str], prefix: Sequence[str], search: Search, deadline: Deadline
    ) -> Iterator[str]:
        """Each token of the one answer when it is known; see ``types.SequenceEngine.stream``."""
        if deadline.passed:
            return
        options = self._options(prefix, search, search.max_tokens)
        if search.temperature:
            notes.warn("ctranslate2 draws without a seed: the same request may be answered differently")
            options["sampling_topk"] = search.top_k
            options["sampling_topp"] = search.top_p
            options["sampling_temperature"] = search.temperature
        run = ctranslate2_library.Run(
            lambda step: self._translator.translate_batch([source], beam_size=1, callback=step, **options),
            deadline,
        )
        self._run = run
        try:
            for step in run.steps():
                if step.step >= len(prefix) and step.token != self._end:
                    yield step.token
        finally:
            run.stop()
            self._run = None

    def settle(self) -> None:
        """Give back memory: weights that other workers have too, and what loading them has left."""
        ctranslate2_library.shrink(self._weights)

    def _drawn(
        self, source: Sequence[str], prefix: Sequence[str], search: Search, deadline: Deadline
    ) -> Hypothesis:
        """One answer of the greedy search, or a drawn one."""
        units = list(self.stream(source, prefix, search, deadline))
        return Hypothesis(units, None, len(units) < search.max_tokens and not deadline.passed)

    def _searched(
        self, source: Sequence[str], prefix: Sequence[str], search: Search, tokens: int
    ) -> list[Found]:
        """All hypotheses that were completed."""
        more = patience(search)
        options = self._options(prefix, search, tokens)
        start = perf_counter()
        try:
            (result,) = self._translator.translate_batch(
                [source],
                beam_size=search.num_beams,
                num_hypotheses=round(search.num_beams * more),
                patience=more,
                length_penalty=search.length_penalty,
                return_scores=True,
                **options,
            )
        except (RuntimeError, ValueError) as error:
            raise EngineError(f"ctranslate2 cannot run this input: {error}") from error
        steps = max(map(len, result.hypotheses)) + len(source) / _SOURCE
        self._pace[search.num_beams] = (perf_counter() - start) / steps
        pairs = zip(result.hypotheses, result.scores, strict=True)
        return [
            Found(tokens, score, tokens[-1:] == [self._end], search, self._forced_end)
            for tokens, score in pairs
        ]

    def _sums(self, source: Sequence[str], begun: int, found: Sequence[Found]) -> list[list[float]]:
        """The sums of log-probabilities of every beginning; what an answer had to begin with is certain."""
        texts = [one.tokens[: len(one.tokens) - one.whole] for one in found]
        try:
            results = self._translator.score_batch([source] * len(texts), texts, max_input_length=0)
        except (RuntimeError, ValueError) as error:
            raise EngineError(f"ctranslate2 cannot run this input: {error}") from error
        return [list(accumulate([0.0] * begun + result.log_probs[begun:])) for result in results]

    def _options(self, prefix: Sequence[str], search: Search, tokens: int) -> dict[str, Any]:
        """What greedy and beam search share; lengths count the prefix."""
        begun = len(prefix)
        most = max(1, begun + tokens - self._forced_end)
        return {
            "target_prefix": [prefix] if begun else None,
            "max_decoding_length": most,
            "min_decoding_length": min(begun + search.min_tokens, most),
            "repetition_penalty": search.repetition_penalty,
            "no_repeat_ngram_size": search.no_repeat_ngram,
            "suppress_sequences": self._never,
            "return_end_token": True,
            "max_input_length": 0,
        }

    def _bound(self, source: Sequence[str], prefix: Sequence[str], search: Search, deadline: Deadline) -> int:
        """How many tokens a search may have for all of them to be there in time; 0 where there is no time at all."""
        if deadline.passed:
            return 0
        tokens, left = search.max_tokens, deadline.left
        reading = len(prefix) + len(source) / _SOURCE
        pace = self._pace.get(search.num_beams)
        if pace is None:
            if (tokens + reading) * self._bytes / _SLOWEST < left:
                return tokens
            self._searched(source, prefix, search, min(_PROBE, tokens))
            left = deadline.left
            pace = self._pace[search.num_beams]
        return max(0, int(min(tokens, left / (pace * _CAUTION) - reading)))
