"""What a chat template's work may cost."""

from __future__ import annotations

from collections.abc import Mapping
from time import monotonic

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

STEPS = 300_000
"""Loops, calls, filters and operators. A chat of a thousand messages takes a tenth of it."""

LETTERS = 4_000_000
LETTERS_PER_LETTER = 40
"""A template may handle so many letters for each letter of the messages, besides ``LETTERS``."""

SECONDS = 5.0
_CHECK_TIME_EVERY = 64


class TooMuch(Exception):
    """A template has used up what one rendering may cost."""


class Budget:
    """What one rendering may still cost.

    Args:
        letters: of all the texts it makes.
    """

    def __init__(self, letters: int) -> None:
        self.steps = STEPS
        self.letters = letters
        self.until = monotonic() + SECONDS

    def spend(self, letters: int = 0) -> None:
        """Count one step, and so many letters.

        Raises:
            TooMuch: there is not enough left.
        """
        self.steps -= 1
        self.letters -= letters
        if self.steps < 0 or self.letters < 0:
            raise TooMuch(f"it takes more than {STEPS} steps, or makes too much text")
        if self.steps % _CHECK_TIME_EVERY == 0 and monotonic() > self.until:
            raise TooMuch(f"it takes longer than {SECONDS:g} seconds")

    def weigh(self, value: Any) -> None:
        """Count all the text in a value, before it is written out."""
        if isinstance(value, str):
            self.spend(len(value))
        elif isinstance(value, Mapping):
            for key, inner in value.items():
                self.weigh(key)
                self.weigh(inner)
        elif isinstance(value, (list, tuple)):
            for inner in value:
                self.weigh(inner)
        else:
            self.spend(20)
