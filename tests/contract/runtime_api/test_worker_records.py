"""What a worker leaves in DynamoDB and in its log when its answer was posted."""

from __future__ import annotations

import hashlib
import json
import socket
import uuid

import pytest

from contract.runtime_api.recorder import RuntimeApi
from firstlight.runtime.aws.calling import Api
from firstlight.runtime.records.dynamodb_store import DynamoStore, create_table
from job_stores import ENVIRONMENT

SCRIPT = """
def handler(event, context):
    if event == "fail":
        raise ValueError("call me: ada@example.com")
    if event == "stream":
        return (piece for piece in ("mail ", "ada@example.com"))
    return {"said": event}
"""


@pytest.fixture
def store(dynamodb):
    service = Api("dynamodb", {**ENVIRONMENT, "AWS_ENDPOINT_URL_DYNAMODB": dynamodb[0]})
    table = f"records-{uuid.uuid4()}"
    create_table(service, table)
    opened = DynamoStore(table, service)
    yield opened
    opened.close()


@pytest.fixture(params=["tcp"])
def api(request, tmp_path):
    """As on Lambda."""
    with RuntimeApi() as server:
        yield server


@pytest.fixture
def recorded(api, start, store, dynamodb):
    """Start a worker that records; what is asked of it has left its record when the next answer is there."""

    def begin(**more):
        kept = {
            "FIRSTLIGHT_RECORDS_TABLE": store.table,
            "FIRSTLIGHT_RECORDS_STORE": "redacted",
            "FIRSTLIGHT_ENDPOINT": "mood",
            "AWS_ENDPOINT_URL_DYNAMODB": dynamodb[0],
        }
        return start(api, SCRIPT, **{**ENVIRONMENT, **kept, **more})

    return begin


def test_each_invocation_leaves_a_record_of_itself(api, recorded, store):
    recorded()
    asked = [
        api.put(json.dumps(event).encode()) for event in ("mail ada@example.com", "fail", "stream", "last")
    ]
    for event in asked:
        event.wait()
    said, failed, streamed = (store.get(event.request_id) for event in asked[:3])
    assert said["inputs"] == '"mail [email]"'
    assert json.loads(said["outputs"]) == {"said": "mail [email]"}
    assert (said["endpoint"], said["status"], said["cold"], said["error_type"]) == ("mood", "ok", True, None)
    assert (said["request_bytes"], said["response_bytes"]) == (22, 32)
    assert said["init_ms"] > 0
    assert said["duration_ms"] > 0
    assert said["max_memory_mb"] > 1
    assert (failed["status"], failed["error_type"], failed["cold"]) == ("error", "ValueError", False)
    assert "ada@example.com" not in failed["outputs"]
    assert (streamed["status"], streamed["outputs"], streamed["response_bytes"]) == ("ok", "mail [email]", 20)
    assert [record["status"] for record in store.list(endpoint="mood")[:3]] == ["ok", "error", "ok"]


@pytest.mark.parametrize(("kept", "inputs"), [("none", None), ("hash", hashlib.sha256(b'"a"').hexdigest())])
def test_no_more_is_kept_than_the_policy_says(api, recorded, store, kept, inputs):
    recorded(FIRSTLIGHT_RECORDS_STORE=kept)
    event = api.put(b'"a"')
    api.invoke()
    assert store.get(event.request_id)["inputs"] == inputs
    assert (store.get(event.request_id)["outputs"] is None) == (inputs is None)


def test_who_only_reads_the_table_writes_nothing(api, start, store, dynamodb):
    reads = {"FIRSTLIGHT_RECORDS_TABLE": store.table, "AWS_ENDPOINT_URL_DYNAMODB": dynamodb[0]}
    start(api, SCRIPT, **ENVIRONMENT, **reads)
    first = api.put(b"1")
    api.invoke(b"2")
    assert store.get(first.request_id) is None
    assert list(store.list()) == []


def test_a_table_that_cannot_be_reached_fails_nothing(api, recorded):
    with socket.create_server(("127.0.0.1", 0)) as nobody:
        port = nobody.getsockname()[1]
    worker = recorded(AWS_ENDPOINT_URL_DYNAMODB=f"http://127.0.0.1:{port}")
    assert json.loads(api.invoke(b"1").body) == {"said": 1}
    assert json.loads(api.invoke(b"2").body) == {"said": 2}
    api.close()
    status, said, _ = worker.end()
    assert status == 0
    assert said.count("this invocation was not recorded: records cannot be written") == 1


def test_metrics_are_lines_of_the_log(api, recorded):
    worker = recorded(
        FIRSTLIGHT_METRICS="firstlight", FIRSTLIGHT_RECORDS_TABLE="", AWS_LAMBDA_LOG_FORMAT="JSON"
    )
    first, second = api.put(b"1"), api.put(b"2")
    first.wait()
    second.wait()
    api.invoke()
    api.close()
    _, said, _ = worker.end()
    cold, warm = [json.loads(line) for line in said.splitlines()][:2]
    assert (cold["requestId"], cold["Endpoint"], cold["ColdStarts"]) == (first.request_id, "mood", 1)
    assert cold["InitTime"] > 0
    (about,) = cold["_aws"]["CloudWatchMetrics"]
    assert (about["Namespace"], about["Dimensions"]) == ("firstlight", [["Endpoint"]])
    assert about["Metrics"] == [
        {"Name": "InitTime", "Unit": "Milliseconds"},
        {"Name": "ColdStarts", "Unit": "Count"},
    ]
    assert (warm["requestId"], warm["ColdStarts"]) == (second.request_id, 0)
    assert "InitTime" not in warm
