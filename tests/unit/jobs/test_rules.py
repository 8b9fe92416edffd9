"""What becomes of a job: Lambda's rules for events, and those of requests and hooks."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from desks import bad, event, good, request
from firstlight.jobs import rules
from firstlight.jobs.types import Condition, Job, Kind, Result, Status
from firstlight.project import Asynchronous

START = 1_700_000_000.0
policies = st.builds(
    Asynchronous,
    retries=st.integers(0, 2),
    max_age=st.floats(60, 21600),
    backoff=st.floats(0, 3600),
)


def test_a_function_error_is_tried_again_after_a_minute_and_after_two() -> None:
    first = rules.answered(event(), Asynchronous(), bad(), START)
    assert (first.status, first.due, first.failures) == (Status.STARTING, START + 60, 1)
    second = rules.answered(replace(event(), failures=1), Asynchronous(), bad(), START + 60)
    assert (second.due, second.failures) == (START + 180, 2)
    last = rules.answered(replace(event(), failures=2), Asynchronous(), bad("why"), START + 180)
    assert (last.status, last.condition, last.error) == (Status.FAILED, Condition.RETRIES_EXHAUSTED, "why")


def test_the_invoke_count_is_of_answers() -> None:
    failed = replace(event(), failures=3, attempts=9, condition=Condition.RETRIES_EXHAUSTED)
    assert rules.invoke_count(failed) == 3
    assert rules.invoke_count(replace(event(), failures=1, condition=Condition.SUCCESS)) == 2
    assert rules.invoke_count(replace(event(), condition=Condition.ZERO_CONCURRENCY)) == 0


@given(policies, st.integers(0, 30), st.floats(0, 30000))
def test_an_event_never_waits_beyond_its_age_and_never_gets_more_retries_than_it_may(
    policy: Asynchronous, failures: int, age: float
) -> None:
    verdict = rules.answered(replace(event(), failures=failures), policy, bad(), START + age)
    assert verdict.failures == failures + 1
    if verdict.status is Status.STARTING:
        assert verdict.failures <= policy.retries
        assert START + age <= verdict.due < START + policy.max_age
        assert verdict.condition is Condition.NONE
    else:
        assert verdict.status is Status.FAILED
        exhausted = failures + 1 > policy.retries
        assert verdict.condition is (Condition.RETRIES_EXHAUSTED if exhausted else Condition.AGE_EXCEEDED)
        assert verdict.result == bad()


@given(policies, st.integers(0, 40), st.floats(0, 30000), st.sampled_from([429, 500, 502]))
def test_what_the_function_never_saw_goes_back_until_it_is_too_old(
    policy: Asynchronous, times: int, age: float, status: int
) -> None:
    job = replace(event(), held_back=times, failures=1)
    verdict = rules.held_back(job, policy, status, "no", START + age)
    assert verdict.failures == 1
    if verdict.status is Status.STARTING:
        assert verdict.held_back == times + 1
        assert START + age + 1 <= verdict.due <= START + age + 300
        assert verdict.due < START + policy.max_age
    else:
        assert verdict.condition is Condition.AGE_EXCEEDED
        assert verdict.result == Result(status)


@given(st.integers(0, 100))
def test_pauses_grow_from_a_second_to_five_minutes(times: int) -> None:
    assert 1 <= rules.pause(times) <= rules.pause(times + 1) <= 300
    assert rules.pause(0) == 1
    assert rules.pause(9) == 300


@given(policies, st.floats(0, 30000), st.integers(0, 9), st.integers(0, 4))
def test_every_answer_to_a_request_is_final(
    policy: Asynchronous, age: float, interrupted: int, failures: int
) -> None:
    job = replace(request(), interrupted=interrupted, failures=failures)
    for result in (good(), bad(), Result(404), Result(503)):
        verdict = rules.answered(job, policy, result, START + age)
        assert verdict.status is (Status.SUCCEEDED if result == good() else Status.FAILED)
        assert verdict.condition is Condition.NONE
        assert verdict.result == result


def test_a_request_that_ends_the_server_again_and_again_is_given_up() -> None:
    begun = rules.before(replace(request(), interrupted=2), Asynchronous(), 1, START)
    assert begun is None
    given_up = rules.before(replace(request(), interrupted=3), Asynchronous(), 1, START)
    assert given_up is not None
    assert given_up.status is Status.FAILED
    assert "3 times" in given_up.error
    assert rules.before(replace(event(), interrupted=30), Asynchronous(), 1, START) is None


@pytest.mark.parametrize(
    ("job", "age"),
    [
        (event(), 21600.0),
        (request(), rules.REQUEST_AGE_S),
        (replace(request(), give_up=START + 5), 5.0),
        (Job("h", Kind.HOOK, "@hooks", b"{}", START), rules.HOOK_AGE_S),
    ],
)
def test_what_waited_too_long_is_not_begun(job: Job, age: float) -> None:
    assert rules.before(job, Asynchronous(), 1, START + age - 1) is None
    verdict = rules.before(job, Asynchronous(), 1, START + age)
    assert verdict is not None
    assert verdict.status is Status.FAILED
    assert (verdict.condition is Condition.AGE_EXCEEDED) == (job.kind is Kind.EVENT)
    late = rules.held_back(replace(job, held_back=20), Asynchronous(), 429, "full", START + age - 1)
    assert late.status is Status.FAILED


def test_an_endpoint_that_is_off_gets_nothing() -> None:
    verdict = rules.before(event(), Asynchronous(), 0, START)
    assert verdict is not None
    assert (verdict.condition, verdict.failures) == (Condition.ZERO_CONCURRENCY, 0)
    off = rules.before(request(), Asynchronous(), 0, START)
    assert off is not None
    assert off.result == Result(429)


def test_a_loop_ends_with_its_own_condition() -> None:
    verdict = rules.recursive(event(), "stopped")
    assert verdict.condition is Condition.RECURSIVE
    assert verdict.result == Result(400, function_error="RecursiveInvocationException")
