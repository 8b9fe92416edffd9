"""Products whose bits do not depend on the order of a sum."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest

from firstlight.build.convert import exactly


@pytest.mark.parametrize("size", [1, 5, 64, 300])
def test_any_order_of_the_sum_gives_the_same_bits(size: int) -> None:
    random = np.random.default_rng(size)
    left = random.standard_normal((7, size)) * 10.0 ** random.integers(-6, 6, (7, size))
    right = random.standard_normal((size, 4)).astype(np.float32).astype(np.float64)
    found = exactly.product(left, right)
    for _ in range(5):
        order = random.permutation(size)
        assert np.array_equal(exactly.product(left[:, order], right[order]), found)
    one = np.array([[sum((Fraction(a) * Fraction(b) for a, b in zip(row, column, strict=True)), Fraction())
                     for column in right.T] for row in left], dtype=object)  # fmt: skip
    largest = np.abs(left).max() * np.abs(right).max() * size
    assert (
        max(abs(float(a) - b) for a, b in zip(one.ravel(), found.ravel(), strict=True)) < largest * 2.0**-38
    )


def test_zeros_stay_zeros() -> None:
    assert not exactly.product(np.zeros((2, 3)), np.ones((3, 2))).any()


def test_rows_are_normalised() -> None:
    rows = np.random.default_rng(1).standard_normal((5, 300)) * 3 + 2
    found = exactly.normalised(rows, 1e-7)
    np.testing.assert_allclose(found.mean(axis=1), 0, atol=1e-12)
    np.testing.assert_allclose(found.std(axis=1), 1, atol=1e-6)
    shuffled = np.random.default_rng(2).permutation(300)
    assert np.array_equal(exactly.normalised(rows[:, shuffled], 1e-7), found[:, shuffled])
