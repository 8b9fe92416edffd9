"""An AWS account in memory, as far as deploying needs one: CloudFormation with its states, S3, Lambda.

It keeps the rules that matter when two deploy at once or one is cut off: one operation at a time, a change set is bound
to the state it was made from, a stack that could not be made has to be deleted first, a bucket is deleted empty only.
Emulators have no way to stop in the middle or to refuse what the account's owner may not; here a test says when.
"""

from __future__ import annotations

import base64
import io
import itertools
import json
from collections.abc import Callable, Iterator
from typing import Any

from firstlight.deploy.aws.errors import of_answer
from firstlight.deploy.types import Account

ACCOUNT = "123456789012"
REGION = "eu-central-1"
CALLER = f"arn:aws:iam::{ACCOUNT}:user/ann"
_KEPT = ("Retain", "RetainExceptOnCreate")


def refusal(code: str, message: str, operation: str = "cloudformation:Call") -> Exception:
    """An answer of AWS that is an error, as the session's clients raise it."""
    return of_answer({"Error": {"Code": code, "Message": message}}, operation, REGION)


class Cloud:
    """The account.

    Attributes:
        before: called with ``service.operation`` before each call; may raise.
        fails: logical id -> reason for which CloudFormation cannot make or change it.
        broken: part of a version's ARN -> the error its function raises.
        ticks: how often a stack is looked at before an operation on it ends.
    """

    def __init__(self, concurrency: int = 1000) -> None:
        self.stacks: dict[str, Stack] = {}
        self.deleted: list[Stack] = []
        self.objects: dict[str, dict[str, int]] = {}
        self.tables: dict[str, str] = {}
        self.published: dict[str, int] = {}
        self.invoked: list[str] = []
        self.calls: list[str] = []
        self.fails: dict[str, str] = {}
        self.broken: dict[str, str] = {}
        self.ticks = 2
        self.concurrency = concurrency
        self.before: Callable[[str], None] = lambda operation: None
        self.counter = itertools.count(1)

    def session(self) -> Session:
        """A session with it."""
        return Session(self)

    def stack(self, name: str) -> Stack:
        """A stack of a name or an ARN, with what is under way in it one step further."""
        for stack in (*self.stacks.values(), *self.deleted):
            if stack.id == name or (stack.name == name and stack not in self.deleted):
                return stack
        raise refusal("ValidationError", f"Stack with id {name} does not exist")


class Session:
    """As ``deploy.aws.session.Session``."""

    region = REGION
    caller = CALLER
    boto = None

    def __init__(self, cloud: Cloud) -> None:
        self.cloud = cloud

    def client(self, name: str, patience: float = 0.0) -> Any:
        return Client(self.cloud, name, _SERVICES[name](self.cloud))

    def account(self) -> Account:
        return Account(ACCOUNT, REGION, self.cloud.concurrency, self.cloud.concurrency)


class Client:
    """As ``deploy.aws.session.Client``: every call is counted, and may be the last."""

    url = "https://s3.eu-central-1.amazonaws.com"

    def __init__(self, cloud: Cloud, name: str, service: Any) -> None:
        self._cloud, self._name, self._service = cloud, name, service

    def __getattr__(self, operation: str) -> Callable[..., Any]:
        def call(*places: Any, **arguments: Any) -> Any:
            called = f"{self._name}.{operation}"
            self._cloud.calls.append(called)
            self._cloud.before(called)
            answer = getattr(self._service, operation)(*places, **arguments)
            self._cloud.before(f"{called}:done")
            return answer

        return call

    def pages(self, operation: str, **arguments: Any) -> Iterator[dict[str, Any]]:
        yield getattr(self, operation)(**arguments)


class Stack:
    """One stack and what is under way in it."""

    def __init__(self, cloud: Cloud, name: str, tags: list[dict[str, str]]) -> None:
        self.cloud, self.name, self.tags = cloud, name, tags
        self.id = f"arn:aws:cloudformation:{REGION}:{ACCOUNT}:stack/{name}/{next(cloud.counter)}"
        self.status = "REVIEW_IN_PROGRESS"
        self.template: dict[str, Any] = {}
        self.text = ""
        self.resources: dict[str, dict[str, str]] = {}
        self.events: list[dict[str, str]] = []
        self.sets: dict[str, dict[str, Any]] = {}
        self.left = 0
        self.end: Callable[[], None] = lambda: None
        self.say(name, "AWS::CloudFormation::Stack", self.status, self.id)

    def say(self, resource: str, kind: str, status: str, physical: str = "", reason: str = "") -> None:
        self.events.append(
            {
                "EventId": f"event-{next(self.cloud.counter)}",
                "StackId": self.id,
                "LogicalResourceId": resource,
                "ResourceType": kind,
                "ResourceStatus": status,
                "PhysicalResourceId": physical,
                "ResourceStatusReason": reason,
            }
        )

    def become(self, status: str) -> None:
        self.status = status
        self.say(self.name, "AWS::CloudFormation::Stack", status, self.id)

    def begin(self, status: str, end: Callable[[], None]) -> None:
        self.become(status)
        self.left, self.end = self.cloud.ticks, end

    def tick(self) -> None:
        if self.left:
            self.left -= 1
            if not self.left:
                self.end()

    @property
    def moving(self) -> bool:
        return self.left > 0


class CloudFormation:
    def __init__(self, cloud: Cloud) -> None:
        self.cloud = cloud

    def describe_stacks(self, StackName: str) -> Any:
        stack = self.cloud.stack(StackName)
        stack.tick()
        if stack.name == StackName and stack in self.cloud.deleted:
            raise refusal("ValidationError", f"Stack with id {StackName} does not exist")
        outputs = [
            {"OutputKey": key, "OutputValue": json.dumps(one["Value"])}
            for key, one in stack.template.get("Outputs", {}).items()
        ]
        return {
            "Stacks": [
                {
                    "StackId": stack.id,
                    "StackName": stack.name,
                    "StackStatus": stack.status,
                    "Outputs": outputs,
                    "Tags": stack.tags,
                }
            ]
        }

    def get_template(self, StackName: str, TemplateStage: str) -> Any:
        return {"TemplateBody": self.cloud.stack(StackName).text}

    def list_stack_resources(self, StackName: str) -> Any:
        return {"StackResourceSummaries": list(self.cloud.stack(StackName).resources.values())}

    def describe_stack_events(self, StackName: str) -> Any:
        return {"StackEvents": self.cloud.stack(StackName).events[::-1]}

    def list_stacks(self, StackStatusFilter: list[str]) -> Any:
        return {
            "StackSummaries": [
                {"StackName": one.name, "StackId": one.id, "CreationTime": place}
                for place, one in enumerate(self.cloud.deleted)
            ]
        }

    def create_change_set(self, **asked: Any) -> Any:
        name, creates = asked["StackName"], asked["ChangeSetType"] == "CREATE"
        stack = self.cloud.stacks.get(name)
        if creates and stack is not None and stack.status != "REVIEW_IN_PROGRESS":
            raise refusal("AlreadyExistsException", f"Stack [{name}] already exists")
        if not creates and stack is None:
            raise refusal("ValidationError", f"Stack [{name}] does not exist")
        if stack is not None and stack.moving:
            raise refusal(
                "ValidationError", f"Stack:{stack.id} is in {stack.status} state and can not be updated."
            )
        stack = stack or self.cloud.stacks.setdefault(name, Stack(self.cloud, name, asked["Tags"]))
        template = json.loads(asked["TemplateBody"])
        changes = _changes(stack.template, template)
        id_ = f"{stack.id}/changeSet/{asked['ChangeSetName']}"
        failed = not changes and template.get("Outputs") == stack.template.get("Outputs")
        stack.sets[id_] = {
            "Status": "FAILED" if failed else "CREATE_COMPLETE",
            "StatusReason": "The submitted information didn't contain changes." if failed else "",
            "Changes": changes,
            "text": asked["TemplateBody"],
            "tags": asked["Tags"],
        }
        return {"Id": id_, "StackId": stack.id}

    def describe_change_set(self, ChangeSetName: str, StackName: str = "") -> Any:
        return self._set(ChangeSetName)[1]

    def delete_change_set(self, ChangeSetName: str, StackName: str = "") -> None:
        stack, _ = self._set(ChangeSetName)
        del stack.sets[ChangeSetName]

    def execute_change_set(self, ChangeSetName: str, ClientRequestToken: str, StackName: str = "") -> None:
        stack, proposed = self._set(ChangeSetName)
        if stack.moving:
            raise refusal("InvalidChangeSetStatus", "the stack is being changed")
        creates = stack.status == "REVIEW_IN_PROGRESS"
        stack.sets.clear()
        stack.tags = proposed["tags"]
        verb = "CREATE" if creates else "UPDATE"
        stack.begin(f"{verb}_IN_PROGRESS", lambda: self._changed(stack, proposed["text"], verb))

    def delete_stack(self, StackName: str, ClientRequestToken: str) -> None:
        stack = self.cloud.stack(StackName)
        if stack in self.cloud.deleted:
            return
        if stack.moving:
            raise refusal("ValidationError", "the stack is being changed")
        stack.begin("DELETE_IN_PROGRESS", lambda: self._gone(stack))

    def continue_update_rollback(self, StackName: str, ClientRequestToken: str) -> None:
        stack = self.cloud.stack(StackName)
        stack.begin("UPDATE_ROLLBACK_IN_PROGRESS", lambda: stack.become("UPDATE_ROLLBACK_COMPLETE"))

    def _set(self, id_: str) -> tuple[Stack, dict[str, Any]]:
        for stack in self.cloud.stacks.values():
            if id_ in stack.sets:
                return stack, stack.sets[id_]
        raise refusal("ChangeSetNotFound", f"ChangeSet [{id_}] does not exist")

    def _changed(self, stack: Stack, text: str, verb: str) -> None:
        template = json.loads(text)
        wanted = template["Resources"]
        for logical, resource in wanted.items():
            if logical in self.cloud.fails and stack.template.get("Resources", {}).get(logical) != resource:
                stack.say(logical, resource["Type"], f"{verb}_FAILED", "", self.cloud.fails[logical])
                stack.become("ROLLBACK_COMPLETE" if verb == "CREATE" else "UPDATE_ROLLBACK_COMPLETE")
                return
        for logical, resource in wanted.items():
            old = stack.template.get("Resources", {}).get(logical)
            if old != resource:
                stack.resources[logical] = self._made(stack, logical, resource)
                done = "CREATE_COMPLETE" if old is None else "UPDATE_COMPLETE"
                stack.say(logical, resource["Type"], done, stack.resources[logical]["PhysicalResourceId"])
        for logical in [logical for logical in stack.resources if logical not in wanted]:
            self._removed(stack, logical)
        stack.template, stack.text = template, text
        stack.become(f"{verb}_COMPLETE")

    def _made(self, stack: Stack, logical: str, resource: dict[str, Any]) -> dict[str, str]:
        kind, properties = resource["Type"], resource.get("Properties", {})
        there = stack.resources.get(logical, {}).get("PhysicalResourceId")
        physical = there or properties.get("FunctionName") or f"{stack.name}-{logical}"
        if kind == "AWS::Lambda::Version":
            function = properties["FunctionName"]["Ref"]
            self.cloud.published[function] = self.cloud.published.get(function, 0) + 1
            physical = (
                f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:{function}:{self.cloud.published[function]}"
            )
        if kind == "AWS::S3::Bucket":
            physical = properties["BucketName"]
            self.cloud.objects.setdefault(physical, {})
        if kind == "AWS::DynamoDB::Table":
            physical = there or f"{physical}-{next(self.cloud.counter)}"
            self.cloud.tables[physical] = "ACTIVE"
        return {
            "LogicalResourceId": logical,
            "ResourceType": kind,
            "PhysicalResourceId": str(physical),
            "ResourceStatus": "CREATE_COMPLETE",
        }

    def _removed(self, stack: Stack, logical: str) -> None:
        one = stack.resources.pop(logical)
        policy = stack.template.get("Resources", {}).get(logical, {}).get("DeletionPolicy")
        kept = policy in _KEPT
        physical = one["PhysicalResourceId"]
        stack.say(logical, one["ResourceType"], "DELETE_SKIPPED" if kept else "DELETE_COMPLETE", physical)
        if not kept:
            self.cloud.tables.pop(physical, None)
            self.cloud.objects.pop(physical, None)

    def _gone(self, stack: Stack) -> None:
        full = [
            key for key, one in stack.resources.items() if self.cloud.objects.get(one["PhysicalResourceId"])
        ]
        if full:
            stack.say(
                full[0], "AWS::S3::Bucket", "DELETE_FAILED", "", "The bucket you tried to delete is not empty"
            )
            stack.become("DELETE_FAILED")
            return
        for logical in list(stack.resources):
            self._removed(stack, logical)
        stack.become("DELETE_COMPLETE")
        del self.cloud.stacks[stack.name]
        self.cloud.deleted.append(stack)


class S3:
    def __init__(self, cloud: Cloud) -> None:
        self.cloud = cloud

    def head_object(self, Bucket: str, Key: str) -> Any:
        if Key not in self.cloud.objects.get(Bucket, {}):
            raise refusal("404", "Not Found", "s3:HeadObject")
        return {"ContentLength": self.cloud.objects[Bucket][Key]}

    def upload_file(self, file: str, bucket: str, key: str, Callback: Callable[[int], None]) -> None:
        if bucket not in self.cloud.objects:
            raise refusal("NoSuchBucket", "The specified bucket does not exist", "s3:PutObject")
        with open(file, "rb") as content:
            size = len(content.read())
        Callback(size)
        self.cloud.objects[bucket][key] = size

    def list_object_versions(self, Bucket: str) -> Any:
        return {"Versions": [{"Key": key, "VersionId": "null"} for key in self.cloud.objects.get(Bucket, {})]}

    def delete_objects(self, Bucket: str, Delete: Any) -> Any:
        for one in Delete["Objects"]:
            self.cloud.objects[Bucket].pop(one["Key"], None)
        return {}

    def list_multipart_uploads(self, Bucket: str) -> Any:
        return {}


class Lambda:
    def __init__(self, cloud: Cloud) -> None:
        self.cloud = cloud

    def invoke(self, FunctionName: str, Payload: bytes, LogType: str) -> Any:
        self.cloud.invoked.append(FunctionName)
        for part, error in self.cloud.broken.items():
            if part in FunctionName:
                said = json.dumps({"errorType": "ImportError", "errorMessage": error}).encode()
                log = base64.b64encode(b"line one\nline two").decode()
                return {"FunctionError": "Unhandled", "Payload": io.BytesIO(said), "LogResult": log}
        return {"Payload": io.BytesIO(b"{}")}


class DynamoDB:
    def __init__(self, cloud: Cloud) -> None:
        self.cloud = cloud

    def describe_table(self, TableName: str) -> Any:
        if TableName not in self.cloud.tables:
            raise refusal("ResourceNotFoundException", "no table", "dynamodb:DescribeTable")
        return {"Table": {"TableStatus": self.cloud.tables[TableName]}}

    def delete_table(self, TableName: str) -> None:
        del self.cloud.tables[TableName]


class ECR:
    def __init__(self, cloud: Cloud) -> None:
        self.cloud = cloud

    def list_images(self, repositoryName: str) -> Any:
        return {"imageIds": []}


_SERVICES: dict[str, Any] = {
    "cloudformation": CloudFormation,
    "s3": S3,
    "lambda": Lambda,
    "dynamodb": DynamoDB,
    "ecr": ECR,
}


def _changes(old: dict[str, Any], new: dict[str, Any]) -> list[dict[str, Any]]:
    before, after = old.get("Resources", {}), new["Resources"]
    found = []
    for logical in {**before, **after}:
        if before.get(logical) == after.get(logical):
            continue
        action = "Add" if logical not in before else "Modify" if logical in after else "Remove"
        kind = (after.get(logical) or before[logical])["Type"]
        found.append(
            {
                "ResourceChange": {
                    "Action": action,
                    "LogicalResourceId": logical,
                    "ResourceType": kind,
                    "Details": [],
                }
            }
        )
    return found
