"""Numbers in row-major order, without numpy: a flat typed memoryview and a shape.

The element type is the memoryview's format character: ``q`` int64, ``i`` int32, ``f`` float32, ``d`` float64,
``?`` bool, ``B`` uint8 and so on, as in the ``struct`` module.
"""

from __future__ import annotations

from _struct import pack

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence


class Tensor:
    """A flat memoryview and the shape of what it holds; the view keeps the memory it shows alive."""

    __slots__ = ("data", "shape")

    def __init__(self, data: memoryview, shape: tuple[int, ...]) -> None:
        self.data = data
        self.shape = shape

    def __repr__(self) -> str:
        return f"Tensor({self.data.format}, {list(self.shape)})"

    def row(self, index: int) -> memoryview:
        """The flat numbers of one entry of the first axis."""
        size = self.data.shape[0] // self.shape[0] if self.data.shape else 0
        return self.data[index * size : (index + 1) * size]


def make(kind: str, values: Sequence[float], shape: tuple[int, ...]) -> Tensor:
    """A tensor of any element type from flat values.

    Args:
        kind: a format character of ``struct`` (``q``, ``i``, ``f``, ``?``, ...).
        values: as many numbers as ``shape`` has places.
    """
    return Tensor(memoryview(pack(f"{len(values)}{kind}", *values)).cast(kind), shape)  # type: ignore[call-overload]


def int64(*rows: Sequence[int]) -> Tensor:
    """Rows of equal length as an int64 tensor [rows, length]."""
    if len(rows) == 1:
        return make("q", rows[0], (1, len(rows[0])))
    return make("q", _flat(rows), (len(rows), len(rows[0]) if rows else 0))


def float32(*rows: Sequence[float]) -> Tensor:
    """Rows of equal length as a float32 tensor [rows, length]."""
    return make("f", _flat(rows), (len(rows), len(rows[0]) if rows else 0))


def _flat(rows: Iterable[Sequence[float]]) -> list[float]:
    return [value for row in rows for value in row]
