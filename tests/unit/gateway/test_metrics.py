from __future__ import annotations

import re

from hypothesis import given
from hypothesis import strategies as st

from firstlight.gateway.metrics import BUCKETS, Metrics
from gateways import report

LINE = re.compile(r'[a-z_]+\{(?:[a-z]+="(?:[^"\\\n]|\\.)*",?)+\} -?[0-9.e+-]+')


@given(
    st.lists(
        st.tuples(st.text(max_size=10), st.text(max_size=5), st.floats(0, 100), st.booleans()), max_size=20
    )
)
def test_the_text_is_well_formed_and_adds_up(ended: list[tuple[str, str, float, bool]]) -> None:
    metrics = Metrics()
    for endpoint, status, seconds, cold in ended:
        metrics.started(endpoint)
        metrics.ended(endpoint, status, seconds, report(cold=cold, init_ms=50.0 if cold else None))
    lines = metrics.text({}).split("\n")
    assert lines.pop() == ""
    counted = 0
    for line in lines:
        if not line.startswith("#"):
            assert LINE.fullmatch(line), line
        if line.startswith("firstlight_invocations_total{"):
            counted += int(line.rpartition(" ")[2])
    assert counted == len(ended)


def test_tokens_and_the_time_to_the_first() -> None:
    metrics = Metrics()
    for status in ("ok", "cancelled"):
        metrics.started("a")
        counts = {"prompt_tokens": 5, "generated_tokens": 20, "odd": 3}
        metrics.ended("a", status, 2.0, report(queue_ms=300.0, timings={"first_token": 400.0}, counts=counts))
    metrics.started("a")
    metrics.ended("a", "ok", 2.0, report(counts={"prompt_tokens": 0, "generated_tokens": -1}))
    text = metrics.text({})
    assert 'firstlight_tokens_total{endpoint="a",kind="prompt"} 10\n' in text
    assert 'firstlight_tokens_total{endpoint="a",kind="generated"} 40\n' in text
    assert "odd" not in text
    assert 'firstlight_first_token_seconds_bucket{endpoint="a",le="0.5"} 0\n' in text
    assert 'firstlight_first_token_seconds_bucket{endpoint="a",le="1.0"} 2\n' in text
    assert 'firstlight_first_token_seconds_sum{endpoint="a"} 1.400000\n' in text


def test_buckets_are_cumulative() -> None:
    metrics = Metrics()
    for seconds in (0.0005, 0.001, 0.02, 99.0):
        metrics.started("a")
        metrics.ended("a", "ok", seconds, None)
    text = metrics.text({})
    name = "firstlight_invocation_duration_seconds"
    assert f'{name}_bucket{{endpoint="a",le="{BUCKETS[0]}"}} 2\n' in text
    assert f'{name}_bucket{{endpoint="a",le="30.0"}} 3\n' in text
    assert f'{name}_bucket{{endpoint="a",le="+Inf"}} 4\n' in text
    assert f'{name}_count{{endpoint="a"}} 4\n' in text
