"""What only the DynamoDB store meets: lost answers, indexes that lag behind, throttling, missing tables and rights."""

from __future__ import annotations

import sys
from collections import Counter

import pytest
from botocore.exceptions import ClientError
from botocore.stub import Stubber

from firstlight.jobs.dynamodb import DynamoJobs, create_table
from firstlight.jobs.dynamodb.calls import new_client
from firstlight.jobs.types import Job, JobEvent, Kind, Result, Status
from firstlight.runtime.errors import JobError, MissingExtra
from job_stores import CREDENTIALS

NOW = 1_800_000_000.0
LARGE = b"x" * 900_000


def job(job_id="one", **changes):
    return Job(
        **{"id": job_id, "kind": Kind.EVENT, "endpoint": "mood", "payload": b"{}", "created": NOW, **changes}
    )


class Between:
    """A client whose calls go through ``act(operation, call, arguments)``; ``call(**arguments)`` makes the call."""

    def __init__(self, client, act):
        self.client, self.act = client, act

    def __getattr__(self, operation):
        real = getattr(self.client, operation)
        return lambda **arguments: self.act(operation, real, arguments)


def store_between(place, act):
    return DynamoJobs(place.table, Between(place.client, act))


def items(place):
    pages = place.client.get_paginator("scan").paginate(TableName=place.table)
    return [item for page in pages for item in page["Items"]]


def error(code, operation, **more):
    return ClientError({"Error": {"Code": code, "Message": "not now"}, **more}, operation)


@pytest.mark.parametrize("payload", [b"{}", LARGE])
def test_a_write_that_is_repeated_after_a_lost_answer_comes_to_the_same(dynamo_place, payload):
    def lose_the_first_answer(operation, call, arguments):
        if operation not in ("query", "get_item"):
            call(**arguments)
        return call(**arguments)

    store = store_between(dynamo_place, lose_the_first_answer)
    one = job(payload=payload)
    assert store.put(one) is None
    (held,) = store.claim("me", NOW, 30.0, {"mood": 1})
    assert held == store.get("one")
    assert held.attempts == 1
    assert list(store.renew("me", ["one"], NOW + 60)) == []
    (back,) = store.recover(NOW + 60)
    assert back == store.get("one")
    assert back.interrupted == 1
    after = store.change(back, status=Status.SUCCEEDED, result=Result(body=payload), keep_until=NOW + 99)
    assert after == store.get("one")
    store.append("one", [JobEvent(1, "start", {}, NOW), JobEvent(2, "log", {"text": "x" * 300_000}, NOW)])
    assert [event.number for event in store.events("one")] == [1, 2]
    assert store.sweep(NOW + 99) == 1
    assert items(dynamo_place) == []


def test_an_index_that_lags_behind_hands_nothing_out_twice(dynamo_place):
    old = []

    def lag(operation, call, arguments):
        answer = call(**arguments)
        if operation == "query":
            old.append({"Items": answer["Items"]})
            return old[0]
        return answer

    store = dynamo_place.open()
    store.put(job())
    late = store_between(dynamo_place, lag)
    (held,) = late.claim("me", NOW, 30.0, {"mood": 1})
    assert late.claim("other", NOW, 30.0, {"mood": 1}) == []
    store.change(held, status=Status.STARTING, due=NOW + 60)
    assert late.claim("other", NOW, 30.0, {"mood": 1}) == []
    assert len(old) == 3


def test_a_job_that_was_renewed_is_not_put_back(dynamo_place):
    store = dynamo_place.open()
    store.put(job())
    store.claim("me", NOW, 30.0, {"mood": 1})
    found = []

    def renew_in_between(operation, call, arguments):
        answer = call(**arguments)
        if operation == "get_item" and not found:
            found.append(store.renew("me", ["one"], NOW + 90))
        return answer

    slow = store_between(dynamo_place, renew_in_between)
    assert slow.recover(NOW + 30) == []
    assert slow.recover(NOW + 30) == []
    assert store.get("one").lease == NOW + 90


def test_what_dynamodb_did_not_get_to_is_asked_for_again(dynamo_place):
    table, calls = dynamo_place.table, Counter()

    def do_one_of_them(operation, call, arguments):
        calls[operation] += 1
        if calls[operation] > 1 or not operation.startswith("batch"):
            return call(**arguments)
        asked = arguments["RequestItems"][table]
        if operation == "batch_write_item":
            call(RequestItems={table: asked[:1]})
            return {"UnprocessedItems": {table: asked[1:]}}
        answer = call(RequestItems={table: {**asked, "Keys": asked["Keys"][:1]}})
        return {**answer, "UnprocessedKeys": {table: {**asked, "Keys": asked["Keys"][1:]}}}

    store = store_between(dynamo_place, do_one_of_them)
    store.put(job(payload=LARGE))
    assert store.get("one").payload == LARGE
    assert calls["batch_get_item"] == calls["batch_write_item"] == 2


@pytest.mark.parametrize("operation", ["batch_write_item", "batch_get_item"])
def test_a_table_that_stays_too_busy_is_said(dynamo_place, operation, monkeypatch):
    monkeypatch.setattr("firstlight.jobs.dynamodb.calls._FIRST_PAUSE_SECONDS", 0.0)
    plain = dynamo_place.open()
    plain.put(job("there", payload=LARGE))

    def do_nothing(called, call, arguments):
        if called != operation:
            return call(**arguments)
        return {
            "Responses": {},
            "UnprocessedKeys": arguments["RequestItems"],
            "UnprocessedItems": arguments["RequestItems"],
        }

    store = store_between(dynamo_place, do_nothing)
    with pytest.raises(JobError, match="too busy") as caught:
        (store.put(job(payload=LARGE)), store.get("there"))
    assert "capacity" in caught.value.hint
    assert (plain.get("one") is None) == (operation == "batch_write_item")
    assert plain.get("there") == job("there", payload=LARGE)


@pytest.mark.parametrize("refusals", [1, 99])
def test_a_write_beside_another_one_is_tried_again(dynamo_place, refusals, monkeypatch):
    monkeypatch.setattr("firstlight.jobs.dynamodb.calls._FIRST_PAUSE_SECONDS", 0.0)
    left = [refusals]

    def conflict(operation, call, arguments):
        if operation != "transact_write_items" or not left[0]:
            return call(**arguments)
        left[0] -= 1
        raise error(
            "TransactionCanceledException", operation, CancellationReasons=[{"Code": "TransactionConflict"}]
        )

    store = store_between(dynamo_place, conflict)
    if refusals == 1:
        assert store.put(job(payload=LARGE)) is None
        assert store.get("one") == job(payload=LARGE)
        return
    with pytest.raises(JobError, match="jobs cannot be kept in the table"):
        store.put(job(payload=LARGE))
    assert store.get("one") is None
    store.sweep(4e9)  # what was written of it is told from what is in use by its note
    assert items(dynamo_place) == []


def test_a_writer_that_a_sweep_took_for_dead_begins_again(dynamo_place):
    other, swept = dynamo_place.open(), []

    def sweep_in_between(operation, call, arguments):
        if operation == "transact_write_items" and not swept:
            swept.append(other.sweep(4e9))
        return call(**arguments)

    store = store_between(dynamo_place, sweep_in_between)
    assert store.put(job(payload=LARGE)) is None
    assert other.get("one") == job(payload=LARGE)
    other.sweep(4e9)
    assert other.get("one") == job(payload=LARGE)


def test_a_sweep_that_ends_halfway_leaves_no_job_without_its_body(dynamo_place):
    swept = []

    def end_before_the_note_is_gone(operation, call, arguments):
        if operation == "batch_write_item" and swept:
            raise error("InternalServerError", operation)
        if operation == "batch_write_item":
            swept.append(operation)
        return call(**arguments)

    def sweep_in_between(operation, call, arguments):
        if operation == "transact_write_items" and not swept:
            with pytest.raises(JobError):
                store_between(dynamo_place, end_before_the_note_is_gone).sweep(4e9)
        return call(**arguments)

    assert store_between(dynamo_place, sweep_in_between).put(job(payload=LARGE)) is None
    assert swept == ["batch_write_item"]
    assert dynamo_place.open().get("one") == job(payload=LARGE)


def test_all_of_a_job_that_is_over_has_a_time_to_live(dynamo_place):
    store = dynamo_place.open()
    store.put(job(payload=LARGE))
    store.append("one", [JobEvent(1, "start", {}, NOW)])
    assert not [item for item in items(dynamo_place) if "ttl" in item]
    (held,) = store.claim("me", NOW, 30.0, {"mood": 1})
    store.change(held, status=Status.SUCCEEDED, result=Result(body=LARGE), keep_until=NOW + 99.5)
    store.append("one", [JobEvent(2, "completed", {}, NOW)])
    found = items(dynamo_place)
    assert len(found) == 1 + 3 + 3 + 2  # the job, its payload, its answer, its events
    assert {item.get("ttl", {}).get("N") for item in found} == {str(int(NOW) + 99 + 86400)}
    ttl = dynamo_place.client.describe_time_to_live(TableName=dynamo_place.table)["TimeToLiveDescription"]
    assert (ttl["AttributeName"], ttl["TimeToLiveStatus"]) == ("ttl", "ENABLED")


def test_a_body_that_is_replaced_leaves_nothing(dynamo_place):
    store = dynamo_place.open()
    store.put(job())
    held = store.change(store.get("one"), result=Result(body=LARGE), partial="p" * 9000)
    held = store.change(held, result=Result(body=LARGE), partial="")
    held = store.change(held, result=Result(body=b"small"))
    assert store.change(job(), result=Result(body=LARGE)) is None
    assert [item["sk"]["S"] for item in items(dynamo_place)] == ["META"]
    assert store.get("one") == held


def test_requests_for_a_small_job_are_few(dynamo_place):
    made = Counter()

    def count(operation, call, arguments):
        made[operation] += 1
        return call(**arguments)

    total = Counter()

    def requests(act):
        made.clear()
        answer = act()
        total.update(made)
        return dict(made), answer

    store = store_between(dynamo_place, count)
    assert requests(lambda: store.put(job()))[0] == {"put_item": 1}
    claims, (held,) = requests(lambda: store.claim("me", NOW, 30.0, {"mood": 1}))
    assert claims == {"query": 1, "update_item": 1}
    assert requests(lambda: store.renew("me", ["one"], NOW + 40))[0] == {"update_item": 1}
    assert requests(lambda: store.append("one", [JobEvent(1, "start", {}, NOW)]))[0] == {
        "get_item": 1,
        "put_item": 1,
    }
    ended = {"status": Status.SUCCEEDED, "result": Result(body=b"{}"), "keep_until": NOW + 9}
    assert requests(lambda: store.change(held, **ended))[0] == {"update_item": 2, "query": 1}
    assert requests(lambda: store.get("one"))[0] == {"get_item": 1}
    assert requests(lambda: store.put(job("two", payload=LARGE)))[0] == {
        "get_item": 1,
        "put_item": 1,  # is it there, the note
        "batch_write_item": 1,
        "transact_write_items": 1,
    }
    assert requests(lambda: store.get("two"))[0] == {"get_item": 1, "batch_get_item": 1}


def test_a_table_that_is_not_there_is_said(dynamo_place):
    store = DynamoJobs("nowhere", dynamo_place.client)
    for act in (
        lambda: store.get("one"),
        lambda: store.put(job()),
        lambda: store.claim("me", NOW, 1.0, {"mood": 1}),
    ):
        with pytest.raises(JobError, match="nowhere") as caught:
            act()
        assert "create_table" in caught.value.hint


def test_making_a_table_that_is_there_changes_nothing(dynamo_place):
    dynamo_place.open().put(job())
    create_table(dynamo_place.client, dynamo_place.table)
    assert dynamo_place.open().get("one") == job()


@pytest.mark.parametrize(
    ("code", "hint"),
    [
        ("AccessDeniedException", "docs/jobs-store.md"),
        ("ThrottlingException", "capacity"),
        ("UnrecognizedClientException", "credentials"),
    ],
)
def test_what_dynamodb_refuses_is_said(code, hint):
    client = new_client(**CREDENTIALS)
    with Stubber(client) as stub:
        stub.add_client_error("get_item", code)
        with pytest.raises(JobError, match="jobs cannot be kept in the table jobs") as caught:
            DynamoJobs("jobs", client).get("one")
        stub.add_client_error("create_table", code)
        with pytest.raises(JobError):
            create_table(client, "jobs")
    client.close()
    assert hint in caught.value.hint


def test_a_server_that_is_not_there_is_said():
    client = new_client(endpoint_url="http://127.0.0.1:9", **CREDENTIALS)
    with pytest.raises(JobError, match="Could not connect") as caught:
        DynamoJobs("jobs", client).get("one")
    client.close()
    assert "network" in caught.value.hint


def test_the_missing_package_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "boto3", None)
    with pytest.raises(MissingExtra) as caught:
        DynamoJobs("jobs")
    assert caught.value.hint == "pip install 'firstlight[aws]'"


def test_a_client_that_cannot_be_made_is_said():
    with pytest.raises(JobError, match="DynamoDB cannot be reached"):
        new_client(**{**CREDENTIALS, "region_name": "not a region"})
