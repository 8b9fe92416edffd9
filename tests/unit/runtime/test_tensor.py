from array import array

import pytest
from hypothesis import given
from hypothesis import strategies as st

from firstlight.runtime import tensor


@given(
    st.integers(0, 5).flatmap(
        lambda n: st.lists(
            st.lists(st.integers(-(2**63), 2**63 - 1), min_size=n, max_size=n), min_size=1, max_size=4
        )
    )
)
def test_rows_of_int64(rows):
    made = tensor.int64(*rows)
    assert made.shape == (len(rows), len(rows[0]))
    assert made.data.format == "q"
    assert made.data.tolist() == [value for row in rows for value in row]
    assert [made.row(index).tolist() for index in range(len(rows))] == rows


def test_no_rows():
    assert tensor.int64().shape == (0, 0)


def test_float32_is_what_c_calls_float():
    made = tensor.float32([0.1, -2.0], [3.5, 1e30])
    assert made.data.tolist() == array("f", [0.1, -2.0, 3.5, 1e30]).tolist()
    assert made.shape == (2, 2)
    assert repr(made) == "Tensor(f, [2, 2])"


@pytest.mark.parametrize(
    ("kind", "values"), [("?", [True, False]), ("B", [0, 255]), ("i", [-5, 7]), ("d", [0.1, 2.5])]
)
def test_other_element_types(kind, values):
    made = tensor.make(kind, values, (2,))
    assert (made.data.format, made.data.tolist()) == (kind, values)


def test_a_view_keeps_its_memory_alive():
    row = tensor.int64([1, 2], [3, 4]).row(1)
    assert row.tolist() == [3, 4]
