"""DynamoDB and SQS without boto3: what travels, what is tried again, what is raised."""

from __future__ import annotations

import base64
import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from firstlight.jobs.dynamodb.calls import Refused, Table
from firstlight.jobs.dynamodb.plain import LostCall, PlainClient, RefusedCall
from firstlight.jobs.sqs import Queue, job_named
from firstlight.runtime.aws.errors import CallFailed
from firstlight.runtime.errors import JobError


class Scripted:
    """An API that answers one thing after the other, the last one from then on."""

    def __init__(self, *answers):
        self.answers, self.calls = list(answers), []

    def call(self, target, content):
        self.calls.append((target, json.loads(json.dumps(content))))
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, Exception):
            raise answer
        return answer


def failing(code, status=400, **told):
    error = CallFailed(code, "no", status)
    error.told = told
    return error


@settings(max_examples=30)
@given(st.binary(max_size=20))
def test_bytes_travel_as_base64(raw):
    sent = base64.b64encode(raw).decode()
    api = Scripted({"Items": [{"payload": {"B": sent}, "id": {"S": "B"}}]})
    asked = {"Key": {"pk": {"S": "x"}}, "ExpressionAttributeValues": {":a": {"B": raw}}}
    found = PlainClient(api).query(TableName="t", **asked)
    assert found == {"Items": [{"payload": {"B": raw}, "id": {"S": "B"}}]}
    assert api.calls == [
        (
            "DynamoDB_20120810.Query",
            {"TableName": "t", **asked, "ExpressionAttributeValues": {":a": {"B": sent}}},
        )
    ]


def test_what_may_pass_is_tried_again():
    paused = []
    api = Scripted(failing("ThrottlingException"), failing("NoAnswer", 0), failing("Odd", 503), {"Item": {}})
    assert PlainClient(api, paused.append).batch_get_item() == {"Item": {}}
    assert api.calls[0][0] == "DynamoDB_20120810.BatchGetItem"
    assert len(paused) == 3
    with pytest.raises(LostCall):
        PlainClient(Scripted(failing("NoAnswer", 0)), paused.append).get_item()
    assert len(paused) == 7


def test_a_refusal_is_as_botocore_has_it():
    item = {"payload": {"B": base64.b64encode(b"x").decode()}}
    refusal = failing("ConditionalCheckFailedException", Item=item)
    with pytest.raises(RefusedCall) as caught:
        PlainClient(Scripted(refusal)).put_item()
    assert caught.value.response["Error"]["Code"] == "ConditionalCheckFailedException"
    with pytest.raises(Refused) as refused:
        Table(PlainClient(Scripted(refusal)), "t").call("put_item", Item={})
    assert refused.value.item == {"payload": {"B": b"x"}}
    reasons = [{"Code": "None"}, {"Code": "ConditionalCheckFailed", "Item": item}]
    refusal = failing("TransactionCanceledException", CancellationReasons=reasons)
    with pytest.raises(Refused) as refused:
        Table(PlainClient(Scripted(refusal)), "t").transact(("Put", {}))
    assert refused.value.item == {"payload": {"B": b"x"}}


@pytest.mark.parametrize(
    ("error", "hint"),
    [
        (failing("AccessDeniedException"), "jobs-store"),
        (failing("NoCredentials", 0), "network"),
        (failing("ResourceNotFoundException"), "create_table"),
    ],
)
def test_the_table_says_what_is_wrong(error, hint):
    with pytest.raises(JobError, match=error.code) as caught:
        Table(PlainClient(Scripted(error)), "t").get({})
    assert hint in caught.value.hint


@pytest.mark.parametrize(("seconds", "delay"), [(-5.0, 0), (0.0, 0), (0.2, 1), (59.5, 60), (5000.0, 900)])
def test_a_message_waits_as_long_as_sqs_lets_it(seconds, delay):
    api = Scripted({})
    Queue("url", api).send("one", seconds)
    assert api.calls == [
        ("AmazonSQS.SendMessage", {"QueueUrl": "url", "MessageBody": '{"job": "one"}', "DelaySeconds": delay})
    ]


def test_a_message_that_got_lost_is_sent_again(monkeypatch):
    monkeypatch.setattr("firstlight.jobs.sqs._FIRST_PAUSE_S", 0.0)
    api = Scripted(failing("NoAnswer", 0), failing("InternalFailure", 500), {})
    Queue("url", api).send("one")
    assert len(api.calls) == 3
    with pytest.raises(JobError, match="AccessDenied") as caught:
        Queue("url", Scripted(failing("AccessDenied", 403))).send("one")
    assert "docs/router.md" in caught.value.hint


@pytest.mark.parametrize("body", ["", "[]", "{}", '{"job": 1}', '{"job": ""}', "\ud800"])
def test_a_message_of_others_names_no_job(body):
    assert job_named(body) is None
    assert job_named('{"job": "a"}') == "a"
