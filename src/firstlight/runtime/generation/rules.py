"""What may and may not come next in an answer, worked out of the tokens so far, as ``transformers.generate`` does.

Sources: ``transformers.generation.logits_process`` 4.57 (the processors are named at each rule), and the order in
which ``GenerationMixin._get_logits_processor`` applies them.
"""

from __future__ import annotations

from firstlight.runtime.errors import BundleError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Any

    from firstlight.runtime.generation.wishes import Search

    Place = tuple[int, int]


class Rules:
    """The rules that belong to a model, not to a request.

    Args:
        settings: as ``bundle.json`` has them under ``model``.

    Attributes:
        start: the decoder's first token.
        end: tokens that end an answer.
        begin: what every answer begins with where a request asks for nothing else.
        forced_end: tokens of which one is the last where the limit is reached; empty where there is no such rule.
        bad: sequences of tokens that may not come.
        suppressed, suppressed_first: tokens that may not come, or not as the first one.
        source_ngram: no run of that many tokens of the source comes in the answer; 0 allows all.
        vocabulary: how many tokens there are.
        positions: how many tokens the decoder takes; 0 is no limit.

    Raises:
        BundleError: a setting is missing or of the wrong type.
    """

    def __init__(self, settings: Mapping[str, Any]) -> None:
        self.start: int = _number(settings, "start")
        self.vocabulary: int = _number(settings, "vocabulary")
        self.positions: int = _number(settings, "positions", 0)
        self.source_ngram: int = _number(settings, "source_ngram", 0)
        self.end = _numbers(settings, "end")
        self.begin = _numbers(settings, "begin")
        self.forced_end = _numbers(settings, "forced_end")
        self.suppressed = _numbers(settings, "suppressed")
        self.suppressed_first = _numbers(settings, "suppressed_first")
        self.bad = [_numbers({"bad": words}, "bad") for words in settings.get("bad", ())]

    def limit(self, search: Search, begun: int) -> int:
        """The longest row a search may reach, the tokens it begins with and the last one included."""
        most = begun + search.max_tokens
        return min(most, self.positions + 1) if self.positions else most

    def exhausted(self, length: int) -> bool:
        """Whether a row is as long as the model can make one: it ends there, whoever asks for more."""
        return 0 < self.positions < length

    def bound(self, search: Search, begun: int, source: Sequence[int]) -> Bound:
        """The rules of one search.

        Args:
            begun: how many tokens every row begins with.
            source: tokens of the source.
        """
        return Bound(self, search, begun, source)


class Bound:
    """The rules of a model and of a request together.

    Attributes:
        penalty: the repetition penalty; 1 is none.
    """

    def __init__(self, rules: Rules, search: Search, begun: int, source: Sequence[int]) -> None:
        self.penalty = search.repetition_penalty
        self._rules = rules
        self._begun = begun
        self._least = begun + search.min_tokens
        self._ngram = search.no_repeat_ngram
        ends = [[end] for end in rules.end]
        self._bad = [words for words in rules.bad if words not in ends]  # NoBadWordsLogitsProcessor
        size = rules.source_ngram
        self._of_source = _continuations(source, size) if size else {}

    def forced(self, length: int, limit: int) -> Sequence[int]:
        """Tokens of which one has to come now; empty where any may (ForcedEOSTokenLogitsProcessor)."""
        return self._rules.forced_end if length == limit - 1 else ()

    def banned(self, rows: Sequence[list[int]]) -> list[Place]:
        """(row, token) that may not come, for rows of one length."""
        found: list[Place] = []
        for place, row in enumerate(rows):
            found += [(place, token) for token in self._banned(row)]
        return found

    def _banned(self, row: list[int]) -> list[int]:
        rules, length = self._rules, len(row)
        tokens = list(rules.suppressed)  # SuppressTokensLogitsProcessor
        if length == self._begun:  # SuppressTokensAtBeginLogitsProcessor
            tokens += rules.suppressed_first
        if length < self._least:  # MinNewTokensLengthLogitsProcessor
            tokens += rules.end
        if self._ngram and length + 1 >= self._ngram:
            tokens += _following(row, self._ngram)
        if self._of_source:
            tokens += self._of_source.get(_tail(row, rules.source_ngram - 1), ())
        for words in self._bad:
            if len(words) <= length and _tail(row, len(words) - 1) == tuple(words[:-1]):
                tokens.append(words[-1])
        return tokens


def _tail(row: list[int], size: int) -> tuple[int, ...]:
    return tuple(row[len(row) - size :]) if size else ()


def _following(row: list[int], size: int) -> list[int]:
    """What has followed the last ``size - 1`` tokens of a row before (NoRepeatNGramLogitsProcessor)."""
    last = row[len(row) - size + 1 :] if size > 1 else []
    return [row[at + size - 1] for at in range(len(row) - size + 1) if row[at : at + size - 1] == last]


def _continuations(source: Sequence[int], size: int) -> dict[tuple[int, ...], list[int]]:
    """What follows each run of ``size - 1`` tokens of the source (EncoderNoRepeatNGramLogitsProcessor)."""
    found: dict[tuple[int, ...], list[int]] = {}
    for at in range(len(source) - size + 1):
        found.setdefault(tuple(source[at : at + size - 1]), []).append(source[at + size - 1])
    return found


def _number(settings: Mapping[str, Any], name: str, absent: int | None = None) -> int:
    value = settings.get(name, absent)
    if type(value) is not int or value < 0:
        raise BundleError(f"model.{name} in bundle.json is {value!r}, which is no number from 0 up", _AGAIN)
    return value


def _numbers(settings: Mapping[str, Any], name: str) -> list[int]:
    values = settings.get(name, [])
    if not isinstance(values, list) or not all(type(value) is int and value >= 0 for value in values):
        raise BundleError(f"model.{name} in bundle.json is {values!r}, which is no list of tokens", _AGAIN)
    return values


_AGAIN = "make the bundle again from its model"
