"""Change sets, waiting and removing, where an account in memory says what CloudFormation may say."""

from __future__ import annotations

import itertools

import pytest

import fake_aws
from deployments import NAMES, Deployer, Lines
from fake_aws import Cloud, CloudFormation, refusal
from firstlight.deploy import comparing, moving
from firstlight.deploy.aws import changesets, removing, stacks, storing, warming, watching
from firstlight.deploy.aws.errors import AwsError, NoCredentials, Unreached
from firstlight.deploy.aws.reasons import NotDeployed
from firstlight.deploy.aws.stacks import There
from firstlight.deploy.types import Resource, Stack
from firstlight.runtime.errors import Conflict

TEMPLATE = '{"Resources": {"Queue": {"Type": "AWS::SQS::Queue"}}}'
NOW = lambda seconds: None  # noqa: E731


@pytest.fixture
def cloud():
    return Cloud()


def take(cloud, text=TEMPLATE, base=None, shown=None, bucket=""):
    session = cloud.session()
    now = stacks.state(session, "demo")
    step = moving.Step("demo", text, base or {}, {"firstlight:project": "demo"}, (), bucket)
    return moving.take(session, step, now, shown or Lines(), NOW)


def test_a_stack_is_made_once(cloud):
    assert take(cloud)
    assert not take(cloud, base={"Resources": {"Queue": {"Type": "AWS::SQS::Queue"}}})
    assert not cloud.stacks["demo"].sets


def test_a_template_that_is_too_long_for_a_request_goes_to_the_bucket(cloud, monkeypatch):
    monkeypatch.setattr(changesets, "INLINE_BYTES", 10)
    sent, made = {}, CloudFormation.create_change_set

    class Bucket:
        def __init__(self, cloud): ...

        def put_object(self, **asked):
            sent.update(asked)

    def create(self, **asked):
        assert asked.pop("TemplateURL") == f"https://s3.eu-central-1.amazonaws.com/bucket/{sent['Key']}"
        return made(self, TemplateBody=sent["Body"].decode(), **asked)

    monkeypatch.setitem(fake_aws._SERVICES, "s3", Bucket)
    monkeypatch.setattr(CloudFormation, "create_change_set", create)
    assert take(cloud, bucket="bucket")
    assert sent["Key"].startswith("templates/demo-")


@pytest.mark.parametrize(
    ("code", "message", "words"),
    [
        (
            "AlreadyExistsException",
            "Stack [demo] already exists",
            "another deployment changed demo meanwhile",
        ),
        ("ValidationError", "Stack:x is in UPDATE_IN_PROGRESS state and can not be updated.", "is under way"),
        ("ValidationError", "Stack:x is in ROLLBACK_COMPLETE state and can not be updated.", "meanwhile"),
        ("OperationInProgressException", "busy", "is under way"),
    ],
)
def test_what_cloudformation_says_where_somebody_else_is_at_it(cloud, code, message, words):
    def refuse(call):
        if call == "cloudformation.create_change_set":
            raise refusal(code, message)

    cloud.before = refuse
    with pytest.raises(Conflict, match=words):
        take(cloud)


def test_too_many_stacks(cloud):
    def refuse(call):
        if call == "cloudformation.create_change_set":
            raise refusal("LimitExceededException", "2000 stacks")

    cloud.before = refuse
    with pytest.raises(AwsError, match="2000 stacks") as caught:
        take(cloud)
    assert "Service Quotas" in caught.value.hint


def test_a_change_set_that_a_validation_refuses_says_what_it_found(cloud, monkeypatch):
    def failed(self, **asked):
        reason = "The following validation failed: [AWS::EarlyValidation::PropertyValidation]"
        return {"Status": "FAILED", "StatusReason": reason, "Changes": []}

    def events(self, **asked):
        return {
            "OperationEvents": [
                {"LogicalResourceId": "Queue", "ValidationStatusReason": "queue demo already exists"},
                {"LogicalResourceId": "Queue"},
            ]
        }

    monkeypatch.setattr(CloudFormation, "describe_change_set", failed)
    monkeypatch.setattr(CloudFormation, "describe_events", events, raising=False)
    with pytest.raises(AwsError, match="demo cannot be changed: Queue: queue demo already exists") as caught:
        take(cloud)
    assert "take another `name`" in caught.value.hint
    assert not cloud.stacks["demo"].sets


def test_what_the_validation_of_an_operation_found(cloud, monkeypatch):
    stack = cloud.stacks["demo"] = fake_aws.Stack(cloud, "demo", [])
    stack.say("demo", "AWS::CloudFormation::Stack", "CREATE_FAILED", stack.id, "Validation failed: 1 error")
    stack.status = "ROLLBACK_COMPLETE"
    found = {"EventId": "1", "LogicalResourceId": "Bucket", "ResourceType": "AWS::S3::Bucket"}

    def events(self, **asked):
        return {"OperationEvents": [{**found, "ValidationStatusReason": "bucket already exists"}]}

    monkeypatch.setattr(CloudFormation, "describe_events", events, raising=False)
    state = stacks.state(cloud.session(), "demo")
    ended = watching.until_settled(cloud.session(), state, Lines(), sleep=NOW)
    assert [one.reason for one in ended.failures] == ["bucket already exists"]
    monkeypatch.setattr(
        CloudFormation,
        "describe_events",
        lambda self, **asked: (_ for _ in ()).throw(refusal("X", "no")),
        raising=False,
    )
    ended = watching.until_settled(cloud.session(), state, Lines(), sleep=NOW)
    assert [one.reason for one in ended.failures] == ["Validation failed: 1 error"]


def waiting(cloud):
    take(cloud)
    stack, cloud.ticks = cloud.stacks["demo"], 5
    stack.begin("UPDATE_IN_PROGRESS", lambda: stack.become("UPDATE_COMPLETE"))
    return stacks.state(cloud.session(), "demo")


def test_a_connection_that_stays_lost_is_given_up(cloud):
    state = waiting(cloud)
    pauses = []

    def lost(call):
        raise Unreached("no network")

    cloud.before = lost
    with pytest.raises(Unreached) as caught:
        watching.until_settled(cloud.session(), state, Lines(), sleep=pauses.append)
    assert caught.value.hint == watching.GOES_ON
    assert 180 < sum(pauses) < 600


def test_credentials_that_end_while_waiting(cloud):
    state = waiting(cloud)

    def ended(call):
        raise NoCredentials("the time of these AWS credentials is over", "log in")

    cloud.before = ended
    with pytest.raises(NoCredentials) as caught:
        watching.until_settled(cloud.session(), state, Lines(), sleep=NOW)
    assert caught.value.hint == f"log in. {watching.GOES_ON}"


def test_interrupted_while_waiting_it_says_what_goes_on(cloud):
    state, shown = waiting(cloud), Lines()

    def interrupt(seconds):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        watching.until_settled(cloud.session(), state, shown, sleep=interrupt)
    assert shown.said == [watching.GOES_ON]


def test_what_failed_only_because_something_else_did_is_left_out():
    def event(reason, status="CREATE_FAILED", own=False):
        return stacks.Event("1", "X", "", "AWS::X::Y", status, reason, own)

    cancelled, own, whole = event("Resource creation cancelled"), event("no"), event("all of it", own=True)
    assert watching.failures([cancelled, own, whole]) == (own,)
    assert watching.failures([cancelled]) == (cancelled,)
    assert watching.failures([whole, event("", "CREATE_COMPLETE")]) == (whole,)


def test_a_stack_that_cannot_be_deleted(tmp_path):
    here = Deployer(tmp_path)
    here.deploy()
    session = here.cloud.session()
    store = stacks.state(session, NAMES.artifacts)
    with pytest.raises(NotDeployed, match="is not removed whole") as caught:
        moving.end(session, store, Lines(), NOW)
    assert "firstlight destroy" in caught.value.hint
    here.destroy()
    assert not here.cloud.stacks


def test_what_is_gone_already_is_no_mistake(cloud):
    session, shown = cloud.session(), Lines()
    table = There("T", "AWS::DynamoDB::Table", "nowhere", "")
    assert not removing.exists(session, table)
    assert removing.removed(session, table, shown)
    assert not removing.removed(session, There("X", "AWS::X::Y", "x", ""), shown)


def test_a_protected_table_is_unprotected_first(cloud, monkeypatch):
    asked = []

    class Protected(fake_aws.DynamoDB):
        def describe_table(self, TableName):
            return {"Table": {"TableStatus": "ACTIVE", "DeletionProtectionEnabled": True}}

        def update_table(self, **what):
            asked.append(what)

    monkeypatch.setitem(fake_aws._SERVICES, "dynamodb", Protected)
    cloud.tables["t"] = "ACTIVE"
    removing.removed(cloud.session(), There("T", "AWS::DynamoDB::Table", "t", ""), Lines())
    assert asked == [{"TableName": "t", "DeletionProtectionEnabled": False}]
    assert not cloud.tables


def test_half_an_object_is_not_there(cloud):
    cloud.objects["b"] = {"k": 3}
    assert storing.there(cloud.session(), "s3://b/k", 3)
    assert not storing.there(cloud.session(), "s3://b/k", 4)
    assert not storing.there(cloud.session(), "s3://b/other", 3)


def test_a_version_that_is_not_ready_yet_is_asked_again(cloud):
    refusals = itertools.repeat(refusal("CodeArtifactUserPendingException", "wait", "lambda:Invoke"), 3)

    def pending(call):
        if call == "lambda.invoke" and (error := next(refusals, None)):
            raise error

    cloud.before = pending
    times = itertools.count()
    warmed = warming.warm(cloud.session(), "mood", "arn:x:1", b"{}", 30, lambda: float(next(times)), NOW)
    assert not warmed.error
    cloud.before = lambda call: (_ for _ in ()).throw(refusal("ResourceConflictException", "wait"))
    hours = itertools.count(0, 3600)
    with pytest.raises(AwsError):
        warming.warm(cloud.session(), "mood", "arn:x:1", b"{}", 30, lambda: float(next(hours)), NOW)


def test_a_function_that_is_turned_off_is_told_from_one_that_is_not_ready(cloud):
    cloud.before = lambda call: (_ for _ in ()).throw(refusal("TooManyRequestsException", "Rate Exceeded"))
    minutes = itertools.count(0, 60)
    with pytest.raises(AwsError, match="mood has no worker to start") as caught:
        warming.warm(cloud.session(), "mood", "arn:x:1", b"{}", 30, lambda: float(next(minutes)), NOW)
    assert "delete-function-concurrency" in caught.value.hint


def function(**properties):
    return Stack("s", "", (Resource("F", "AWS::Lambda::Function", properties, "mood", "why"),), ())


def test_what_a_change_does_is_told_beforehand():
    before = {
        "Resources": {
            "F": {"Type": "AWS::Lambda::Function", "Properties": {"FunctionName": "a", "MemorySize": 1}}
        }
    }
    (modified,) = comparing.changes(before, function(FunctionName="a", MemorySize=2))
    assert (modified.action, modified.details) == ("Modify", ("MemorySize",))
    (replaced,) = comparing.changes(before, function(FunctionName="b", MemorySize=1))
    assert replaced.action == "Replace"
    assert not comparing.stuck(before, function(FunctionName="b", MemorySize=1))
    image = function(FunctionName="a", MemorySize=1, PackageType="Image")
    assert [one.id for one in comparing.stuck(before, image)] == ["F"]
    assert not comparing.changes(before, function(FunctionName="a", MemorySize=1))
    gone = comparing.changes({"Resources": {"Old": {"Type": "AWS::SQS::Queue"}}}, Stack("s", "", (), ()))
    assert [(one.action, one.id) for one in gone] == [("Remove", "Old")]
