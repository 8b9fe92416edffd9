"""The two roles of docs/records-store.md where the server enforces them: enough, and no more."""

from __future__ import annotations

import itertools
import json
import re
import subprocess
from pathlib import Path

import pytest

from contract.runtime_api.recorder import RuntimeApi
from contract.runtime_api.workers import BARE, WorkerProcess
from firstlight.runtime.aws.calling import Api
from firstlight.runtime.aws.errors import CallFailed
from firstlight.runtime.errors import RecordError
from firstlight.runtime.records.dynamodb import DynamoRecorder
from firstlight.runtime.records.dynamodb_store import DynamoStore, create_table
from parts.emulator import HOME, Emulator

PAGE = Path(__file__).parents[2] / "docs/records-store.md"
WRITING, READING = re.findall(r"```json\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.S)
TABLE = "firstlight-records"
NUMBERS = itertools.count()


def of_account(policy, enforced):
    return policy.replace("REGION", enforced.region).replace("ACCOUNT", enforced.account)


@pytest.fixture(scope="module")
def enforced(tmp_path_factory):
    """An AWS that asks for rights; no function is run in it."""
    with Emulator(tmp_path_factory.mktemp("rights"), auth=True) as running:
        service = Api("dynamodb", running.variables())
        for table in (TABLE, "another"):
            create_table(service, table)
        service.close()
        yield running


@pytest.fixture(scope="module")
def as_role(enforced):
    """DynamoDB as somebody sees it who may do what a policy of the page says."""
    iam, opened = enforced.client("iam"), []

    def service(policy):
        name = f"records-{next(NUMBERS)}"
        iam.create_user(UserName=name)
        iam.put_user_policy(UserName=name, PolicyName="records", PolicyDocument=of_account(policy, enforced))
        keys = iam.create_access_key(UserName=name)["AccessKey"]
        opened.append(Api("dynamodb", enforced.variables(keys["AccessKeyId"], keys["SecretAccessKey"])))
        return opened[-1]

    yield service
    iam.close()
    for one in opened:
        one.close()


@pytest.fixture(scope="module")
def written(as_role):
    """The function's own service, and a record that it put."""
    service = as_role(WRITING)
    recorder = DynamoRecorder(TABLE, service)
    recorder.put({"request_id": "one", "endpoint": "mood", "time": 1_800_000_000.0, "inputs": "secret"})
    return service


def denied(call):
    with pytest.raises((CallFailed, RecordError)) as caught:
        call()
    assert re.search("AccessDenied|not authorized", str(caught.value)), caught.value
    return caught.value


def test_a_function_puts_its_records_and_the_router_reads_them(written, as_role):
    store = DynamoStore(TABLE, as_role(READING))
    assert store.get("one")["inputs"] == "secret"
    assert [record["request_id"] for record in store.list()] == ["one"]


def test_a_worker_with_that_role_leaves_its_record(enforced, as_role, tmp_path):
    service = as_role(WRITING)
    keys = service._source.get()
    (tmp_path / "script.py").write_text("def handler(event, context):\n    return event\n")
    with RuntimeApi() as api:
        variables = {
            **enforced.variables(keys.key_id, keys.secret),
            "AWS_LAMBDA_RUNTIME_API": api.address,
            "FIRSTLIGHT_SCRIPT": str(tmp_path / "script.py"),
            "FIRSTLIGHT_RECORDS_TABLE": TABLE,
            "FIRSTLIGHT_RECORDS_STORE": "full",
            "FIRSTLIGHT_ENDPOINT": "mood",
        }
        worker = WorkerProcess(BARE, variables, tmp_path)
        event = api.put(b'"hello"')
        api.invoke()
        worker.kill()
    assert DynamoStore(TABLE, as_role(READING)).get(event.request_id)["inputs"] == '"hello"'


def test_a_function_reads_nothing(written):
    store = DynamoStore(TABLE, written)
    denied(lambda: store.get("one"))
    assert "docs/records-store.md" in denied(lambda: store.list(endpoint="mood")).hint
    key = {"pk": {"S": "LOG#mood"}, "sk": {"S": "x"}}
    calls = {
        "GetItem": {"Key": key},
        "Scan": {},
        "DeleteItem": {"Key": key},
        "UpdateItem": {
            "Key": key,
            "UpdateExpression": "SET a = :a",
            "ExpressionAttributeValues": {":a": {"S": "b"}},
        },
        "DescribeTable": {},
    }
    for operation, content in calls.items():
        denied(lambda: written.call(f"DynamoDB_20120810.{operation}", {"TableName": TABLE, **content}))  # noqa: B023
    denied(lambda: written.call("DynamoDB_20120810.BatchGetItem", {"RequestItems": {TABLE: {"Keys": [key]}}}))


def test_a_function_puts_nothing_anywhere_else(written):
    denied(lambda: DynamoRecorder("another", written).put({"endpoint": "mood"}))


JUDGE = """
import json, sys
from ministack.core.iam_evaluator import EvalContext, _conditions_met

condition, cases = json.load(sys.stdin)
told = [{name.lower(): value for name, value in case.items() if value is not None} for case in cases]
about = "u", "User", "1", "dynamodb:PutItem", "*", "us-east-1"
met = [_conditions_met(condition, EvalContext(*about, "", True, service_context=one)) for one in told]
print(json.dumps(met))
"""


def test_nor_another_endpoint_s_and_nothing_that_it_overwrites_comes_back(enforced):
    """By the rules with which ministack judges conditions: of its own accord it does not look at these two keys."""
    cases = [
        ("LOG#mood", "NONE", True),
        ("LOG#mood", None, True),
        ("LOG##", "NONE", True),
        ("LOG#mood", "ALL_OLD", False),
        ("LOG#qa", "NONE", False),
        ("LOG#moody", "NONE", False),
        ("JOB#1", "NONE", False),
    ]
    keys = [
        {"dynamodb:LeadingKeys": [leading], "dynamodb:ReturnValues": returned}
        for leading, returned, _ in cases
    ]
    condition = json.loads(WRITING)["Statement"][0]["Condition"]
    judged = subprocess.run(
        [HOME / "bin/python", "-c", JUDGE],
        input=json.dumps([condition, keys]),
        capture_output=True,
        text=True,
        check=True,
    )
    assert json.loads(judged.stdout) == [allowed for _, _, allowed in cases]


def test_the_router_puts_nothing(as_role):
    denied(lambda: DynamoStore(TABLE, as_role(READING)).put({"endpoint": "mood"}))


@pytest.mark.parametrize("action", json.loads(READING)["Statement"][0]["Action"])
def test_the_router_has_nothing_to_spare(written, as_role, action):
    policy = json.loads(READING)
    policy["Statement"][0]["Action"].remove(action)
    store = DynamoStore(TABLE, as_role(json.dumps(policy)))
    denied(lambda: (store.get("one"), store.list()))
