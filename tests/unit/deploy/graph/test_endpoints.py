from __future__ import annotations

import dataclasses

import pytest

import stacks
from firstlight.deploy import graph
from firstlight.project.types import Asynchronous, Endpoint
from firstlight.runtime.errors import ProjectError

MOOD = Endpoint("mood", model="starter:lyrics")


def test_an_image_function_is_pinned_by_digest_and_logs_json() -> None:
    made = stacks.properties(stacks.stack(stacks.project(MOOD)), "MoodFunction")
    assert made["PackageType"] == "Image"
    assert made["Code"] == {"ImageUri": f"{stacks.REPOSITORY}@sha256:{'a' * 64}"}
    assert "Runtime" not in made
    assert made["FunctionName"] == "lyrics-mood"
    assert made["LoggingConfig"] == {
        "LogGroup": {"Ref": "MoodLogs"},
        "LogFormat": "JSON",
        "ApplicationLogLevel": "INFO",
        "SystemLogLevel": "INFO",
    }


def test_a_zip_function_has_the_artifact_s_runtime_and_variables() -> None:
    made = stacks.properties(
        stacks.stack(stacks.project(dataclasses.replace(MOOD, package="zip"))), "MoodFunction"
    )
    assert made["Runtime"] == "python3.13"
    assert made["Handler"] == "firstlight.runtime.lambda_function.handler"
    assert made["Code"] == {"S3Bucket": "bucket", "S3Key": "mood-aaaaaaaaaaaa.zip"}
    assert made["Environment"]["Variables"]["HOME"] == "/tmp"


def test_timeouts_are_whole_seconds_that_lambda_takes() -> None:
    made = stacks.stack(
        stacks.project(
            dataclasses.replace(MOOD, timeout=0.1), Endpoint("slow", model="starter:qa", timeout=29.5)
        )
    )
    assert stacks.properties(made, "MoodFunction")["Timeout"] == 1
    assert stacks.properties(made, "SlowFunction")["Timeout"] == 30


def test_logs_are_forgotten_when_the_project_says() -> None:
    made = stacks.properties(stacks.stack(stacks.project(log_days=30)), "MoodLogs")
    assert made == {"LogGroupName": "/aws/lambda/lyrics-mood", "RetentionInDays": 30}


def test_a_role_writes_its_own_log_and_its_own_records_and_nothing_else() -> None:
    policies = stacks.policies(stacks.stack(stacks.project(MOOD)).resource("MoodRole"))
    assert list(policies) == ["logs", "records"]
    assert policies["records"][0]["Action"] == ["dynamodb:PutItem"]
    assert policies["records"][0]["Condition"] == {
        "ForAllValues:StringEquals": {"dynamodb:LeadingKeys": ["LOG#mood", "LOG##"]},
        "StringEqualsIfExists": {"dynamodb:ReturnValues": "NONE"},
    }


def test_a_secret_is_read_by_cloudformation() -> None:
    arn = "arn:aws:secretsmanager:eu-central-1:123456789012:secret:keys-AbCdEf"
    endpoint = dataclasses.replace(
        MOOD,
        env={
            "ONE": "secretsmanager:keys",
            "TWO": "secretsmanager:keys:two",
            "THREE": f"secretsmanager:{arn}:x",
        },
    )
    made = stacks.properties(stacks.stack(stacks.project(endpoint)), "MoodFunction")["Environment"][
        "Variables"
    ]
    assert made["ONE"] == "{{resolve:secretsmanager:keys:SecretString}}"
    assert made["TWO"] == "{{resolve:secretsmanager:keys:SecretString:two}}"
    assert made["THREE"] == f"{{{{resolve:secretsmanager:{arn}:SecretString:x}}}}"


def test_more_variables_than_lambda_takes_are_refused() -> None:
    with pytest.raises(ProjectError, match="4,096 bytes"):
        stacks.stack(stacks.project(dataclasses.replace(MOOD, env={"LONG": "x" * 4000})))


@pytest.mark.parametrize("name", ["A", "AWS_REGION", "_HANDLER", "AWS_LAMBDA_RUNTIME_API", "a-b", "1A"])
def test_variables_that_lambda_does_not_take_are_refused(name: str) -> None:
    with pytest.raises(ProjectError, match=name):
        stacks.stack(stacks.project(dataclasses.replace(MOOD, env={name: "x"})))


def test_events_go_to_endpoints_and_may_go_round_in_a_circle() -> None:
    one = dataclasses.replace(MOOD, asynchronous=Asynchronous(retries=1, on_success="endpoint:next"))
    two = Endpoint("next", model="starter:qa", asynchronous=Asynchronous(on_failure="endpoint:mood"))
    made = stacks.stack(stacks.project(one, two))
    assert stacks.properties(made, "MoodEvents")["DestinationConfig"]["OnSuccess"]["Destination"] == {
        "Fn::Sub": "arn:${AWS::Partition}:lambda:${AWS::Region}:${AWS::AccountId}:function:lyrics-next:live"
    }
    assert "destinations" in stacks.policies(made.resource("NextRole"))
    assert stacks.properties(made, "MoodEvents")["MaximumRetryAttempts"] == 1


@pytest.mark.parametrize(
    ("quota", "reserved"),
    [(1000, 5), (105, 5), (104, None), (10, None)],
    ids=["plenty", "just", "short", "new"],
)
def test_workers_are_reserved_as_far_as_the_quota_goes(quota: int, reserved: int | None) -> None:
    account = dataclasses.replace(stacks.ACCOUNT, concurrency=quota, unreserved=quota)
    endpoint = dataclasses.replace(MOOD, concurrency=5, reserved=5)
    made = stacks.stack(stacks.project(endpoint), account=account)
    assert stacks.properties(made, "MoodFunction").get("ReservedConcurrentExecutions") == reserved


def test_an_endpoint_may_be_off_in_any_account() -> None:
    account = dataclasses.replace(stacks.ACCOUNT, concurrency=10, unreserved=10)
    made = stacks.stack(stacks.project(dataclasses.replace(MOOD, concurrency=0, reserved=0)), account=account)
    assert stacks.properties(made, "MoodFunction")["ReservedConcurrentExecutions"] == 0


def test_what_the_stack_holds_already_is_its_own_to_keep() -> None:
    endpoint = dataclasses.replace(MOOD, concurrency=50, reserved=50)
    first = stacks.stack(
        stacks.project(endpoint), account=dataclasses.replace(stacks.ACCOUNT, unreserved=150)
    )
    left = dataclasses.replace(stacks.ACCOUNT, unreserved=100)
    again = stacks.stack(stacks.project(endpoint), stacks.deployed(first), account=left)
    assert stacks.properties(again, "MoodFunction")["ReservedConcurrentExecutions"] == 50


def test_provisioned_workers_are_of_the_alias() -> None:
    made = stacks.stack(stacks.project(dataclasses.replace(MOOD, provisioned=2)))
    assert stacks.properties(made, "MoodAlias")["ProvisionedConcurrencyConfig"] == {
        "ProvisionedConcurrentExecutions": 2
    }


def test_snap_start_is_of_published_versions() -> None:
    made = stacks.stack(stacks.project(dataclasses.replace(MOOD, snap_start=True)))
    assert stacks.properties(made, "MoodFunction")["SnapStart"] == {"ApplyOn": "PublishedVersions"}


@pytest.mark.parametrize(
    ("endpoint", "wishes", "said"),
    [
        (dataclasses.replace(MOOD, snap_start=True, provisioned=1), {}, "snap_start and provisioned"),
        (dataclasses.replace(MOOD, snap_start=True), {"cache": "efs"}, "no snapshots"),
        (
            dataclasses.replace(MOOD, asynchronous=Asynchronous(on_failure="endpoint:no")),
            {},
            "no such endpoint",
        ),
        (Endpoint("router", model="starter:qa"), {}, "cannot be called 'router'"),
        (Endpoint("router-jobs", model="starter:qa"), {}, "cannot be called 'router-jobs'"),
        (Endpoint("jobs", model="starter:qa"), {}, "cannot be called 'jobs'"),
    ],
)
def test_what_lambda_does_not_have_is_refused(endpoint: Endpoint, wishes: dict[str, str], said: str) -> None:
    with pytest.raises(ProjectError, match=said):
        stacks.stack(stacks.project(endpoint, **wishes))


def test_what_was_not_built_is_named() -> None:
    project = stacks.project(MOOD)
    with pytest.raises(ProjectError, match="'mood' was not built"):
        graph.stack(project, {"router": stacks.artifact("router", "zip")}, stacks.ACCOUNT)
    with pytest.raises(ProjectError, match="router was not built"):
        graph.stack(project, {"mood": stacks.artifact("mood")}, stacks.ACCOUNT)


def test_two_names_that_would_be_one_are_refused() -> None:
    with pytest.raises(ProjectError, match="both be"):
        stacks.stack(stacks.project(Endpoint("mood", model="m"), Endpoint("Mood", model="m")))


def test_a_stack_larger_than_cloudformation_takes_is_refused() -> None:
    with pytest.raises(ProjectError, match="500"):
        stacks.stack(stacks.project(*(Endpoint(f"e{number}", model="m") for number in range(60))))


def test_every_resource_comes_once_and_refers_to_what_is_there() -> None:
    endpoints = [
        Endpoint(name, model="m")
        for name in ("jobs-2", "records", "ping", "schedule", "share-access", "a_b", "A-b", "router-x")
    ]
    made = stacks.stack(stacks.project(*endpoints))
    names = [resource.id for resource in made.resources]
    assert len(names) == len(set(names))
    assert all(after in names for resource in made.resources for after in resource.after)
