"""The count in the trace header that finds loops."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from firstlight.jobs import lineage
from firstlight.jobs.lineage import RecursiveInvocation


def test_the_seventeenth_invocation_is_stopped() -> None:
    trace = "Root=1-5759e988-bd862e3fe1be46a994272793;Sampled=1"
    for _ in range(16):
        trace = lineage.onward(trace, "f", 0)
    assert trace.startswith("Root=1-5759e988-bd862e3fe1be46a994272793;Sampled=1;Lineage=")
    with pytest.raises(RecursiveInvocation, match="16 invocations"):
        lineage.onward(trace, "f", 0)
    assert lineage.onward(trace, "g", 0).count("|") == 1


def test_two_functions_that_call_each_other_are_found() -> None:
    trace = None
    for _ in range(16):
        trace = lineage.onward(lineage.onward(trace, "f", 0), "g", 0)
    with pytest.raises(RecursiveInvocation):
        lineage.onward(trace, "f", 0)


@given(st.text(max_size=200))
def test_any_header_is_taken(trace: str) -> None:
    once = lineage.onward(trace, "f", 0)
    assert lineage.onward(once, "f", 0) != once


@given(st.dictionaries(st.text("0123456789abcdef", min_size=8, max_size=8), st.integers(1, 15), max_size=5))
def test_the_counts_of_others_stay(counts: dict[str, int]) -> None:
    header = "Lineage=" + "|".join(f"{name}:{count}" for name, count in counts.items())
    after = lineage.onward(header, "f", 0)
    assert all(f"{name}:{count}" in after for name, count in counts.items() if name != "252f10c8")
