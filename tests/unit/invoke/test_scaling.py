"""The rules of the pool, on numbers alone."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from firstlight.invoke import scaling

counts = st.integers(0, 200)
limits = st.integers(0, 50)
seconds = st.one_of(st.none(), st.floats(1e-15, 1e6))


class TestWorkersToStart:
    @given(counts, counts, counts, limits, seconds, seconds)
    def test_never_beyond_the_limit_nor_below_none(
        self, waiting: int, coming: int, busy: int, limit: int, service: float | None, start: float | None
    ) -> None:
        started = scaling.workers_to_start(waiting, coming, busy, limit, service, start)
        assert 0 <= started <= max(0, limit - coming - busy)
        assert started <= waiting

    @given(counts, counts, limits, seconds, seconds)
    def test_a_herd_that_starting_workers_will_take_starts_no_more(
        self, waiting: int, busy: int, limit: int, service: float | None, start: float | None
    ) -> None:
        assert scaling.workers_to_start(waiting, waiting, busy, limit, service, start) == 0

    @given(st.integers(1, 200), st.integers(1, 50), seconds, seconds)
    def test_somebody_is_started_when_nobody_is_there(
        self, waiting: int, limit: int, service: float | None, start: float | None
    ) -> None:
        assert scaling.workers_to_start(waiting, 0, 0, limit, service, start) >= 1

    @given(counts, counts, counts, limits, seconds, seconds)
    def test_more_work_never_means_fewer_workers(
        self, waiting: int, coming: int, busy: int, limit: int, service: float | None, start: float | None
    ) -> None:
        less = scaling.workers_to_start(waiting, coming, busy, limit, service, start)
        more = scaling.workers_to_start(waiting + 1, coming, busy, limit, service, start)
        assert more >= less

    @pytest.mark.parametrize(("waiting", "coming", "busy", "limit", "service", "start", "expected"), [
        (1, 0, 0, 4, None, None, 1),
        (50, 0, 0, 4, None, None, 4),     # nothing measured: one each, up to the limit
        (2, 1, 0, 4, None, None, 1),
        (50, 0, 0, 8, 0.005, 0.150, 2),   # 50 invocations of 5 ms: two workers answer them in a start's time
        (50, 0, 0, 8, 1.0, 0.150, 8),
        (1, 0, 1, 4, 0.005, 0.150, 0),    # the busy one is back long before another is up
        (1, 0, 1, 4, 10.0, 0.150, 1),
        (1, 1, 0, 4, 10.0, 0.150, 0),     # the one that has answered comes back for it
        (5, 0, 4, 4, 10.0, 0.150, 0),
    ])  # fmt: skip
    def test_examples(
        self,
        waiting: int,
        coming: int,
        busy: int,
        limit: int,
        service: float | None,
        start: float | None,
        expected: int,
    ) -> None:
        assert scaling.workers_to_start(waiting, coming, busy, limit, service, start) == expected

    @pytest.mark.parametrize(("waiting", "coming", "busy", "limit", "lasted", "expected"), [
        (7, 0, 1, 2, 0.299, 0),
        (7, 0, 1, 2, 0.301, 1),    # eight callers who come back at once: the queue is never empty
        (7, 1, 1, 4, 60.0, 0),     # one at a time
        (7, 0, 2, 2, 60.0, 0),
        (0, 0, 1, 2, 60.0, 0),
    ])  # fmt: skip
    def test_a_queue_that_lasts(
        self, waiting: int, coming: int, busy: int, limit: int, lasted: float, expected: int
    ) -> None:
        assert scaling.workers_to_start(waiting, coming, busy, limit, 0.005, 0.150, lasted) == expected


class TestWorkersToStop:
    @given(st.lists(st.floats(0, 1000), max_size=20).map(sorted), st.floats(0, 2000), st.floats(0.1, 500))
    def test_those_idle_for_too_long_and_only_those(
        self, since: list[float], now: float, idle_s: float
    ) -> None:
        count = scaling.workers_to_stop(since, now, idle_s)
        assert all(now - when >= idle_s for when in since[:count])
        assert all(now - when < idle_s for when in since[count:])


class TestRefusal:
    @given(st.integers(0, 2000), st.integers(0, 10**9), st.integers(0, 6_291_456), st.integers(1, 50))
    def test_no_more_than_the_queue_holds(self, waiting: int, held: int, size: int, limit: int) -> None:
        reason = scaling.refusal(waiting, held, size, limit, 1000)
        assert (reason is not None) == (
            waiting >= 1000 or (waiting > 0 and held + size > scaling.QUEUE_BYTES)
        )
        assert reason in (None, "ConcurrentInvocationLimitExceeded")

    def test_an_endpoint_that_is_off(self) -> None:
        assert scaling.refusal(0, 0, 0, 0, 1000) == "ReservedFunctionConcurrentInvocationLimitExceeded"

    def test_one_event_is_taken_whatever_its_size(self) -> None:
        assert scaling.refusal(0, 0, 2 * scaling.QUEUE_BYTES, 1, 1000) is None

    @given(counts, st.integers(0, 50), seconds)
    def test_retry_after_is_a_few_seconds(self, waiting: int, limit: int, service: float | None) -> None:
        assert 1 <= scaling.retry_after(waiting, limit, service) <= 60


class TestDeadlines:
    def test_a_short_init_is_free(self) -> None:
        assert scaling.deadline(100.0, 3.0, 9.9) == 103.0
        assert scaling.deadline(100.0, 3.0, None) == 103.0

    def test_a_long_init_is_charged(self) -> None:
        assert scaling.deadline(100.0, 30.0, 12.0) == 118.0

    @given(st.floats(0, 1e6), st.floats(0.1, 900))
    def test_init_has_ten_seconds_or_the_timeout(self, started: float, timeout: float) -> None:
        assert math.isclose(
            scaling.init_deadline(started, timeout) - started, max(10.0, timeout), abs_tol=1e-6
        )


class TestFailures:
    @given(st.integers(0, 10_000))
    def test_the_pause_grows_to_half_a_minute(self, failures: int) -> None:
        pause = scaling.pause_after_failures(failures)
        assert 0 <= pause <= 30
        assert pause <= scaling.pause_after_failures(failures + 1)

    @pytest.mark.parametrize(("starting", "busy", "expected"), [(0, 0, True), (1, 0, False), (0, 1, False)])
    def test_all_who_wait_are_told_when_nobody_else_could_serve_them(
        self, starting: int, busy: int, expected: bool
    ) -> None:
        assert scaling.fail_waiting(starting, busy) is expected


class TestEstimates:
    @given(st.floats(0, 1e3), st.floats(0, 1e3))
    def test_the_mean_lies_between(self, old: float, new: float) -> None:
        assert min(old, new) - 1e-9 <= scaling.smoothed(old, new) <= max(old, new) + 1e-9

    def test_the_first_value_is_the_mean(self) -> None:
        assert scaling.smoothed(None, 3.0) == 3.0

    def test_memory(self) -> None:
        assert scaling.over_memory(128.1, 128)
        assert not scaling.over_memory(128.0, 128)
