"""Router, records, jobs, fronts, operations, budget, share front, cache and the stack of artifacts."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import pytest

import stacks
from firstlight.deploy import graph
from firstlight.deploy.cloudformation import plain, template
from firstlight.jobs.dynamodb.table import definition
from firstlight.project.names import Names
from firstlight.project.types import Endpoint, Front
from firstlight.runtime.errors import ProjectError

MOOD = Endpoint("mood", model="starter:lyrics")


def statements(role: str, policy: str, **wishes: Any) -> Any:
    return plain(stacks.policies(stacks.stack(stacks.project(**wishes)).resource(role))[policy])


# Router and records


def test_the_router_invokes_the_aliases_by_name_and_reads_the_records() -> None:
    made = stacks.stack(stacks.project(MOOD, Endpoint("qa", model="m")))
    policies: Any = plain(stacks.policies(made.resource("RouterRole")))
    assert policies["invoking"][0]["Resource"] == [{"Ref": "MoodAlias"}, {"Ref": "QaAlias"}]
    assert policies["records"][0]["Action"] == ["dynamodb:GetItem", "dynamodb:Query"]
    assert policies["jobs"][1]["Action"] == ["sqs:SendMessage"]


def test_the_router_s_url_asks_for_iam_and_streams() -> None:
    made = stacks.properties(stacks.stack(stacks.project(public=True)), "RouterUrl")
    assert (made["AuthType"], made["InvokeMode"], made["Qualifier"]) == ("AWS_IAM", "RESPONSE_STREAM", "live")


def test_no_role_may_do_anything_with_everything_but_what_aws_knows_no_narrower() -> None:
    made = stacks.stack(stacks.project(MOOD, cache="efs", budget=5.0, kill_switch=True))
    wide = [
        statement["Action"]
        for logical_id in stacks.ids(made, "IAM::Role")
        for policy in stacks.policies(made.resource(logical_id)).values()
        for statement in policy
        if statement["Effect"] == "Allow"
        and ("*" in statement["Resource"] or any("*" in action for action in statement["Action"]))
    ]
    assert wide == [["ec2:DescribeNetworkInterfaces", "ec2:DescribeSubnets"]]


def test_tables_outlive_a_stack_but_not_one_that_could_not_be_made() -> None:
    made = template(stacks.stack(stacks.project()))["Resources"]
    for table in ("RecordsTable", "JobsTable"):
        assert made[table]["DeletionPolicy"] == "RetainExceptOnCreate"
        assert made[table]["UpdateReplacePolicy"] == "Retain"
        assert made[table]["Properties"]["TimeToLiveSpecification"] == {
            "AttributeName": "ttl",
            "Enabled": True,
        }


# Jobs


def test_the_table_of_jobs_is_the_one_that_the_adapter_makes() -> None:
    made = dict(stacks.properties(stacks.stack(stacks.project()), "JobsTable"))
    made.pop("TimeToLiveSpecification")
    assert made == definition()


def test_rights_on_the_table_of_jobs_are_those_of_the_page() -> None:
    page = Path("docs/jobs-store.md").read_text(encoding="utf-8")
    document = json.loads(
        page[page.index('{\n  "Version"') : page.index("\n```", page.index('{\n  "Version"'))]
    )
    assert statements("JobsRole", "jobs")[0]["Action"] == document["Statement"][0]["Action"]
    assert statements("RouterRole", "jobs")[0]["Action"] == document["Statement"][0]["Action"]


def test_rights_on_the_table_of_records_are_those_of_the_page() -> None:
    page = Path("docs/records-store.md").read_text(encoding="utf-8")
    blocks = [json.loads(block.split("\n```")[0]) for block in page.split("```json\n")[1:]]
    write, read = (block["Statement"][0] for block in blocks)
    ours = statements("MoodRole", "records")[0]
    assert (ours["Action"], ours["Condition"]) == (write["Action"], write["Condition"])
    assert statements("RouterRole", "records")[0]["Action"] == read["Action"]


def test_a_job_is_hidden_six_times_as_long_as_its_function_may_take() -> None:
    made = stacks.stack(stacks.project())
    queue = stacks.properties(made, "JobsQueue")
    assert queue["VisibilityTimeout"] == 6 * stacks.properties(made, "JobsFunction")["Timeout"]
    assert queue["RedrivePolicy"]["deadLetterTargetArn"] == {"Fn::GetAtt": ["JobsDeadLetters", "Arn"]}
    source = stacks.properties(made, "JobsSource")
    assert source["FunctionResponseTypes"] == ["ReportBatchItemFailures"]
    assert source["FunctionName"] == {"Ref": "JobsAlias"}


def test_a_new_account_works_off_two_jobs_at_once() -> None:
    account = dataclasses.replace(stacks.ACCOUNT, concurrency=10, unreserved=10)
    made = stacks.stack(stacks.project(), account=account)
    assert stacks.properties(made, "JobsSource")["ScalingConfig"] == {"MaximumConcurrency": 2}


def test_a_project_without_jobs_has_nothing_of_them() -> None:
    made = stacks.stack(stacks.project(jobs=False))
    assert not [resource.id for resource in made.resources if resource.id.startswith("Jobs")]
    assert (
        "FIRSTLIGHT_JOBS_QUEUE" not in stacks.properties(made, "RouterFunction")["Environment"]["Variables"]
    )


# Fronts


@pytest.mark.parametrize(
    ("auth", "public", "asked"),
    [("none", False, "AWS_IAM"), ("none", True, "NONE"), ("iam", True, "AWS_IAM")],
)
@pytest.mark.parametrize("kind", ["rest", "http", "url"])
def test_a_front_is_open_only_where_the_project_says_so_twice(
    kind: str, auth: str, public: bool, asked: str
) -> None:
    endpoint = dataclasses.replace(MOOD, route="/mood", front=Front(kind, auth))
    made = stacks.stack(stacks.project(endpoint, public=public))
    where, key = {
        "rest": ("RestPathMoodAny", "AuthorizationType"),
        "http": ("HttpPathMoodRoute", "AuthorizationType"),
        "url": ("MoodUrl", "AuthType"),
    }[kind]
    assert stacks.properties(made, where)[key] == asked
    open_to_all = [
        one
        for one in stacks.ids(made, "Lambda::Permission")
        if stacks.properties(made, one)["Principal"] == "*"
    ]
    assert bool(open_to_all) == (kind == "url" and asked == "NONE")


def test_an_open_url_has_both_permissions() -> None:
    endpoint = dataclasses.replace(MOOD, front=Front("url", "none", stream=True))
    made = stacks.stack(stacks.project(endpoint, public=True))
    assert stacks.properties(made, "MoodUrlOpen")["Action"] == "lambda:InvokeFunctionUrl"
    assert stacks.properties(made, "MoodUrlInvoke")["InvokedViaFunctionUrl"] is True
    assert stacks.properties(made, "MoodUrl")["InvokeMode"] == "RESPONSE_STREAM"


def test_a_rest_route_streams_for_fifteen_minutes() -> None:
    endpoint = dataclasses.replace(MOOD, route="/mood", front=Front("rest", "iam", stream=True))
    made = stacks.properties(stacks.stack(stacks.project(endpoint)), "RestPathMoodAny")["Integration"]
    assert made["ResponseTransferMode"] == "STREAM"
    assert made["TimeoutInMillis"] == 900_000
    assert made["Uri"]["Fn::Sub"].endswith(
        "/2021-11-15/functions/${MoodAlias}/response-streaming-invocations"
    )


def test_an_api_may_invoke_for_its_own_route_only() -> None:
    endpoint = dataclasses.replace(MOOD, route="/songs/{id}", front=Front("rest", "iam"))
    made = stacks.stack(stacks.project(endpoint))
    (permission,) = stacks.ids(made, "Lambda::Permission")
    assert stacks.properties(made, permission)["SourceArn"]["Fn::Sub"].endswith("${RestApi}/*/*/songs/*")


def test_paths_that_begin_alike_share_what_they_share() -> None:
    endpoints = [
        Endpoint(name, model="m", route=f"/v1/{name}", front=Front("rest", "iam")) for name in ("one", "two")
    ]
    made = stacks.stack(stacks.project(*endpoints))
    assert stacks.ids(made, "ApiGateway::Resource") == ["RestPathV1", "RestPathV1One", "RestPathV1Two"]


def test_another_route_is_another_deployment() -> None:
    def deployment(route: str) -> list[str]:
        endpoint = dataclasses.replace(MOOD, route=route)
        return stacks.ids(stacks.stack(stacks.project(endpoint)), "ApiGateway::Deployment")

    assert deployment("/one") != deployment("/two")
    assert deployment("/one") == deployment("/one")


def test_an_api_key_comes_with_its_plan() -> None:
    endpoint = dataclasses.replace(MOOD, route="/mood", front=Front("rest", "key"))
    made = stacks.stack(stacks.project(endpoint))
    assert stacks.properties(made, "RestPathMoodAny")["ApiKeyRequired"] is True
    assert stacks.ids(made, "ApiGateway::UsagePlanKey") == ["RestUsagePlanKey"]


@pytest.mark.parametrize(("api", "kind"), [("rest", "ApiGateway::RestApi"), ("http", "ApiGatewayV2::Api")])
def test_an_api_in_front_of_the_router_has_every_route(api: str, kind: str) -> None:
    made = stacks.stack(stacks.project(api=api))
    assert len(stacks.ids(made, kind)) == 1
    assert any(
        stacks.properties(made, one)["FunctionName"] == {"Ref": "RouterAlias"}
        for one in stacks.ids(made, "Lambda::Permission")
    )


# Operations


def test_every_function_is_pinged_once_a_week_and_jobs_are_looked_after() -> None:
    made = stacks.stack(stacks.project(MOOD, Endpoint("qa", model="m")))
    rates = {
        one: stacks.properties(made, one)["ScheduleExpression"]
        for one in stacks.ids(made, "Scheduler::Schedule")
    }
    assert rates == {
        "PingMood": "rate(7 days)",
        "PingQa": "rate(7 days)",
        "PingRouter": "rate(7 days)",
        "JobsTending": "rate(5 minutes)",
    }
    event = json.loads(stacks.properties(made, "PingMood")["Target"]["Input"])
    assert event["source"] == "aws.scheduler"


def test_a_project_without_pings_and_jobs_has_no_schedule() -> None:
    made = stacks.stack(stacks.project(ping=False, jobs=False))
    assert not [resource.id for resource in made.resources if resource.type.startswith("AWS::Scheduler")]


def test_alarms_watch_what_matters_and_tell_the_topic() -> None:
    endpoint = dataclasses.replace(MOOD, reserved=5, concurrency=5, timeout=60)
    made = stacks.stack(stacks.project(endpoint, email="a@example.org"))
    alarms = stacks.ids(made, "CloudWatch::Alarm")
    assert alarms == [
        *("MoodErrors", "MoodThrottled", "MoodSlow", "MoodBusy", "RouterErrors", "RouterThrottled"),
        *("RouterUrlErrors", "JobsFailed", "JobsLate"),
    ]
    assert all(stacks.properties(made, one)["AlarmActions"] == [{"Ref": "AlarmsTopic"}] for one in alarms)
    assert stacks.properties(made, "MoodSlow")["Threshold"] == 48_000
    assert stacks.properties(made, "MoodErrors")["Statistic"] == "Average"
    assert stacks.properties(made, "AlarmsMail")["Endpoint"] == "a@example.org"


@pytest.mark.parametrize(("kind", "alarm"), [("rest", "RestErrors"), ("http", "HttpErrors")])
def test_an_api_is_watched_too(kind: str, alarm: str) -> None:
    endpoint = dataclasses.replace(MOOD, route="/mood", front=Front(kind))
    made = stacks.stack(stacks.project(endpoint))
    assert stacks.properties(made, alarm)["Statistic"] == "Average"
    assert alarm not in [resource.id for resource in stacks.stack(stacks.project(MOOD)).resources]


def test_the_dashboard_is_json_that_fits_its_grid() -> None:
    body = stacks.properties(stacks.stack(stacks.project()), "Dashboard")["DashboardBody"]["Fn::Sub"]
    widgets = json.loads(body)["widgets"]
    assert len(widgets) == 6
    assert len({(widget["x"], widget["y"]) for widget in widgets}) == 6
    assert all(widget["x"] + widget["width"] <= 24 for widget in widgets)


# Budget and switch


def test_a_budget_turns_things_off_by_what_is_spent_and_tells_of_what_will_be() -> None:
    made = stacks.properties(
        stacks.stack(stacks.project(budget=20.0, kill_switch=True, email="a@example.org")), "Budget"
    )
    told = {
        one["Notification"]["NotificationType"]: [each["SubscriptionType"] for each in one["Subscribers"]]
        for one in made["NotificationsWithSubscribers"]
    }
    assert told == {"ACTUAL": ["EMAIL", "SNS"], "FORECASTED": ["EMAIL"]}


def test_the_switch_turns_every_function_off_and_on_again_as_it_was() -> None:
    calls: list[tuple[str, int | None]] = []

    class Client:
        def put_function_concurrency(self, FunctionName: str, ReservedConcurrentExecutions: int) -> None:
            calls.append((FunctionName, ReservedConcurrentExecutions))

        def delete_function_concurrency(self, FunctionName: str) -> None:
            calls.append((FunctionName, None))

    endpoint = dataclasses.replace(MOOD, reserved=5, concurrency=5)
    made = stacks.stack(stacks.project(endpoint, budget=20.0, kill_switch=True))
    code = stacks.properties(made, "SwitchFunction")["Code"]["ZipFile"]
    space: dict[str, Any] = {}
    exec(code.replace("import boto3", ""), space)
    space["boto3"] = type("Boto", (), {"client": staticmethod(lambda _: Client())})
    space["handler"]({"Records": []}, None)
    assert calls == [("lyrics-mood", 0), ("lyrics-router", 0), ("lyrics-router-jobs", 0)]
    calls.clear()
    space["handler"]({"firstlight": "on"}, None)
    assert calls == [("lyrics-mood", 5), ("lyrics-router", None), ("lyrics-router-jobs", None)]


@pytest.mark.parametrize(
    ("wishes", "said"), [({"budget": 5.0}, "tells nobody"), ({"kill_switch": True}, "without a budget")]
)
def test_a_budget_that_does_nothing_is_refused(wishes: dict[str, Any], said: str) -> None:
    with pytest.raises(ProjectError, match=said):
        stacks.stack(stacks.project(**wishes))


# Share front


def test_the_share_front_lets_signed_links_through(tmp_path: Path) -> None:
    (tmp_path / "key.pem").write_text("-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n")
    made = stacks.stack(stacks.project(share=True, share_key="key.pem", root=tmp_path))
    config = stacks.properties(made, "ShareDistribution")["DistributionConfig"]
    assert config["DefaultCacheBehavior"]["TrustedKeyGroups"] == [{"Ref": "ShareKeys"}]
    (entrance,) = config["CacheBehaviors"]
    assert entrance["PathPattern"] == "/share"
    assert entrance["FunctionAssociations"][0]["EventType"] == "viewer-request"
    assert config["Origins"][0]["OriginAccessControlId"] == {"Ref": "ShareAccess"}
    actions = {stacks.properties(made, one)["Action"] for one in stacks.ids(made, "Lambda::Permission")}
    assert actions == {"lambda:InvokeFunctionUrl", "lambda:InvokeFunction"}


def test_another_key_is_another_resource(tmp_path: Path) -> None:
    def key(text: str) -> list[str]:
        (tmp_path / "key.pem").write_text(f"-----BEGIN PUBLIC KEY-----\n{text}\n-----END PUBLIC KEY-----\n")
        made = stacks.stack(stacks.project(share=True, share_key="key.pem", root=tmp_path))
        return stacks.ids(made, "CloudFront::PublicKey")

    assert key("AAAA") != key("BBBB")


@pytest.mark.parametrize("text", [None, "-----BEGIN PRIVATE KEY-----\nAAAA\n", "\xff"])
def test_a_share_key_that_is_none_is_refused(tmp_path: Path, text: str | None) -> None:
    if text is not None:
        (tmp_path / "key.pem").write_text(text, encoding="latin-1")
    with pytest.raises(ProjectError, match="public key"):
        stacks.stack(stacks.project(share=True, share_key="key.pem", root=tmp_path))


def test_a_share_front_without_a_key_is_refused() -> None:
    with pytest.raises(ProjectError, match="without share_key"):
        stacks.stack(stacks.project(share=True))


# Cache


@pytest.mark.parametrize(
    ("kind", "arn"), [("efs", ["CacheAccess", "Arn"]), ("s3files", ["CacheAccess", "AccessPointArn"])]
)
def test_a_cache_is_mounted_in_a_network_without_a_way_out(kind: str, arn: list[str]) -> None:
    made = stacks.stack(stacks.project(cache=kind))
    function = stacks.properties(made, "MoodFunction")
    assert function["FileSystemConfigs"] == [{"Arn": {"Fn::GetAtt": arn}, "LocalMountPath": "/mnt/cache"}]
    assert function["VpcConfig"]["SubnetIds"] == [{"Ref": "NetworkSubnetA"}, {"Ref": "NetworkSubnetB"}]
    assert made.resource("MoodFunction").after == ("CacheMountA", "CacheMountB")
    assert "VpcConfig" not in stacks.properties(made, "RouterFunction")
    for kind_of_way_out in ("NatGateway", "InternetGateway", "Route"):
        assert not stacks.ids(made, f"EC2::{kind_of_way_out}")


def test_code_may_not_use_the_right_to_make_network_interfaces() -> None:
    policy = statements("MoodRole", "cache", cache="efs")
    (denied,) = [statement for statement in policy if statement["Effect"] == "Deny"]
    assert denied["Condition"]["ArnEquals"]["lambda:SourceFunctionArn"]["Fn::Sub"].endswith(
        ":function:lyrics-mood"
    )


# Artifacts


def test_artifacts_are_kept_apart_from_strangers() -> None:
    made = graph.artifacts_stack(Names("lyrics", "prod"), stacks.ACCOUNT)
    repository = stacks.properties(made, "Repository")
    assert repository["ImageTagMutability"] == "IMMUTABLE"
    assert "LifecyclePolicy" not in repository
    condition = repository["RepositoryPolicyText"]["Statement"][0]["Condition"]
    assert condition["StringLike"]["aws:sourceArn"]["Fn::Sub"].endswith(":function:lyrics-prod*")
    bucket = stacks.properties(made, "Bucket")
    assert all(bucket["PublicAccessBlockConfiguration"].values())
    assert stacks.properties(made, "BucketPolicy")["PolicyDocument"]["Statement"][0]["Effect"] == "Deny"


def test_stages_are_side_by_side() -> None:
    plain_one, prod = stacks.stack(stacks.project()), stacks.stack(stacks.project(stage="prod"))
    assert (plain_one.name, prod.name) == ("firstlight-lyrics", "firstlight-lyrics-prod")
    assert prod.tags == {"firstlight:project": "lyrics", "firstlight:stage": "prod"}
    names = [
        {
            str(resource.properties.get(key))
            for resource in one.resources
            for key in ("FunctionName", "LogGroupName")
        }
        for one in (plain_one, prod)
    ]
    assert not {name for name in names[0] & names[1] if name.startswith(("lyrics", "/aws"))}
