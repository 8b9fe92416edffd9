"""What every store of records does, whichever adapter it is. A new adapter is one more entry of ``STORES``."""

from __future__ import annotations

import threading
import time
import uuid
from concurrent.futures import wait

import pytest

from firstlight.runtime.aws.calling import Api
from firstlight.runtime.errors import RecordError
from firstlight.runtime.records.dynamodb_store import DynamoStore, create_table
from firstlight.runtime.records.migrations import COLUMNS
from firstlight.runtime.records.sqlite import SqliteStore
from job_stores import ENVIRONMENT

START = time.time() - 3600


def in_sqlite(request):
    return SqliteStore(request.getfixturevalue("tmp_path") / "records.sqlite")


def in_dynamodb(request):
    url, _ = request.getfixturevalue("dynamodb")
    service = Api("dynamodb", {**ENVIRONMENT, "AWS_ENDPOINT_URL_DYNAMODB": url})
    table = f"records-{uuid.uuid4()}"
    create_table(service, table)
    return DynamoStore(table, service)


STORES = {"sqlite": in_sqlite, "dynamodb": in_dynamodb}


@pytest.fixture(params=list(STORES))
def store(request):
    opened = STORES[request.param](request)
    yield opened
    opened.close()


def record(number: int, **changes: object) -> dict[str, object]:
    full = {
        "request_id": f"id-{number}",
        "time": START + number,
        "endpoint": "mood",
        "wire": "lambda",
        "status": "ok",
        "error_type": None,
        "duration_ms": 1.5,
        "queue_ms": 0.25,
        "init_ms": None,
        "cold": False,
        "request_bytes": 12,
        "response_bytes": 34,
        "max_memory_mb": 80.5,
        "model": "ab" * 32,
        "inputs": None,
        "outputs": None,
        "warnings": [],
    }
    return {**full, **changes}


def ids(records) -> list[str]:
    return [found["request_id"] for found in records]


def test_what_is_put_can_be_got(store):
    put = record(1, cold=True, warnings=["cut at 512 tokens"], inputs='{"inputs":"né 😀"}')
    store.put(put)
    got = store.get("id-1")
    assert {name: got[name] for name in COLUMNS} == put


def test_a_record_that_was_never_put_is_none(store):
    assert store.get("id-1") is None
    assert list(store.list()) == []


def test_the_newest_records_are_listed_oldest_first(store):
    for number in range(10):
        store.put(record(number))
    assert ids(store.list(limit=3)) == ["id-7", "id-8", "id-9"]
    assert len(store.list()) == 10
    assert list(store.list(limit=0)) == []


def test_filters_narrow_each_other(store):
    for number in range(12):
        store.put(
            record(number, endpoint=("mood", "qa")[number % 2], status=("ok", "error", "crash")[number % 3])
        )
    assert ids(store.list(endpoint="qa")) == [f"id-{number}" for number in (1, 3, 5, 7, 9, 11)]
    assert ids(store.list(endpoint="qa", status="error")) == ["id-1", "id-7"]
    assert ids(store.list(endpoint="qa", status="error", since=START + 2)) == ["id-7"]
    assert ids(store.list(endpoint="none")) == []


def test_a_cursor_reads_everything_once(store):
    for number in range(10):
        store.put(record(number))
    seen: list[str] = []
    page = store.list(limit=4, after=0)
    while page:
        seen += ids(page)
        page = store.list(limit=4, after=page[-1]["seq"])
    assert seen == [f"id-{number}" for number in range(10)]
    last = store.list(limit=1)[0]["seq"]
    store.put(record(10))
    assert ids(store.list(after=last)) == ["id-10"]


def test_a_future_is_done_when_the_record_can_be_read(store):
    futures = [store.submit(record(number)) for number in range(100)]
    assert not wait(futures, timeout=30).not_done
    assert [future.result() for future in futures] == [None] * 100
    assert len(store.list(limit=1000)) == 100


def test_many_threads_may_put(store):
    def put_some(first: int) -> None:
        for number in range(first, first + 25):
            store.put(record(number))

    threads = [threading.Thread(target=put_some, args=(1000 * index,)) for index in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=30)
    assert len(store.list(limit=1000)) == 100


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ({"inputs": "half a pair: \ud800"}, {"inputs": "half a pair: ?"}),
        ({"inputs": "nul \0 and\nline"}, {"inputs": "nul \0 and\nline"}),
        ({"duration_ms": float("nan")}, {"duration_ms": None}),
        ({"request_bytes": 2**70}, {"request_bytes": 2**63 - 1}),
        ({"inputs": {"a": [1]}}, {"inputs": '{"a": [1]}'}),
        ({"surplus": "ignored"}, {"status": "ok"}),
        ({"warnings": None}, {"warnings": []}),
    ],
)
def test_odd_values_do_not_fail_a_record(store, given, kept):
    store.put(record(1, **given))
    got = store.get("id-1")
    assert {name: got[name] for name in kept} == kept


def test_a_record_with_next_to_nothing_is_kept(store):
    store.put({"request_id": "bare"})
    got = store.get("bare")
    assert (got["status"], got["endpoint"], got["cold"], got["warnings"]) == ("ok", "", False, [])
    assert got["time"] > 1_600_000_000


def test_a_closed_store_refuses(store):
    store.put(record(1))
    store.close()
    store.close()
    with pytest.raises(RecordError, match="closed"):
        store.put(record(2))
