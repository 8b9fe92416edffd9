"""What only the DynamoDB store of records meets: sizes, lost answers, several endpoints, missing tables and rights."""

from __future__ import annotations

import json
import time
import uuid

import pytest

from firstlight.runtime.aws.calling import Api
from firstlight.runtime.aws.errors import CallFailed
from firstlight.runtime.errors import RecordError
from firstlight.runtime.records.dynamodb import DynamoRecorder
from firstlight.runtime.records.dynamodb_store import DynamoStore, create_table
from job_stores import ENVIRONMENT

NOW = 1_800_000_000.0


class Between:
    """An API whose calls go through ``act(call, operation, content)``."""

    def __init__(self, api, act=None):
        self.api, self.act, self.calls = api, act, []

    def call(self, target, content, within_s=None):
        operation = target.partition(".")[2]
        self.calls.append((operation, content, within_s))

        def make():
            return self.api.call(target, content, within_s)

        return self.act(make, operation, content) if self.act else make()

    def close(self):
        pass


@pytest.fixture(scope="module")
def api(dynamodb):
    made = Api("dynamodb", {**ENVIRONMENT, "AWS_ENDPOINT_URL": dynamodb[0]})
    yield made
    made.close()


@pytest.fixture(scope="module")
def table(api):
    name = f"records-{uuid.uuid4()}"
    create_table(api, name)
    return name


@pytest.fixture
def endpoint():
    """A name that no other test has."""
    return f"e-{uuid.uuid4()}"


def test_what_is_too_long_is_cut_and_said(api, table, endpoint):
    store = DynamoStore(table, api)
    store.put(
        {
            "request_id": endpoint,
            "endpoint": endpoint,
            "inputs": "é" * 200_000,
            "outputs": "o" * 250_000,
            "warnings": ["w"],
        }
    )
    found = store.get(endpoint)
    assert found["inputs"] == "é" * 75_000
    assert found["outputs"] == "o" * 150_000
    assert found["warnings"] == ["w", "cut: DynamoDB keeps 400 KB of a record"]


def test_a_record_whose_answer_was_lost_is_kept_once(api, table, endpoint):
    def twice(call, operation, content):
        call()
        return call()

    DynamoRecorder(table, Between(api, twice)).put({"request_id": endpoint, "endpoint": endpoint})
    assert len(DynamoStore(table, api).list(endpoint=endpoint)) == 1


def test_numbers_that_dynamodb_does_not_take_are_taken(api, table, endpoint):
    store = DynamoStore(table, api)
    given = {"duration_ms": 1e300, "queue_ms": 5e-324, "init_ms": -1e200, "max_memory_mb": 0.1}
    store.put({"request_id": endpoint, "endpoint": endpoint, **given})
    found = store.get(endpoint)
    assert (found["duration_ms"], found["queue_ms"], found["init_ms"]) == (9e125, 0.0, -9e125)
    assert found["max_memory_mb"] == 0.1


def test_it_is_deleted_when_its_days_are_over(api, table, endpoint):
    between = Between(api)
    DynamoRecorder(table, between, max_age_days=2.0).put({"endpoint": endpoint, "time": NOW})
    (_, first, _), (_, name, _) = between.calls
    assert first["Item"]["ttl"] == {"N": str(int(NOW) + 2 * 86400)}
    assert name["Item"] == {"pk": {"S": "LOG##"}, "sk": {"S": f"={endpoint}"}}


def test_an_endpoint_is_named_once_and_each_call_has_its_time(api, table, endpoint):
    between = Between(api)
    recorder = DynamoRecorder(table, between)
    for _ in range(3):
        recorder.put({"endpoint": endpoint}, within_s=5.0)
    assert [operation for operation, _, _ in between.calls] == ["PutItem"] * 4
    assert {within for _, _, within in between.calls} == {5.0}


def test_endpoints_are_listed_together_in_the_order_of_time(api, dynamodb):
    name = f"records-{uuid.uuid4()}"
    create_table(api, name)
    moment = [time.time()]
    stores = [DynamoStore(name, api, clock=lambda: moment[0]) for _ in range(2)]
    for number in range(6):
        moment[0] += 1.0
        stores[number % 2].put({"request_id": str(number), "endpoint": ("mood", "qa", "")[number % 3]})
    assert [found["request_id"] for found in stores[0].list(limit=4)] == ["2", "3", "4", "5"]
    first = stores[0].list(limit=2, after=0)
    assert [found["request_id"] for found in first] == ["0", "1"]
    rest = stores[1].list(after=first[-1]["seq"])
    assert [found["request_id"] for found in rest] == ["2", "3", "4", "5"]
    assert [found["request_id"] for found in stores[1].list(endpoint="qa")] == ["1", "4"]


def test_of_several_records_of_a_request_the_newest_is_got(api, table, endpoint):
    store = DynamoStore(table, api)
    for status in ("error", "ok"):
        store.put({"request_id": endpoint, "endpoint": endpoint, "status": status})
    assert store.get(endpoint)["status"] == "ok"
    assert store.get("") is None


def test_pages_are_read_on_until_enough_was_found(api, table, endpoint):
    store = DynamoStore(table, api)
    for number in range(9):
        store.put(
            {
                "request_id": f"{endpoint}-{number}",
                "endpoint": endpoint,
                "status": "ok" if number else "error",
            }
        )
    between = Between(api)
    found = DynamoStore(table, between).list(endpoint=endpoint, status="error", limit=2)
    assert [record["request_id"] for record in found] == [f"{endpoint}-0"]
    assert len(between.calls) > 3


@pytest.mark.parametrize(
    ("code", "hint"),
    [
        ("AccessDeniedException", "docs/records-store.md"),
        ("NoAnswer", "network"),
        ("ValidationException", ""),
    ],
)
def test_what_dynamodb_refuses_is_said(api, table, code, hint):
    def refuse(call, operation, content):
        raise CallFailed(code, "no")

    store = DynamoStore(table, Between(api, refuse))
    for act in (lambda: store.put({"endpoint": "mood"}), lambda: store.get("x"), store.list):
        with pytest.raises(RecordError, match=code) as caught:
            act()
        assert hint in caught.value.hint


def test_a_table_that_is_not_there_is_said_and_one_that_is_stays(api, table, endpoint):
    with pytest.raises(RecordError, match="nowhere") as caught:
        DynamoStore("nowhere", api).put({"endpoint": "mood"})
    assert "deploy" in caught.value.hint
    DynamoStore(table, api).put({"request_id": endpoint, "endpoint": endpoint})
    create_table(api, table)
    assert json.dumps(DynamoStore(table, api).get(endpoint))
    with pytest.raises(CallFailed):
        create_table(
            Between(api, lambda *_: (_ for _ in ()).throw(CallFailed("AccessDeniedException", ""))), table
        )
