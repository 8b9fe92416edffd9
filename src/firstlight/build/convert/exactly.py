"""Arithmetic that gives the same bits on every machine: what a bundle's digest may depend on.

Sums in floating point depend on their order, and libraries of linear algebra choose another order for each CPU. Here
numbers are cut into parts of few bits, so that every sum of products fits the 53 bits of a float64 and no order loses
anything (Ozaki and others, "Error-free transformations of matrix multiplication", 2012).
"""

from __future__ import annotations

from math import frexp, fsum

import numpy as np
from numpy.typing import NDArray

Doubles = NDArray[np.float64]

_MANTISSA = 53


def product(left: Doubles, right: Doubles) -> Doubles:
    """Matrix product [n, m] of [n, k] and [k, m], right to about 2^-40 of the largest terms."""
    bits = (_MANTISSA - int(np.ceil(np.log2(left.shape[1] + 1)))) // 2
    left_high, left_low = _parts(left, bits)
    right_high, right_low = _parts(right, bits)
    rest: Doubles = left_high @ right_low + left_low @ right_high
    return left_high @ right_high + rest


def normalised(rows: Doubles, epsilon: float) -> Doubles:
    """Each row minus its mean, divided by the root of its variance plus ``epsilon``."""
    size = rows.shape[1]
    centred = rows - np.array([fsum(row) / size for row in rows])[:, None]
    spread = np.array([fsum(row) / size for row in np.square(centred)])[:, None]
    made: Doubles = centred / np.sqrt(spread + epsilon)
    return made


def _parts(values: Doubles, bits: int) -> tuple[Doubles, Doubles]:
    """Two arrays whose sum is ``values`` but for what is too small to matter, each of whole multiples of one unit."""
    unit = 2.0 ** (frexp(float(np.abs(values).max(initial=0.0)))[1] - bits)
    high = np.rint(values / unit) * unit
    fine = unit * 2.0**-bits
    return high, np.rint((values - high) / fine) * fine
