from __future__ import annotations

from dataclasses import dataclass

from hypothesis import given
from hypothesis import strategies as st

from firstlight.invoke.idle import Idle


@dataclass(eq=False)
class Stub:
    kept: bool
    since: float = 0.0


@given(st.lists(st.booleans(), min_size=1))
def test_those_that_are_kept_ready_are_used_first_then_the_one_used_last(kept):
    idle, workers = Idle(), [Stub(flag, place) for place, flag in enumerate(kept)]
    for worker in workers:
        idle.add(worker)
    expected = sorted(workers, key=lambda worker: (worker.kept, worker.since))
    assert list(idle) == expected
    assert idle.spare() == [worker for worker in expected if not worker.kept]
    assert [idle.take() for _ in workers] == expected[::-1]
    assert not idle


def test_only_those_that_are_not_kept_ready_wear_out():
    idle = Idle()
    kept, old, new = Stub(True, 0.0), Stub(False, 1.0), Stub(False, 5.0)
    for worker in (kept, old, new):
        idle.add(worker)
    assert idle.outworn(7.0, 4.0) == ([old], 2.0)
    assert idle.outworn(10.0, 4.0) == ([old, new], None)
    idle.discard(old)
    idle.discard(old)
    assert list(idle) == [new, kept]
    new.kept, kept.kept = True, False
    idle.sort()
    assert list(idle) == [kept, new]
