from __future__ import annotations

import pytest

from firstlight.cli.status import shown_outputs
from firstlight.deploy import looking
from firstlight.deploy.aws.errors import AwsError, MayNot
from firstlight.project.names import Names

FUNCTION = {
    "Type": "AWS::Lambda::Function",
    "Properties": {
        "Code": {"ImageUri": "host/name@sha256:0123456789abcdef"},
        "Environment": {"Variables": {"FIRSTLIGHT_ENDPOINT": "mood"}},
    },
}
ACTIVE = {"State": "Active", "Version": "3", "PackageType": "Image", "MemorySize": 512}


class Account:
    """An account with one stack; ``says`` has an answer, or an error, for each operation."""

    region = "eu-central-1"

    def __init__(self, **says):
        self.says = {
            "describe_stacks": {"Stacks": [self.stack("firstlight-demo")]},
            "get_template": {"TemplateBody": {"Resources": {"MoodFunction": FUNCTION}}},
            "list_stack_resources": {
                "StackResourceSummaries": [
                    self.resource("MoodFunction", "AWS::Lambda::Function", "demo-mood"),
                    self.resource("Dead", "AWS::SQS::Queue", "https://sqs.example/dead"),
                    self.resource("MoodErrors", "AWS::CloudWatch::Alarm", "demo-errors"),
                ]
            },
            "get_function_configuration": ACTIVE,
            "get_metric_data": {
                "MetricDataResults": [{"Id": "i0", "Values": [2.0, 3.0]}, {"Id": "e0", "Values": [1.0]}]
            },
            "get_queue_attributes": {"Attributes": {"ApproximateNumberOfMessages": "4"}},
            "describe_alarms": {"MetricAlarms": [{"AlarmName": "demo-errors", "StateReason": "1 > 0"}]},
            **says,
        }

    @staticmethod
    def stack(name, **more):
        tags = [{"Key": "firstlight:project", "Value": "demo"}]
        return {
            "StackId": f"arn:{name}",
            "StackName": name,
            "StackStatus": "UPDATE_COMPLETE",
            "CreationTime": "2026-11-21T12:00:00.000+0000",
            "Tags": tags,
            **more,
        }

    @staticmethod
    def resource(logical_id, kind, physical):
        return {
            "LogicalResourceId": logical_id,
            "ResourceType": kind,
            "PhysicalResourceId": physical,
            "ResourceStatus": "CREATE_COMPLETE",
        }

    def client(self, name):
        return self

    def __getattr__(self, operation):
        def asked(**arguments):
            answer = self.says[operation]
            if isinstance(answer, AwsError):
                raise answer
            return answer

        return asked

    def pages(self, operation, **arguments):
        yield getattr(self, operation)()


def standing(account):
    (one,) = looking.functions(account, looking.stack(account, Names("demo")))
    return one


def test_a_function_as_its_alias_leads_to_it():
    one = standing(Account())
    assert (one.source, one.state, one.version, one.kind) == ("mood", "Active", "3", "image")
    assert (one.code, one.invocations, one.errors) == ("name@sha256:0123456789abcdef", 5, 1)


@pytest.mark.parametrize(
    ("says", "state", "reason"),
    [
        ({**ACTIVE, "State": "Inactive", "StateReason": "idle"}, "Inactive", "idle"),
        (
            {**ACTIVE, "LastUpdateStatus": "Failed", "LastUpdateStatusReason": "no image"},
            "Failed",
            "no image",
        ),
        (AwsError("gone", reason="ResourceNotFoundException"), "missing", "somebody deleted it"),
    ],
)
def test_what_is_wrong_with_a_function_is_told(says, state, reason):
    one = standing(Account(get_function_configuration=says))
    assert one.state == state
    assert reason in one.reason


def test_counts_that_may_not_be_asked_are_left_out():
    one = standing(Account(get_metric_data=MayNot("no", reason="AccessDenied")))
    assert (one.invocations, one.errors) == (None, None)


def test_queues_and_alarms():
    account = Account()
    look = looking.stack(account, Names("demo"))
    assert looking.queues(account, look) == [looking.Queue("Dead", 4, 0)]
    assert looking.alarms(account, look) == ["demo-errors: 1 > 0"]


@pytest.mark.parametrize(
    "says",
    [
        AwsError("Stack with id firstlight-demo does not exist", reason="ValidationError"),
        {"Stacks": [Account.stack("firstlight-demo", StackStatus="REVIEW_IN_PROGRESS")]},
    ],
)
def test_nothing_deployed(says):
    with pytest.raises(looking.NotDeployed, match="no stack firstlight-demo in eu-central-1"):
        looking.stack(Account(describe_stacks=says), Names("demo"))


def test_the_account_s_stacks_are_those_with_our_tag():
    outputs = [{"OutputKey": "RouterUrl", "OutputValue": "https://x/"}]
    stacks = [
        Account.stack("firstlight-demo", Outputs=outputs),
        Account.stack("firstlight-demo-artifacts"),
        Account.stack("firstlight-other", Tags=[]),
    ]
    (one,) = looking.deployed(Account(describe_stacks={"Stacks": stacks}))
    assert (one.project, one.stage, one.url) == ("demo", "-", "https://x/")


def test_urls_are_shown_and_queues_are_not():
    outputs = {"RouterUrl": "https://a/", "JobsQueue": "https://sqs.eu.example/q", "Table": "t"}
    assert shown_outputs(outputs) == {"RouterUrl": "https://a/"}
