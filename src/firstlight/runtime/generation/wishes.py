"""What a request wishes of a generation, in one form for all engines: how tokens are drawn, or answers searched."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence


class Sampling:
    """How the next token of a decoder-only model is drawn.

    Logits are changed in the order of ``transformers.generate``: repetition penalty, frequency and presence penalties,
    temperature, top-k, top-p, min-p. The token at position ``i`` of an answer is drawn by a generator seeded with
    ``seed`` and ``i`` alone, so that an answer cut in two draws what the whole one would have drawn.

    Attributes:
        max_tokens: tokens of the answer at most, those of earlier calls included; None is what the context holds.
        temperature: 0 takes the likeliest token.
        top_k: 0 is no limit.
        top_p, min_p: 1.0 and 0.0 are no limit.
        repetition_penalty: above 1 divides (or multiplies) the logits of every token of prompt and answer; 1 is none.
        frequency_penalty, presence_penalty: as OpenAI defines them, over the answer; 0 is none.
        seed: of the generator.
        min_tokens: the end token is not drawn before that many.
        generated: how many tokens at the end of the prompt are an answer's beginning, from an earlier call.
        logprobs: how many likeliest tokens to tell of with each token, its own log-probability always; None is neither.
        grammar: GBNF (llama.cpp's grammar notation) that the answer has to follow; empty for none.
    """

    __slots__ = (
        "frequency_penalty",
        "generated",
        "grammar",
        "logprobs",
        "max_tokens",
        "min_p",
        "min_tokens",
        "presence_penalty",
        "repetition_penalty",
        "seed",
        "temperature",
        "top_k",
        "top_p",
    )

    def __init__(
        self,
        max_tokens: int | None = None,
        temperature: float = 0.0,
        top_k: int = 0,
        top_p: float = 1.0,
        min_p: float = 0.0,
        repetition_penalty: float = 1.0,
        frequency_penalty: float = 0.0,
        presence_penalty: float = 0.0,
        seed: int = 0,
        min_tokens: int = 0,
        generated: int = 0,
        logprobs: int | None = None,
        grammar: str = "",
    ) -> None:
        self.max_tokens = max_tokens
        self.temperature = temperature
        self.top_k = top_k
        self.top_p = top_p
        self.min_p = min_p
        self.repetition_penalty = repetition_penalty
        self.frequency_penalty = frequency_penalty
        self.presence_penalty = presence_penalty
        self.seed = seed
        self.min_tokens = min_tokens
        self.generated = generated
        self.logprobs = logprobs
        self.grammar = grammar


class Token:
    """One generated token.

    Attributes:
        id: in the model's vocabulary.
        logprob: natural logarithm of the probability the model gave it before any change of the logits; None where
            it was not asked for.
        top: the likeliest tokens at its place as (id, logprob), best first; empty where not asked for.
    """

    __slots__ = ("id", "logprob", "top")

    def __init__(self, id: int, logprob: float | None = None, top: Sequence[tuple[int, float]] = ()) -> None:  # noqa: A002
        self.id = id
        self.logprob = logprob
        self.top = top


class Search:
    """How an encoder-decoder model's answer is searched; the rules are those of ``transformers.generate``.

    Attributes:
        num_beams: hypotheses kept while searching; 1 is greedy, or draws where ``temperature`` is above 0.
        max_tokens: tokens to generate at most, the forced first ones not counted.
        min_tokens: the end token is not taken before that many.
        length_penalty: exponent of the length by which a hypothesis' score is divided.
        early_stopping: end as soon as ``num_beams`` hypotheses are complete; ``never``: when none can become better.
        repetition_penalty: above 1 makes tokens of the answer less likely to come again.
        no_repeat_ngram: no run of that many tokens comes twice; 0 allows all.
        answers: hypotheses to return, at most ``num_beams`` where that is above 1.
        temperature, top_k, top_p, seed: as in ``Sampling``; only where ``num_beams`` is 1.
    """

    __slots__ = (
        "answers",
        "early_stopping",
        "length_penalty",
        "max_tokens",
        "min_tokens",
        "no_repeat_ngram",
        "num_beams",
        "repetition_penalty",
        "seed",
        "temperature",
        "top_k",
        "top_p",
    )

    def __init__(
        self,
        num_beams: int = 1,
        max_tokens: int = 256,
        min_tokens: int = 0,
        length_penalty: float = 1.0,
        early_stopping: bool | str = False,
        repetition_penalty: float = 1.0,
        no_repeat_ngram: int = 0,
        answers: int = 1,
        temperature: float = 0.0,
        top_k: int = 0,
        top_p: float = 1.0,
        seed: int = 0,
    ) -> None:
        self.num_beams = num_beams
        self.max_tokens = max_tokens
        self.min_tokens = min_tokens
        self.length_penalty = length_penalty
        self.early_stopping = early_stopping
        self.repetition_penalty = repetition_penalty
        self.no_repeat_ngram = no_repeat_ngram
        self.answers = answers
        self.temperature = temperature
        self.top_k = top_k
        self.top_p = top_p
        self.seed = seed


class Hypothesis:
    """One answer of a search.

    Attributes:
        units: token ids, or tokens where the engine speaks those; neither the forced first ones nor the end token.
        score: sum of log-probabilities divided by the length penalty; None where the engine does not say.
        whole: whether it ended by itself; False when the limit or the deadline cut it.
    """

    __slots__ = ("score", "units", "whole")

    def __init__(
        self, units: Sequence[int] | Sequence[str], score: float | None = None, whole: bool = True
    ) -> None:
        self.units = units
        self.score = score
        self.whole = whole
