"""Models whose log-probabilities are made of nothing but the tokens so far, and a clock that is counted."""

from __future__ import annotations

from math import exp, inf, log

from firstlight.runtime.generation.beam import single
from firstlight.runtime.generation.chain import mixed
from firstlight.runtime.generation.rules import Rules

END = 0


def rules(vocabulary, **settings):
    return Rules({"start": 1, "end": [END], "vocabulary": vocabulary, **settings})


class Table:
    """A model whose log-probabilities after a row are made of the row alone."""

    def __init__(self, vocabulary, seed=0):
        self.vocabulary = vocabulary
        self.seed = seed
        self.asked = []

    def logits(self, row):
        key = self.seed
        for token in row:
            key = mixed(key, token + 1)
        return [4 * (mixed(key, token) >> 11) / (1 << 53) for token in range(self.vocabulary)]

    def normal(self, row):
        logits = self.logits(row)
        whole = log(sum(exp(value) for value in logits))
        return [value - whole for value in logits]

    def __call__(self, asked):
        self.asked.append(asked)
        found = []
        for place, (row, total) in enumerate(zip(asked.rows, asked.sums, strict=True)):
            scores = self.normal(row) if asked.normalise else self.logits(row)
            for token in set(row) if asked.penalty != 1 else ():
                scores[token] *= asked.penalty if scores[token] < 0 else 1 / asked.penalty
            for banned_row, token in asked.banned:
                if banned_row == place:
                    scores[token] = -inf
            found += [(single(single(score) + total), place, token) for token, score in enumerate(scores)]
        found.sort(key=lambda candidate: candidate[0], reverse=True)
        return found[: asked.count]


class Countdown:
    """A deadline that comes after so many looks at the clock; each look takes a second."""

    def __init__(self, seconds):
        self._left = seconds

    @property
    def left(self):
        self._left -= 1
        return float(self._left)
