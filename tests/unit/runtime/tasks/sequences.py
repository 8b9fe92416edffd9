"""An encoder-decoder engine without weights, and tokenizers of the kinds such models have."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors

from firstlight.runtime.deadline import NEVER, Deadline
from firstlight.runtime.generation.wishes import Hypothesis, Search
from firstlight.runtime.tokenizers.hf import HfTokenizer

START, END = "<s>", "</s>"


class Clock:
    """A time that moves when it is told to, in place of ``monotonic``."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now

    def deadline(self, seconds: float) -> Deadline:
        """A deadline on this clock."""
        clock = self

        class _Deadline(Deadline):
            __slots__ = ()

            @property
            def passed(self) -> bool:
                return clock.now >= self.at

            @property
            def left(self) -> float:
                return self.at - clock.now

            def sooner(self, seconds: float | None) -> Deadline:
                return self if seconds is None else clock.deadline(min(self.left, seconds))

        return _Deadline(self.now + seconds)


class Writer:
    """A ``SequenceEngine`` that answers with what a function makes of the source's own tokens.

    Args:
        tokenizer: of the model.
        answer: ids of the source without special ones -> ids of the answer. Hypothesis ``n`` lacks the last ``n``.
        units: what it speaks.
        clock, step: how far each token moves a clock.
    """

    def __init__(
        self,
        tokenizer: HfTokenizer,
        answer: Callable[[list[int]], list[int]] = list,
        units: str = "ids",
        clock: Clock | None = None,
        step: float = 0.0,
    ) -> None:
        self.units = units
        self.asked: list[tuple[list[Any], list[Any], Search]] = []
        self.closed = 0
        self._tokenizer = tokenizer
        self._answer = answer
        self._clock = clock or Clock()
        self._step = step
        self._special = {tokenizer.id(token) for token in (START, END)}

    def search(
        self, source: Sequence[Any], prefix: Sequence[Any], search: Search, deadline: Deadline
    ) -> list[Hypothesis]:
        """The answer, and shorter ones."""
        whole = self._whole(source, prefix, search)
        found = []
        for number in range(search.answers):
            units = whole[: max(0, len(whole) - number)]
            ended = len(units) < search.max_tokens
            units = units[: search.max_tokens]
            found.append(Hypothesis(units, 0.0, ended))
        steps = min(len(whole), search.max_tokens) * search.num_beams
        taken = self._tick(steps, deadline)
        if taken < steps:
            return [Hypothesis(whole[: taken // search.num_beams], 0.0, whole=False)]
        return found

    def stream(
        self, source: Sequence[Any], prefix: Sequence[Any], search: Search, deadline: Deadline
    ) -> Iterator[Any]:
        """The answer unit by unit."""
        try:
            for unit in self._whole(source, prefix, search)[: search.max_tokens]:
                if not self._tick(1, deadline):
                    return
                yield unit
        except GeneratorExit:
            self.closed += 1
            raise

    def settle(self) -> None:
        """Nothing to do."""

    def _whole(self, source: Sequence[Any], prefix: Sequence[Any], search: Search) -> list[Any]:
        self.asked.append((list(source), list(prefix), search))
        ids = [self._tokenizer.id(unit) if self.units == "tokens" else unit for unit in source]
        answer = self._answer([one for one in ids if one not in self._special])
        if search.temperature:
            answer = answer[search.seed % 5 :] + answer[: search.seed % 5]
        forced = [
            unit
            for unit in prefix
            if str(self._tokenizer.token(unit) if self.units == "ids" else unit) in ("__fr__",)
        ]
        answer = answer[len(prefix) - len(forced) :]
        return [self._tokenizer.token(one) for one in answer] if self.units == "tokens" else answer

    def _tick(self, steps: int, deadline: Deadline) -> int:
        for done in range(steps):
            if deadline.passed:
                return done
            self._clock.now += self._step
        return steps


def words(folder: Path, *more: str) -> HfTokenizer:
    """A tokenizer of words and letters in the manner of SentencePiece: `` a word`` is ``▁a`` ``▁word``."""
    letters = [chr(code) for code in range(33, 127)] + list("éàçœ。、春が来た花咲くこれは本です…“”")
    known = [
        "the",
        "cat",
        "sat",
        "on",
        "mat",
        "a",
        "dog",
        "barked",
        "and",
        "we",
        "went",
        "home",
        "it",
        "was",
        "late",
    ]
    pieces = [("<unk>", 0.0), (START, 0.0), (END, 0.0), *((token, 0.0) for token in more), ("▁", -3.0)]
    pieces += [(letter, -6.0) for letter in letters]
    pieces += [(f"▁{word}", -2.0) for one in known for word in dict.fromkeys((one, one.capitalize()))]
    made = Tokenizer(models.Unigram(pieces, 0, byte_fallback=False))
    made.normalizer = normalizers.Sequence([normalizers.Replace(Regex(r"\s+"), " "), normalizers.Strip()])
    made.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="always")
    made.decoder = decoders.Metaspace(prepend_scheme="always")
    made.add_special_tokens([START, END, *more])
    made.post_processor = processors.TemplateProcessing(single=f"$A {END}", special_tokens=[(END, 2)])
    return _saved(made, folder / "words.json")


def bytes_of_text(folder: Path) -> HfTokenizer:
    """A byte-level tokenizer whose tokens are single bytes, in the manner of BART: ``<s> text </s>``."""
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    vocabulary = {token: number for number, token in enumerate([START, END, "<unk>", *alphabet])}
    made = Tokenizer(models.BPE(vocabulary, [], unk_token="<unk>"))
    made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    made.decoder = decoders.ByteLevel()
    made.add_special_tokens([START, END])
    made.post_processor = processors.RobertaProcessing(
        (END, 1), (START, 0), trim_offsets=False, add_prefix_space=False
    )
    return _saved(made, folder / "bytes.json")


def _saved(made: Tokenizer, path: Path) -> HfTokenizer:
    made.save(str(path))
    return HfTokenizer(str(path))


def bundle_of(task: str, **defaults: Any) -> SimpleNamespace:
    """What a task reads of a bundle."""
    digest = hashlib.sha256(json.dumps([task, defaults], sort_keys=True).encode()).hexdigest()
    return SimpleNamespace(name="small", task=task, labels=[], defaults=defaults, digest=digest)


def whole(
    task: Any, engine: Writer, text: Any, deadline: Deadline = NEVER, *, live: bool = False, **parameters: Any
) -> Any:
    """A task's answer, as ``Model`` makes it of the last event; of all of them where it is ``live``."""
    items, single, checked = task.check(text, parameters)
    answers = []
    for item in items:
        asked = (engine, item, checked, deadline)
        answers.append(task.answer(item, list(task.stream(*asked)) if live else [task.last(*asked)], checked))
    return answers[0] if single else answers


def events(
    task: Any, engine: Writer, text: str, deadline: Deadline = NEVER, **parameters: Any
) -> list[dict[str, Any]]:
    """The events of one text."""
    (item,), _, checked = task.check(text, parameters)
    return list(task.stream(engine, item, checked, deadline))


def said(found: list[dict[str, Any]]) -> str:
    """The texts of events, put together."""
    return "".join(event["token"]["text"] for event in found)
