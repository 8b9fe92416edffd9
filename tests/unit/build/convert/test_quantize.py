from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from firstlight.build.convert import quantize

matrices = arrays(
    np.float32,
    st.tuples(st.integers(1, 5), st.integers(1, 70)),
    elements=st.floats(-100, 100, width=32, allow_subnormal=False),
)


@given(matrices)
def test_per_channel_stays_within_seven_bits_and_half_a_step(weight: np.ndarray) -> None:
    values, scales = quantize.per_channel(weight)
    assert values.shape == weight.T.shape
    assert np.abs(values.astype(int)).max() <= 64
    # AVX2 adds two products of uint8 and int8 in 16 bits.
    assert 2 * 255 * int(np.abs(values.astype(int)).max()) <= 32767
    restored = values.T * scales[:, None]
    largest = np.abs(weight).max(axis=1)
    error = np.square(restored - weight).sum(axis=1)
    assert (error <= weight.shape[1] * np.square(largest / 64 / 2) * 1.01 + 1e-12).all()


@given(matrices)
def test_blocks_restore_the_weight(weight: np.ndarray) -> None:
    values, scales = quantize.blocks(weight)
    outputs, inputs = weight.shape
    assert values.shape == (outputs, -(-inputs // quantize.BLOCK), quantize.BLOCK)
    restored = ((values.astype(np.float32) - 128) * scales[:, :, None]).reshape(outputs, -1)
    limit = np.repeat(scales, quantize.BLOCK, axis=1)[:, :inputs] * 0.501 + 1e-30
    assert (np.abs(restored[:, :inputs] - weight) <= limit).all()
    assert not restored[:, inputs:].any()


@given(matrices)
def test_rows_restore_the_table(table: np.ndarray) -> None:
    values, scales = quantize.rows(table)
    assert values.dtype == np.int8
    assert (np.abs(values * scales - table) <= scales * 0.501 + 1e-30).all()


@given(st.integers(0, 2**32 - 1))
def test_the_order_in_which_errors_are_added_up_does_not_decide(seed: int) -> None:
    random = np.random.default_rng(seed)
    weight = random.standard_normal((16, 48)).astype(np.float32)
    order = random.permutation(48)
    values, scales = quantize.per_channel(weight)
    others, other_scales = quantize.per_channel(np.ascontiguousarray(weight[:, order]))
    np.testing.assert_array_equal(scales, other_scales)
    np.testing.assert_array_equal(values[order], others)
