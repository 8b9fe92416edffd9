"""The role that docs/jobs-store.md gives the DynamoDB adapter, where the server enforces it: enough, and no more.

Not part of ``make test``, as moto enforces nothing: ``ministack.sh`` names this file and starts a server that does.
"""

from __future__ import annotations

import itertools
import json
import re
from pathlib import Path

import boto3
import pytest

from firstlight.jobs.dynamodb import DynamoJobs
from firstlight.jobs.types import Job, JobEvent, Kind, Result, Status
from firstlight.runtime.errors import JobError
from job_stores import CREDENTIALS

PAGE = Path(__file__).parents[2] / "docs/jobs-store.md"
POLICY = re.search(r"```json\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.S)[1]
ACTIONS = json.loads(POLICY)["Statement"][0]["Action"]
NUMBERS = itertools.count()


def client(dynamodb, service, key="test", secret="test"):
    keys = {"aws_access_key_id": key, "aws_secret_access_key": secret}
    return boto3.client(service, endpoint_url=dynamodb[0], **{**CREDENTIALS, **keys})


@pytest.fixture
def as_role(dynamodb, dynamo_place):
    """A function that opens the store as somebody who may do what the page says, less one action."""
    iam, opened = client(dynamodb, "iam"), []
    account = client(dynamodb, "sts")

    def store(without=""):
        policy = POLICY.replace("REGION", "us-east-1").replace("firstlight-jobs", dynamo_place.table)
        known = json.loads(policy.replace("ACCOUNT", account.get_caller_identity()["Account"]))
        known["Statement"][0]["Action"] = [action for action in ACTIONS if action != without]
        name = f"jobs-{next(NUMBERS)}"
        iam.create_user(UserName=name)
        iam.put_user_policy(UserName=name, PolicyName="jobs", PolicyDocument=json.dumps(known))
        keys = iam.create_access_key(UserName=name)["AccessKey"]
        opened.append(client(dynamodb, "dynamodb", keys["AccessKeyId"], keys["SecretAccessKey"]))
        return DynamoJobs(dynamo_place.table, opened[-1])

    yield store
    for one in (iam, account, *opened):
        one.close()


def live(store, size):
    """All that a store can do, once."""
    store.put(Job("one", Kind.EVENT, "mood", b"x" * size, 1.0))
    store.claim("gone", 5.0, 10.0, {"mood": 1})
    store.renew("gone", ["one"], 19.0)
    store.recover(6.0, ["gone"])
    (held,) = store.claim("me", 7.0, 10.0, {"mood": 1})
    store.append("one", [JobEvent(1, "start", {}, 7.0), JobEvent(2, "log", {"text": "x" * size}, 7.0)])
    assert store.change(
        held, status=Status.SUCCEEDED, result=Result(body=b"y" * size), keep_until=9.0
    ) == store.get("one")
    assert (len(store.list().jobs), store.depth(), list(store.owners())) == (1, {}, [])
    assert len(store.events("one")) == 2
    assert store.next_due(9.0, ["mood"]) is None
    assert store.sweep(9.0) == 1


@pytest.mark.parametrize("size", [10, 900_000])
def test_the_role_of_the_page_is_enough(as_role, size):
    live(as_role(), size)


@pytest.mark.parametrize("action", ACTIONS)
def test_the_role_of_the_page_has_nothing_to_spare(as_role, action):
    with pytest.raises(JobError, match=r"AccessDenied|not authorized") as caught:
        live(as_role(without=action), 900_000)
    assert "docs/jobs-store.md" in caught.value.hint
