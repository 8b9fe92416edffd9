"""The graphs of a bundle against those they were made of: both run on the same tokens, their numbers compared."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from firstlight.build.convert.onnx_seq2seq_graphs import PAST, PRESENT
from firstlight.build.convert.onnx_seq2seq_run import Run, Values
from firstlight.build.convert.onnx_seq2seq_search import plain

Floats = NDArray[np.float32]

_LENGTHS = (1, 7, 300)
"""Tokens of the sources; the last is longer than the windows that some kinds of attention have."""

_STEPS = 3
_ROWS = 2
_BEST = 8
LIMITS = {"fp32": 2e-3, "fp16": 1e-1, "int8": 1.0, "q4": 1.0}
"""The largest difference of a log-probability, by precision. Whole numbers of eight bits round to other ones where
their sums are added up in another order."""


class Original:
    """The graphs of the repository, step by step.

    Args:
        encoder: file.
        decoders: one file, or that of the first step and that of the next ones.
        pack: pack their weights.
    """

    def __init__(self, encoder: Path, decoders: Sequence[Path], pack: bool) -> None:
        self._encoder = Run(encoder, pack=pack)
        self._first, *rest = (Run(file, pack=pack) for file in decoders)
        self._next = rest[0] if rest else self._first
        self.cache: Values = {}
        self._states: Values = {}

    def first(self, source: NDArray[np.int64], tokens: NDArray[np.int64]) -> Floats:
        """Log-probabilities after the first tokens [rows, vocabulary]; every row has the same source."""
        rows = len(tokens)
        ones = np.ones_like(source)
        states = next(iter(self._encoder({"input_ids": source, "attention_mask": ones}).values()))
        wide = np.repeat(states, rows, axis=0)
        self._states = {
            "encoder_hidden_states": wide,
            "encoder_attention_mask": np.repeat(ones, rows, axis=0),
        }
        empty = {
            name: _empty(value, rows, source.shape[1])
            for name, value in self._first.inputs.items()
            if PAST.fullmatch(name)
        }
        switch = {"use_cache_branch": np.array([False])}
        found = self._first({"input_ids": tokens, **self._states, **empty, **switch})
        self.cache = {_past(name): value for name, value in found.items() if PRESENT.fullmatch(name)}
        return _log_softmax(found["logits"])

    def following(self, tokens: NDArray[np.int64], order: Sequence[int]) -> Floats:
        """The same one token later, the rows of the cache in another order."""
        past = {name: value[list(order)] for name, value in self.cache.items()}
        found = self._next(
            {"input_ids": tokens, **self._states, **past, "use_cache_branch": np.array([True])}
        )
        grown = {
            _past(name): value
            for name, value in found.items()
            if PRESENT.fullmatch(name) and ".decoder." in name
        }
        self.cache = past | grown
        return _log_softmax(found["logits"])


def _empty(value: Any, rows: int, source: int) -> NDArray[Any]:
    """A cache that the switch leaves alone."""
    kind = np.float16 if "float16" in value.type else np.float32
    sizes = [size if isinstance(size, int) else None for size in value.shape]
    length = source if ".encoder." in value.name else 1
    return np.zeros(
        [size if size is not None else (rows, 1, length, 1)[axis] for axis, size in enumerate(sizes)], kind
    )


def _past(name: str) -> str:
    return name.replace("present", "past_key_values", 1)


def _log_softmax(logits: NDArray[Any]) -> Floats:
    last = logits[:, -1].astype(np.float64)
    shifted = last - last.max(axis=-1, keepdims=True)
    normal: Floats = (shifted - np.log(np.exp(shifted).sum(axis=-1, keepdims=True))).astype(np.float32)
    return normal


class Made:
    """The graphs of the bundle, step by step.

    Args:
        out: the bundle's folder.
        graphs: names of the files.
        pack: pack their weights.
    """

    def __init__(self, out: Path, graphs: Mapping[str, str], pack: bool) -> None:
        self._encoder, self._first, self._next = (
            Run(out / graphs[name], 0, pack) for name in ("encoder", "first", "next")
        )
        self._cache: Values = {}

    def first(self, source: NDArray[np.int64], tokens: NDArray[np.int64], count: int, width: int) -> Values:
        """The search's outputs after the first tokens [1, length]."""
        states = self._encoder({"input_ids": source})["last_hidden_state"]
        feeds = {"input_ids": tokens, "encoder_hidden_states": states, "search.width": np.array([width])}
        return self._found(self._first, {**feeds, **plain(1, count)})

    def following(self, tokens: NDArray[np.int64], order: Sequence[int], count: int) -> Values:
        """The same one token later."""
        feeds = {"input_ids": tokens, "search.beams": np.array(order), **self._cache}
        return self._found(self._next, {**feeds, **plain(len(tokens), count)})

    def _found(self, run: Run, feeds: Values) -> Values:
        found = run(feeds)
        self._cache |= {
            _past(name): value
            for name, value in found.items()
            if PRESENT.fullmatch(name) or PAST.fullmatch(name)
        }
        return found


def measure(
    original: Original, made: Made, vocabulary: int, start: int, positions: int, alike: bool
) -> float:
    """The largest difference of a log-probability among the best few of some steps.

    Args:
        positions: tokens that the encoder takes; 0 is no limit.
        alike: feed the source's part of the cache with one row for all.
    """
    numbers = np.random.default_rng(0)
    worst = 0.0
    for length in _LENGTHS:
        source = numbers.integers(0, vocabulary, (1, min(length, positions or length)))
        begun = np.full((1, 1), start)
        exact = original.first(source, np.repeat(begun, _ROWS, axis=0))
        found = made.first(source, begun, min(_BEST, vocabulary), 1 if alike else _ROWS)
        worst = max(worst, _difference(exact[:1], found))
        order = [0] * _ROWS
        for _ in range(_STEPS):
            tokens = numbers.integers(0, vocabulary, (_ROWS, 1))
            exact = original.following(tokens, order)
            found = made.following(tokens, order, min(_BEST, vocabulary) * _ROWS)
            worst = max(worst, _difference(exact, found))
            order = [int(row) for row in numbers.integers(0, _ROWS, _ROWS)]
    return worst


def _difference(exact: Floats, found: Values) -> float:
    ours = found["search.scores"]
    theirs = exact[found["search.parents"], found["search.tokens"]]
    best = np.sort(exact.ravel())[::-1][: len(ours)]
    return float(max(np.abs(ours - theirs).max(), np.abs(ours - best).max()))
