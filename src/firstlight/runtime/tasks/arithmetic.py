"""The little arithmetic on scores and vectors that is not in the graph, in plain Python."""

from __future__ import annotations

from math import exp

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from firstlight.runtime.types import Tensor


def floats(tensor: Tensor) -> list[float]:
    """A tensor's numbers as a flat list."""
    found: list[float] = tensor.data.tolist()  # type: ignore[assignment]  # a memoryview's type names ints only
    return found


def rows(tensor: Tensor) -> list[list[float]]:
    """[..., rows, width] as rows."""
    width, numbers = tensor.shape[-1], floats(tensor)
    return [numbers[at : at + width] for at in range(0, len(numbers), width)]


def softmax(logits: Sequence[float]) -> list[float]:
    """Positive numbers that sum to 1; nothing for no logits."""
    if not logits:
        return []
    top = max(logits)
    powers = [exp(value - top) for value in logits]
    total = sum(powers)
    return [power / total for power in powers]


def sigmoid(logits: Sequence[float]) -> list[float]:
    """Each number on its own between 0 and 1."""
    return [1 / (1 + exp(-value)) if value > -700 else 0.0 for value in logits]


def cosine(a: Sequence[float], b: Sequence[float]) -> float:
    """The dot product of two vectors of length 1."""
    return sum(map(_times, a, b))


def unit(vector: Sequence[float]) -> list[float]:
    """The vector with length 1; a vector of zeros as it is."""
    length = sum(map(_times, vector, vector)) ** 0.5 or 1.0
    return [value / length for value in vector]


def mean(vectors: Sequence[Sequence[float]]) -> list[float]:
    """The mean of each column."""
    return [sum(column) / len(vectors) for column in zip(*vectors, strict=True)]


def highest(vectors: Sequence[Sequence[float]]) -> list[float]:
    """The largest number of each column."""
    return [max(column) for column in zip(*vectors, strict=True)]


def best(scores: Sequence[float]) -> int:
    """The place of the largest number, the first of equal ones."""
    return scores.index(max(scores))


def _times(a: float, b: float) -> float:
    return a * b
