"""The stack as an emulator of AWS makes it: whole, updated in two steps, with a switch that turns functions off."""

from __future__ import annotations

import dataclasses
import io
import json
import re
import subprocess
import zipfile
from base64 import b64decode
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

import stacks
from firstlight.deploy import cloudformation, graph
from firstlight.deploy.types import Deployed, Stack
from firstlight.project.names import Names
from firstlight.project.types import Asynchronous, Endpoint, Front
from parts.emulator import Emulator

ROOT = Path(__file__).parents[2]
UNKNOWN = ("AWS::Budgets::Budget", "AWS::CloudFront::PublicKey", "AWS::CloudFront::KeyGroup")
"""Types that the emulator does not have; none of them is in a plain project's stack."""
MOOD = Endpoint("mood", model="starter:lyrics", package="zip")


class Account:
    """Deploys templates by change sets."""

    def __init__(self, emulator: Emulator) -> None:
        self.emulator = emulator
        self.clients: dict[str, Any] = {}
        self.sets = 0

    def client(self, service: str) -> Any:
        if service not in self.clients:
            self.clients[service] = self.emulator.client(service)
        return self.clients[service]

    def store(self, *codes: str) -> None:
        """Put zips where the artifacts of tests are."""
        s3 = self.client("s3")
        s3.create_bucket(Bucket="bucket")
        for name in ("mood", "next", "router"):
            for code in codes:
                content = io.BytesIO()
                with zipfile.ZipFile(content, "w") as file:
                    file.writestr("code.txt", code)
                s3.put_object(Bucket="bucket", Key=f"{name}-{code * 12}.zip", Body=content.getvalue())

    def deploy(self, stack: Stack, name: str = "") -> None:
        """Deploy what the emulator has types for."""
        self.sets += 1
        body = _known(cloudformation.template(stack))
        cloudformation_client = self.client("cloudformation")
        name, change = name or stack.name, f"set-{self.sets}"
        there = [one["StackName"] for one in cloudformation_client.describe_stacks()["Stacks"]]
        asked = {"StackName": name, "ChangeSetName": change}
        cloudformation_client.create_change_set(
            **asked,
            ChangeSetType="UPDATE" if name in there else "CREATE",
            TemplateBody=json.dumps(body),
            Capabilities=["CAPABILITY_IAM"],
            Tags=[{"Key": key, "Value": value} for key, value in stack.tags.items()],
        )
        cloudformation_client.get_waiter("change_set_create_complete").wait(
            **asked, WaiterConfig={"Delay": 1}
        )
        cloudformation_client.execute_change_set(**asked)
        kind = "stack_update_complete" if name in there else "stack_create_complete"
        cloudformation_client.get_waiter(kind).wait(StackName=name, WaiterConfig={"Delay": 1})

    def made(self, name: str) -> dict[str, str]:
        """Logical id -> physical id."""
        pages = self.client("cloudformation").get_paginator("list_stack_resources").paginate(StackName=name)
        return {
            one["LogicalResourceId"]: one["PhysicalResourceId"]
            for page in pages
            for one in page["StackResourceSummaries"]
            if not one["ResourceStatus"].startswith("DELETE")
        }

    def destroy(self, name: str) -> None:
        self.client("cloudformation").delete_stack(StackName=name)
        self.client("cloudformation").get_waiter("stack_delete_complete").wait(
            StackName=name, WaiterConfig={"Delay": 1}
        )


@pytest.fixture
def account(local_emulator: Emulator) -> Iterator[Account]:
    local_emulator.reset()
    made = Account(local_emulator)
    yield made
    local_emulator.reset()
    for client in made.clients.values():
        client.close()


def _known(template: Mapping[str, Any]) -> dict[str, Any]:
    """A template without what the emulator does not have, and without what refers to it."""
    made = json.loads(json.dumps(template))
    gone = {key for key, one in made["Resources"].items() if one["Type"] in UNKNOWN}
    made["Resources"] = {key: one for key, one in made["Resources"].items() if key not in gone}
    made["Outputs"] = {
        key: one for key, one in made["Outputs"].items() if one["Value"].get("Ref") not in gone
    }
    for resource in made["Resources"].values():
        config = resource["Properties"].get("DistributionConfig")
        if config:
            del config["DefaultCacheBehavior"]["TrustedKeyGroups"]
    return made


def test_a_plain_project_is_made_whole_and_goes_whole(account: Account) -> None:
    account.store("a")
    stack = stacks.stack(stacks.project(MOOD))
    artifacts = graph.artifacts_stack(Names("lyrics"), stacks.ACCOUNT)
    account.deploy(artifacts)
    account.deploy(stack)
    assert set(account.made(stack.name)) == {resource.id for resource in stack.resources}
    assert set(account.made(artifacts.name)) == {resource.id for resource in artifacts.resources}
    alias = account.client("lambda").get_alias(FunctionName="lyrics-mood", Name="live")
    assert alias["FunctionVersion"] == "1"
    account.destroy(stack.name)
    kept = account.client("dynamodb").list_tables()["TableNames"]
    assert sorted(name.split("-")[2] for name in kept) == ["JobsTable", "RecordsTable"]
    assert account.client("lambda").list_functions()["Functions"] == []
    assert account.client("sqs").list_queues().get("QueueUrls", []) == []
    assert account.client("logs").describe_log_groups()["logGroups"] == []


def test_an_update_tries_the_new_version_before_callers_meet_it(account: Account) -> None:
    project, client = stacks.project(MOOD), account.client("lambda")
    account.store("a", "b", "c")
    there: Deployed | None = None
    seen = []
    for code in "abc":
        trying = stacks.stack(project, there, code, switch=False)
        account.deploy(trying)
        before = client.get_alias(FunctionName="lyrics-mood", Name="live")["FunctionVersion"]
        assert before == (seen[-1] if seen else "1")
        there = stacks.deployed(trying)
        switched = stacks.stack(project, there, code)
        if switched != trying:
            account.deploy(switched)
            there = stacks.deployed(switched)
        seen.append(client.get_alias(FunctionName="lyrics-mood", Name="live")["FunctionVersion"])
    assert seen == ["1", "2", "3"]
    versions = client.list_versions_by_function(FunctionName="lyrics-mood")["Versions"]
    assert [one["Version"] for one in versions] == ["$LATEST", "2", "3"]


def test_every_option_that_the_emulator_has_is_made(account: Account, tmp_path: Any) -> None:
    account.store("a")
    (tmp_path / "key.pem").write_text("-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n")
    events = Asynchronous(retries=1, on_failure="endpoint:next")
    mood = Endpoint(
        "mood", model="m", package="zip", route="/mood/{id}", front=Front("http", "iam"), asynchronous=events
    )
    other = Endpoint(
        "next", model="m", package="zip", route="/next", front=Front("rest", "key"), concurrency=2, reserved=2
    )
    wishes = {
        "public": True,
        "api": "rest",
        "email": "someone@example.org",
        "budget": 5.0,
        "kill_switch": True,
    }
    project = stacks.project(
        mood, other, root=tmp_path, share=True, share_key="key.pem", cache="efs", **wishes
    )
    stack = stacks.stack(project)
    account.deploy(stack)
    wanted = {resource.id for resource in stack.resources if resource.type not in UNKNOWN}
    assert set(account.made(stack.name)) == wanted


def test_the_switch_turns_functions_off_when_the_topic_says_so(account: Account) -> None:
    account.store("a")
    stack = stacks.stack(stacks.project(MOOD, budget=5.0, kill_switch=True))
    account.deploy(stack)
    made, client = account.made(stack.name), account.client("lambda")

    def workers(function: str) -> int | None:
        found = client.get_function_concurrency(FunctionName=function)
        return found.get("ReservedConcurrentExecutions")

    assert workers("lyrics-mood") is None
    told = {"Records": [{"Sns": {"TopicArn": made["BudgetTopic"], "Message": "used up"}}]}
    for event, expected in ((told, 0), ({"firstlight": "on"}, None)):
        answer = client.invoke(FunctionName=made["SwitchFunction"], Payload=json.dumps(event))
        assert "FunctionError" not in answer, answer["Payload"].read()
        assert {workers(name) for name in ("lyrics-mood", "lyrics-router", "lyrics-router-jobs")} == {
            expected
        }
    subscriptions = account.client("sns").list_subscriptions_by_topic(TopicArn=made["BudgetTopic"])
    assert [one["Protocol"] for one in subscriptions["Subscriptions"]] == ["lambda"]


def test_the_entrance_of_the_share_front_makes_cookies_of_a_link(tmp_path: Path) -> None:
    page = (ROOT / "docs/stack.md").read_text(encoding="utf-8")
    (make,) = re.findall(r"```\n(openssl genrsa .*?)```", page, re.DOTALL)
    (sign,) = re.findall(r"```\n(url=.*?)```", page, re.DOTALL)
    link = subprocess.run(
        ["bash", "-euc", make + sign], cwd=tmp_path, capture_output=True, text=True, check=True
    ).stdout.strip()
    given = {name: values[0] for name, values in parse_qs(urlsplit(link).query).items()}
    project = stacks.project(MOOD, root=tmp_path, share=True, share_key="share.pub.pem")
    code = stacks.properties(stacks.stack(project), "ShareEntrance")["FunctionCode"]
    event = {"request": {"querystring": {name: {"value": value} for name, value in given.items()}}}
    answer = json.loads(
        subprocess.run(
            ["node", "-e", f"{code}\nconsole.log(JSON.stringify(handler({json.dumps(event)})))"],
            capture_output=True,
            text=True,
            check=True,
        ).stdout
    )
    assert (answer["statusCode"], answer["headers"]["location"]["value"]) == (302, "/")
    cookies = {name: cookie["value"] for name, cookie in answer["cookies"].items()}
    assert cookies["CloudFront-Key-Pair-Id"] == "K2JCJMDEHXQW5F"
    (tmp_path / "policy").write_bytes(_plain(cookies["CloudFront-Policy"]))
    (tmp_path / "signature").write_bytes(_plain(cookies["CloudFront-Signature"]))
    checking = ("openssl", "dgst", "-sha1", "-verify", "share.pub.pem", "-signature", "signature", "policy")
    subprocess.run(checking, cwd=tmp_path, capture_output=True, check=True)
    policy = json.loads((tmp_path / "policy").read_text())
    assert policy["Statement"][0]["Resource"].endswith(".cloudfront.net/*")


def _plain(text: str) -> bytes:
    """What CloudFront reads of its own kind of base64."""
    return b64decode(text.translate(str.maketrans("-_~", "+=/")))


def test_a_secret_is_in_the_function_and_in_no_template(account: Account) -> None:
    account.store("a")
    account.client("secretsmanager").create_secret(Name="keys", SecretString='{"mood": "open sesame"}')
    endpoint = dataclasses.replace(MOOD, env={"KEY": "secretsmanager:keys:mood"})
    stack = stacks.stack(stacks.project(endpoint))
    account.deploy(stack)
    found = account.client("lambda").get_function_configuration(FunctionName="lyrics-mood")
    assert found["Environment"]["Variables"]["KEY"] == "open sesame"
    assert "open sesame" not in cloudformation.text(stack)
