"""What every store of jobs does, whichever adapter it is: the ports ``JobStore`` and ``JobQueue``."""

from __future__ import annotations

import os
import threading
from dataclasses import replace

import pytest

from firstlight.jobs.types import Condition, Job, JobEvent, Kind, Request, Result, Status, Webhook
from firstlight.runtime.errors import InvalidInput

NOW = 1_800_000_000.0
SIX_MB = 6_291_456


def job(job_id: str = "one", **changes) -> Job:
    first = Job(id=job_id, kind=Kind.EVENT, endpoint="mood", payload=b'{"a": 1}', created=NOW, due=NOW)
    return replace(first, **changes)


def full(job_id: str = "full") -> Job:
    """A job with something in every field."""
    return Job(
        id=job_id,
        kind=Kind.REQUEST,
        endpoint="qa",
        payload=bytes(range(256)),
        created=NOW + 0.125,
        qualifier="live",
        request=Request("POST", "/qa/é", "a=1&b", (("accept", "*/*"), ("x-twice", "1"), ("x-twice", "2"))),
        trace_id="Root=1-2-3",
        fingerprint="f" * 64,
        status=Status.FAILED,
        due=NOW + 3,
        give_up=NOW + 21600.5,
        attempts=3,
        interrupted=1,
        failures=2,
        held_back=4,
        started=NOW + 4,
        completed=NOW + 5.000001,
        condition=Condition.RETRIES_EXHAUSTED,
        error="né 😀\x00",
        partial="half of a pair: \ud83d",
        result=Result(
            502, b"\x00\xff", "text/plain", "Unhandled", "7", {"duration_ms": 1.5, "n": [1]}, "log é"
        ),
        webhook=Webhook("https://example.com/a", ("completed",)),
        told=("start", "completed"),
        keep_until=NOW + 1e6,
    )


def ids(jobs) -> list[str]:
    return [found.id for found in jobs]


def finished(store, found: Job, keep_until: float, **changes) -> Job:
    changes = {"result": Result(body=b"{}"), **changes}
    return store.change(found, status=Status.SUCCEEDED, keep_until=keep_until, completed=NOW, **changes)


def claimed(store, owner="me", now=NOW, lease_s=30.0, **room) -> list[Job]:
    return list(store.claim(owner, now, lease_s, room or {"mood": 100}))


def test_what_is_put_can_be_got(store):
    for kept in (job(), full()):
        assert store.put(kept) is None
        assert store.get(kept.id) == kept


def test_a_job_that_was_never_put_is_none(store):
    assert store.get("one") is None
    assert list(store.list().jobs) == []
    assert store.list().next is None
    assert list(store.events("one")) == []


def test_a_second_put_of_an_id_gives_the_job_that_is_there(store):
    store.put(job(payload=b"first"))
    assert store.put(job(payload=b"second", fingerprint="other")) == job(payload=b"first")
    assert store.get("one").payload == b"first"
    assert store.depth() == {"mood": 1}


@pytest.mark.parametrize("job_id", ["é 😀", "a#b/c%d", "META", "x" * 256, "' OR 1=1 --"])
def test_any_text_may_be_an_id(store, job_id):
    store.put(job(job_id))
    store.append(job_id, [JobEvent(1, "start", {}, NOW)])
    assert store.get(job_id) == job(job_id)
    assert ids(claimed(store)) == [job_id]
    assert ids(store.list().jobs) == [job_id]
    assert len(store.events(job_id)) == 1


@pytest.mark.parametrize("size", [0, 1, 4096, 4097, 400_000, SIX_MB])
def test_bodies_up_to_six_megabytes(store, size):
    payload, answer, partial = os.urandom(size), os.urandom(size), "é" * min(size // 2, 99_999)
    store.put(job(payload=payload))
    (held,) = claimed(store)
    assert held.payload == payload
    after = finished(store, held, NOW + 9, result=Result(body=answer), partial=partial)
    assert after.result.body == answer
    assert store.get("one") == after
    (listed,) = store.list().jobs
    assert (listed.payload, listed.partial, listed.result.body) == (b"", "", b"")
    assert store.put(job(payload=b"another")) == after


def test_a_body_can_be_replaced_and_taken_away(store):
    store.put(job())
    held = store.get("one")
    for result in (
        Result(body=b"a" * 10),
        Result(body=b"b" * 500_000),
        Result(body=b"c" * 9000),
        Result(),
        None,
    ):
        held = store.change(held, result=result, partial="p" * (len(result.body) if result else 0))
        assert store.get("one") == held
        assert held.result == result


def test_a_change_keeps_what_it_does_not_name(store):
    store.put(full())
    after = store.change(full(), error="other", condition=Condition.NONE, give_up=None)
    assert after == replace(full(), error="other", condition=Condition.NONE, give_up=None, revision=1)
    assert store.get("full") == after


def test_a_listed_job_can_be_changed_without_losing_its_bodies(store):
    store.put(full())
    (listed,) = store.list().jobs
    store.change(listed, told=("start",))
    assert store.get("full") == replace(full(), told=("start",), revision=1)


def test_a_change_of_what_was_changed_meanwhile_is_refused(store):
    store.put(job())
    first = store.get("one")
    second = store.change(first, failures=1)
    assert second.revision == first.revision + 1
    assert store.change(first, failures=2, result=Result(body=b"x" * 500_000)) is None
    assert store.get("one") == second
    assert store.change(job("another"), failures=1) is None


def test_an_identity_never_changes(store):
    store.put(job())
    for fields in ({"id": "b"}, {"endpoint": "b"}, {"payload": b""}, {"revision": 7}, {"colour": "red"}):
        with pytest.raises(TypeError):
            store.change(job(), **fields)
    assert store.get("one") == job()


def test_claims_go_by_due_and_then_by_arrival(store):
    for name, due in (("c", 3), ("a", 1), ("late", 99), ("b1", 2), ("b2", 2), ("b0", 2)):
        store.put(job(name, due=NOW + due))
    assert ids(claimed(store, now=NOW)) == []
    assert ids(store.claim("me", NOW + 3, 30.0, {"mood": 2})) == ["a", "b1"]
    assert ids(store.claim("me", NOW + 3, 30.0, {"mood": 9})) == ["b2", "b0", "c"]
    assert ids(claimed(store, now=NOW + 99)) == ["late"]


def test_a_claimed_job_is_processing_with_an_owner_and_a_lease(store):
    store.put(job())
    (held,) = claimed(store, now=NOW + 1)
    wanted = {"status": Status.PROCESSING, "attempts": 1, "owner": "me", "lease": NOW + 31, "revision": 1}
    assert held == replace(job(), **wanted) == store.get("one")
    assert claimed(store, "other") == []
    assert store.depth() == {}
    assert list(store.owners()) == ["me"]


def test_room_says_how_many_of_which_endpoint(store):
    for number in range(4):
        store.put(job(f"m{number}"))
        store.put(job(f"q{number}", endpoint="qa"))
    assert ids(claimed(store, mood=0, qa=1, none=5)) == ["q0"]
    assert ids(claimed(store, mood=3, qa=1)) == ["m0", "m1", "q1", "m2"]
    assert store.depth() == {"mood": 1, "qa": 2}
    assert list(store.claim("me", NOW, 30.0, {})) == []


def test_a_retry_does_not_block_those_behind_it(store):
    for name in ("first", "second"):
        store.put(job(name))
    (held,) = claimed(store, mood=1)
    waiting = store.change(held, status=Status.STARTING, due=NOW + 60, failures=1)
    assert (waiting.owner, waiting.lease) == ("", 0.0)
    assert store.get("first") == waiting
    assert store.next_due(NOW, ["mood"]) == NOW
    assert ids(claimed(store)) == ["second"]
    assert store.next_due(NOW, ["mood"]) == NOW + 60
    assert claimed(store, now=NOW + 59) == []
    assert ids(claimed(store, now=NOW + 60)) == ["first"]


def test_next_due_is_of_the_endpoints_that_are_asked_for(store):
    assert store.next_due(NOW, ["mood"]) is None
    store.put(job("a", due=NOW + 7))
    store.put(job("b", endpoint="qa", due=NOW + 5))
    assert store.next_due(NOW, ["mood"]) == NOW + 7
    assert store.next_due(NOW, ["mood", "qa"]) == NOW + 5
    assert store.next_due(NOW, ["qa", "mood"]) == NOW + 5
    assert store.next_due(NOW, []) is None


@pytest.mark.parametrize("status", [Status.SUCCEEDED, Status.FAILED, Status.CANCELED])
def test_a_final_job_belongs_to_nobody(store, status):
    store.put(job())
    (held,) = claimed(store)
    after = store.change(held, status=status)
    assert (after.owner, after.lease) == ("", 0.0)
    assert store.get("one") == after
    assert list(store.owners()) == []
    assert list(store.renew("me", ["one"], NOW + 99)) == ["one"]
    assert list(store.recover(NOW + 1e6, ["me", ""])) == []
    assert claimed(store, now=NOW + 1e6) == []


def test_a_queued_job_can_be_ended_before_it_is_begun(store):
    store.put(job())
    store.change(store.get("one"), status=Status.CANCELED, keep_until=NOW + 9)
    assert claimed(store) == []
    assert store.depth() == {}
    assert store.next_due(NOW, ["mood"]) is None


def test_a_lease_that_is_renewed_goes_on(store):
    store.put(job("a"))
    store.put(job("b"))
    held = claimed(store)
    assert list(store.renew("me", ["a", "b", "none"], NOW + 60)) == ["none"]
    assert list(store.renew("other", ["a"], NOW + 99)) == ["a"]
    assert list(store.renew("me", [], NOW + 99)) == []
    assert list(store.recover(NOW + 59)) == []
    assert store.get("a").lease == NOW + 60
    assert store.change(held[0], error="a note") == store.get("a")  # a renewed lease is no change
    assert store.get("a").lease == NOW + 60
    assert sorted(ids(store.recover(NOW + 60))) == ["a", "b"]


def test_what_was_in_hand_is_handed_out_again_when_the_lease_ends(store):
    store.put(job("a", due=NOW - 5))
    store.put(job("b", due=NOW - 9))
    store.put(job("c", due=NOW - 7))
    held = claimed(store, mood=2)
    back = store.recover(NOW + 30)
    assert ids(back) == ["b", "c"]
    for before, after in zip(held, back, strict=True):
        wanted = {"status": Status.STARTING, "owner": "", "lease": 0.0, "interrupted": 1, "revision": 2}
        assert after == replace(before, **wanted) == store.get(before.id)
        assert store.change(before, status=Status.SUCCEEDED) is None  # it is not the old owner's any more
        assert list(store.renew("me", [before.id], NOW + 99)) == [before.id]
    assert ids(claimed(store, "next")) == ["b", "c", "a"]
    assert list(store.recover(NOW)) == []


def test_what_an_owner_that_is_gone_had_is_handed_out_at_once(store):
    for name in ("a", "b", "c"):
        store.put(job(name))
    claimed(store, "gone", mood=1)
    claimed(store, "there", mood=1)
    assert list(store.owners()) == ["gone", "there"]
    assert ids(store.recover(NOW, ["gone", "never"])) == ["a"]
    assert list(store.owners()) == ["there"]
    assert ids(claimed(store)) == ["a", "c"]


def test_pages_of_a_list_are_newest_first_and_stay_put(store):
    for number in range(7):
        store.put(job(f"j{number}"))
    first = store.list(limit=3)
    assert ids(first.jobs) == ["j6", "j5", "j4"]
    store.put(job("new"))
    for held in claimed(store, mood=5):
        finished(store, held, NOW + 1)
    assert store.sweep(NOW + 2) == 5
    second = store.list(limit=3, cursor=first.next)
    assert (ids(second.jobs), second.next) == ([], None)
    assert ids(store.list().jobs) == ["new", "j6", "j5"]


def test_a_list_of_pages_has_every_job_once(store):
    for number in range(10):
        store.put(job(f"j{number}", created=NOW - number, endpoint=("mood", "qa")[number % 2]))
    claimed(store, mood=2)
    for query in (
        {},
        {"endpoint": "qa"},
        {"status": Status.STARTING},
        {"endpoint": "mood", "status": "starting"},
    ):
        seen, cursor, pages = [], None, 0
        while pages == 0 or cursor:
            page = store.list(limit=2, cursor=cursor, **query)
            assert len(page.jobs) <= 2
            seen, cursor, pages = seen + ids(page.jobs), page.next, pages + 1
        whole = ids(store.list(limit=100, **query).jobs)
        assert seen == whole == sorted(whole, reverse=True)
    assert ids(store.list(endpoint="mood", status=Status.PROCESSING).jobs) == ["j2", "j0"]
    assert ids(store.list(endpoint="mood", status=Status.STARTING).jobs) == ["j8", "j6", "j4"]
    assert ids(store.list(endpoint="none").jobs) == []
    assert ids(store.list(limit=0).jobs) == []


def test_a_list_follows_what_becomes_of_a_job(store):
    def found(status):
        lists = [store.list(status=status), store.list(endpoint="mood", status=status)]
        assert ids(lists[0].jobs) == ids(lists[1].jobs)
        return ids(lists[0].jobs)

    store.put(job())
    assert [found(status) for status in Status] == [["one"], [], [], [], []]
    (held,) = claimed(store)
    assert [found(status) for status in Status] == [[], ["one"], [], [], []]
    (held,) = store.recover(NOW + 99)
    assert [found(status) for status in Status] == [["one"], [], [], [], []]
    for number, status in enumerate(Status):
        held = store.change(held, status=status)
        assert [found(status) for status in Status] == [
            ["one"] if place == number else [] for place in range(5)
        ]


@pytest.mark.parametrize("cursor", ["", "x", "-1", "1.5", "9" * 19, "9" * 400, "\u0661"])
def test_a_cursor_that_no_list_gave_is_the_callers_mistake(store, cursor):
    with pytest.raises(InvalidInput, match="cursor"):
        store.list(cursor=cursor)


def test_events_are_replayed_in_order_from_any_number(store):
    store.put(job())
    store.put(job("two"))
    first = [JobEvent(n, "output", {"text": "né \ud83d" * n, "n": [n]}, NOW + n / 8) for n in (1, 2, 3)]
    store.append("one", first)
    store.append("two", [JobEvent(1, "start", {}, NOW)])
    store.append("one", [JobEvent(n, "log", {"text": ""}, NOW) for n in (12, 4, 11)])
    events = list(store.events("one"))
    assert [event.number for event in events] == [1, 2, 3, 4, 11, 12]
    assert events[:3] == first
    assert [event.number for event in store.events("one", 3)] == [4, 11, 12]
    assert list(store.events("one", 12)) == []
    assert store.get("one") == job()


def test_an_event_whose_number_is_there_is_left_as_it_is(store):
    store.put(job())
    store.append("one", [JobEvent(1, "start", {"a": 1}, NOW), JobEvent(2, "log", {"a": 2}, NOW)])
    store.append("one", [JobEvent(2, "log", {"a": 9}, NOW), JobEvent(3, "log", {"a": 3}, NOW)])
    store.append("one", [JobEvent(1, "log", {"a": 9}, NOW)])
    store.append("one", [])
    assert [event.data["a"] for event in store.events("one")] == [1, 2, 3]


def test_an_event_may_be_large(store):
    store.put(job())
    large = [JobEvent(n, "output", {"text": "x" * 900_000}, NOW) for n in (1, 2)]
    store.append("one", large)
    assert list(store.events("one")) == large
    store.append("one", [replace(large[0], data={})])
    assert list(store.events("one")) == large


def test_events_of_a_job_that_is_not_there_are_not_kept(store):
    store.append("one", [JobEvent(1, "start", {}, NOW)])
    store.put(job())
    assert list(store.events("one")) == []


def test_a_sweep_deletes_final_jobs_whose_time_has_passed(store):
    for name in ("a", "b", "c", "waits", "runs"):
        store.put(job(name, payload=b"x" * 9000))
        store.append(name, [JobEvent(1, "start", {}, NOW)])
    for held, keep in zip(claimed(store, mood=3), (NOW + 5, NOW + 10, None), strict=True):
        finished(store, held, keep)
    claimed(store, mood=1)
    store.append("a", [JobEvent(2, "completed", {}, NOW)])
    assert store.sweep(NOW + 4.9) == 0
    assert store.sweep(NOW + 5) == 1
    assert store.get("a") is None
    assert list(store.events("a")) == []
    assert store.sweep(NOW + 1e7) == 1
    assert ids(store.list().jobs) == ["runs", "waits", "c"]
    assert len(store.events("c")) == 1
    store.put(job("a", payload=b"anew"))
    assert store.get("a").payload == b"anew"
    assert list(store.events("a")) == []


def test_many_jobs_are_swept_at_once(store):
    for number in range(60):
        store.put(job(str(number), status=Status.CANCELED, keep_until=NOW))
    assert store.sweep(NOW) == 60
    assert list(store.list().jobs) == []


def test_two_objects_see_the_same_jobs(place):
    one, two = place.open(), place.open()
    one.put(job())
    assert two.put(job(payload=b"x")) == job()
    (held,) = claimed(two)
    assert one.get("one") == held
    assert claimed(one) == []
    assert two.change(held, failures=1) is not None
    assert one.change(held, failures=2) is None


def test_what_is_kept_outlives_the_object(place):
    store = place.open()
    store.put(full())
    store.append("full", [JobEvent(1, "start", {}, NOW)])
    store.close()
    store.close()
    again = place.open()
    assert again.get("full") == full()
    assert len(again.events("full")) == 1


def in_threads(count: int, act) -> None:
    failures: list[BaseException] = []

    def run(number: int) -> None:
        try:
            act(number)
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=run, args=(number,)) for number in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=60)
    assert failures == []


def test_no_job_is_in_two_hands(place):
    stores = [place.open(), place.open()]
    for number in range(24):
        stores[0].put(job(f"{number:02d}"))
    taken: list[tuple[str, str]] = []

    def work(number: int) -> None:
        while held := claimed(stores[number % 2], f"owner-{number}", mood=3):
            taken.extend((found.id, found.owner) for found in held)

    in_threads(4, work)
    assert sorted(job_id for job_id, _ in taken) == [f"{number:02d}" for number in range(24)]
    assert {found.id: found.owner for found in stores[0].list(limit=99).jobs} == dict(taken)


def test_one_of_many_writers_changes_a_job(store):
    store.put(job())
    found = store.get("one")
    won: list[Job | None] = []
    in_threads(
        4, lambda number: won.append(store.change(found, failures=number, result=Result(body=b"r" * 9000)))
    )
    (winner,) = [after for after in won if after is not None]
    assert store.get("one") == winner


def test_one_of_many_puts_of_an_id_is_new(store):
    answers: list[Job | None] = []
    in_threads(4, lambda number: answers.append(store.put(job(payload=bytes([number]) * 9000))))
    kept = store.get("one")
    assert answers.count(None) == 1
    assert [there for there in answers if there] == [kept] * 3
