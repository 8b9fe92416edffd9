from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from firstlight.gateway.web.timings import split, timing
from gateways import report

amounts = st.floats(0, 1000)


@given(amounts, amounts, amounts, amounts)
def test_the_parts_are_the_whole(init: float, wait: float, engine: float, rest: float) -> None:
    figures = report(init_ms=init, queue_ms=init + wait, timings={"engine": engine}, cold=True)
    total = init + wait + engine + rest
    assert sum(amount for _, _, amount in split(figures, total)) == pytest.approx(total, abs=0.05)


def test_cold_and_warm_are_told_apart() -> None:
    assert "cold start" in timing(report(cold=True, init_ms=50.0, queue_ms=51.0), 60.0)
    assert "warm" in timing(report(), 5.0)
    assert "Waking" not in timing(report(), 5.0)
