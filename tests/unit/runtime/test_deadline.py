from time import monotonic, time

import pytest

from firstlight.runtime import deadline


@pytest.fixture(autouse=True)
def forget():
    yield
    deadline.begin(0)


def test_outside_an_invocation_there_is_none():
    assert deadline.current() is deadline.NEVER
    assert not deadline.NEVER.passed


@pytest.mark.parametrize(("seconds", "kept"), [(30, 0.4), (1, 0.1)])
def test_an_invocations_deadline_leaves_time_to_answer(seconds, kept):
    before = time()
    deadline.begin(int((before + seconds) * 1000))
    spent = time() - before + 0.002
    assert seconds - kept - spent <= deadline.current().left <= seconds - kept
    assert not deadline.current().passed


def test_one_that_has_passed():
    deadline.begin(int(time() * 1000) - 5000)
    assert deadline.current().passed
    assert deadline.current().left < 0


def test_the_sooner_of_two():
    assert deadline.NEVER.sooner(None) is deadline.NEVER
    assert deadline.NEVER.sooner(5).left <= 5
    assert deadline.Deadline(monotonic() - 1).sooner(5).passed


def test_work_nobody_waits_for_is_past_its_deadline():
    gone = []
    deadline.watch(lambda: bool(gone))
    try:
        assert not deadline.NEVER.passed
        gone.append("the caller")
        assert deadline.NEVER.passed
        assert deadline.NEVER.sooner(60).passed
    finally:
        deadline.watch(lambda: False)
