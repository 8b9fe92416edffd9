"""What AWS refuses, in words: credentials, rights, regions, the network, and CloudFormation's own reasons."""

from __future__ import annotations

import os
import sys

import pytest
from botocore import exceptions
from botocore.stub import Stubber
from hypothesis import given
from hypothesis import strategies as st

from firstlight.deploy.aws.errors import (
    AwsError,
    MayNot,
    NoCredentials,
    Unreached,
    explained,
    missing_right,
    of_answer,
)
from firstlight.deploy.aws.reasons import NotDeployed, in_words, plain
from firstlight.deploy.aws.session import Session
from firstlight.deploy.aws.stacks import Event
from firstlight.runtime.errors import MissingExtra

KEYS = {"AWS_ACCESS_KEY_ID": "a", "AWS_SECRET_ACCESS_KEY": "b", "AWS_EC2_METADATA_DISABLED": "true"}


@pytest.fixture
def shell(monkeypatch, tmp_path):
    """A shell that has nothing of AWS set."""
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "credentials"))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    return monkeypatch


@pytest.fixture
def session(shell):
    for name, value in KEYS.items():
        shell.setenv(name, value)
    return Session("eu-central-1")


def answer(code, message=""):
    return of_answer({"Error": {"Code": code, "Message": message}}, "lambda:CreateFunction", "eu-central-1")


def test_without_boto3_the_line_that_installs_it_is_said(monkeypatch):
    monkeypatch.setitem(sys.modules, "boto3", None)
    with pytest.raises(MissingExtra) as caught:
        Session("eu-central-1")
    assert caught.value.hint == "pip install 'firstlight[aws]'"


def test_without_a_region(shell):
    with pytest.raises(AwsError, match="no AWS region is named") as caught:
        Session()
    assert "--region" in caught.value.hint


def test_a_profile_that_is_not_there(shell):
    with pytest.raises(NoCredentials, match="nope"):
        Session("eu-central-1", "nope")


def test_a_region_that_cannot_be_one(session):
    with pytest.raises(AwsError):
        Session("eu central").client("sts")


def test_without_credentials(shell):
    with pytest.raises(NoCredentials, match="there are no AWS credentials") as caught:
        Session("eu-central-1").client("sts").get_caller_identity()
    assert "aws configure" in caught.value.hint


def test_the_account(session):
    sts, functions = session.client("sts"), session.client("lambda")
    with Stubber(sts.boto) as first, Stubber(functions.boto) as second:
        arn = "arn:aws-us-gov:iam::123456789012:user/ann"
        first.add_response("get_caller_identity", {"UserId": "x", "Account": "123456789012", "Arn": arn})
        limit = {"ConcurrentExecutions": 10, "UnreservedConcurrentExecutions": 8}
        second.add_response("get_account_settings", {"AccountLimit": limit})
        account = session.account()
    assert (account.id, account.region, account.partition) == ("123456789012", "eu-central-1", "aws-us-gov")
    assert (account.concurrency, account.unreserved) == (10, 8)
    assert session.caller == arn


def test_a_refusal_on_a_page(session):
    client = session.client("cloudformation")
    with Stubber(client.boto) as stub:
        stub.add_client_error("list_stacks", "AccessDenied", "not today")
        with pytest.raises(MayNot, match="these credentials may not cloudformation:ListStacks"):
            list(client.pages("list_stacks"))


@pytest.mark.parametrize("code", ["ExpiredToken", "ExpiredTokenException", "RequestExpired"])
def test_credentials_whose_time_is_over(code):
    error = answer(code)
    assert isinstance(error, NoCredentials)
    assert "is over" in error.message
    assert "aws sso login" in error.hint


@pytest.mark.parametrize(
    "code", ["InvalidClientTokenId", "UnrecognizedClientException", "SignatureDoesNotMatch"]
)
def test_credentials_that_aws_does_not_know(code):
    error = answer(code)
    assert isinstance(error, NoCredentials)
    assert "region that is not switched on" in error.hint


def test_a_clock_that_is_wrong():
    assert (
        "clock" in answer("SignatureDoesNotMatch", "Signature expired: 20261121T is now earlier than").message
    )


@pytest.mark.parametrize(
    ("said", "sentence"),
    [
        (
            "User: arn:aws:iam::123456789012:user/ann is not authorized to perform: lambda:GetAccountSettings on "
            "resource: * because no identity-based policy allows the lambda:GetAccountSettings action",
            "user/ann may not lambda:GetAccountSettings",
        ),
        (
            "User: arn:aws:sts::123456789012:assumed-role/dev/ann is not authorized to perform: s3:PutObject on "
            'resource: "arn:aws:s3:::bucket/key" with an explicit deny in a service control policy',
            "assumed-role/dev/ann may not s3:PutObject on arn:aws:s3:::bucket/key: service control policies of the "
            "account forbid it",
        ),
        ("", "these credentials may not lambda:CreateFunction"),
    ],
)
def test_a_right_that_is_missing(said, sentence):
    error = answer("AccessDeniedException", said)
    assert isinstance(error, MayNot)
    assert error.message == sentence
    assert "firstlight deploy --print-policy" in error.hint


def test_nothing_is_taken_for_a_missing_right():
    assert missing_right("Function not found: arn:aws:lambda:x") is None


def test_an_account_that_is_not_finished():
    assert "not signed up for lambda" in answer("OptInRequired").message


def test_a_service_that_is_busy():
    assert "run the same again" in answer("ThrottlingException", "Rate exceeded").hint


@pytest.mark.parametrize(
    ("error", "kind", "words"),
    [
        (exceptions.PartialCredentialsError(provider="env", cred_var="x"), NoCredentials, "half"),
        (exceptions.UnauthorizedSSOTokenError(), NoCredentials, "cannot be had"),
        (exceptions.TokenRetrievalError(provider="sso", error_msg="ended"), NoCredentials, "ended"),
        (exceptions.NoRegionError(), AwsError, "no AWS region"),
        (exceptions.EndpointConnectionError(endpoint_url="https://x"), Unreached, "Could not connect"),
        (exceptions.ConnectTimeoutError(endpoint_url="https://x"), Unreached, "connection to AWS was lost"),
        (exceptions.ReadTimeoutError(endpoint_url="https://x"), Unreached, "connection to AWS was lost"),
        (exceptions.ConnectionClosedError(endpoint_url="https://x"), Unreached, "connection to AWS was lost"),
        (exceptions.ProxyConnectionError(proxy_url="http://p"), Unreached, "proxy"),
        (exceptions.ParamValidationError(report="bad"), AwsError, "bad"),
    ],
)
def test_botocores_own_errors(error, kind, words):
    with pytest.raises(kind, match=words), explained("sts:GetCallerIdentity", "eu-central-1"):
        raise error


def test_a_region_that_nobody_knows():
    error = exceptions.EndpointConnectionError(endpoint_url="https://sts.eu-centrall-1.amazonaws.com")
    with pytest.raises(Unreached) as caught, explained("sts:GetCallerIdentity", "eu-centrall-1"):
        raise error
    assert "Did you mean 'eu-central-1'?" in caught.value.hint


def test_an_upload_that_broke_off():
    from boto3.exceptions import S3UploadFailedError

    with pytest.raises(Unreached, match="Failed to upload"), explained("s3:UploadFile"):
        raise S3UploadFailedError("Failed to upload x to y")
    denied = exceptions.ClientError(
        {"Error": {"Code": "AccessDenied", "Message": "Access Denied"}}, "PutObject"
    )
    failed = S3UploadFailedError("Failed to upload")
    failed.__context__ = denied
    with pytest.raises(MayNot, match="may not s3:PutObject"), explained("s3:PutObject"):
        raise failed


WRAPPED = (
    'Resource handler returned message: "Function already exist: demo-mood (Service: Lambda, Status Code: 409, Request '
    'ID: 8d1c) (SDK Attempt Count: 1)" (RequestToken: 77, HandlerErrorCode: AlreadyExists)'
)


def test_a_reason_without_its_wrapping():
    assert plain(WRAPPED) == "Function already exist: demo-mood"
    assert plain("Properties validation failed for resource X. (RequestToken: 1)") == (
        "Properties validation failed for resource X"
    )


@pytest.mark.parametrize(
    ("reason", "hint"),
    [
        (WRAPPED, "take another `name`"),
        (
            "decreases account's UnreservedConcurrentExecution below its minimum value of [10]",
            "Service Quotas",
        ),
        (
            "'MemorySize' value failed to satisfy constraint: Member must have value less than or equal to 3008",
            "3008 MB at most",
        ),
        (
            "The image manifest, config or layer media type for the source image x is not supported",
            "right one",
        ),
        ("Source image x does not exist. Provide a valid source image.", "sent again"),
        ("Lambda does not have permission to access the ECR image", "same account and region"),
        ("Unzipped size must be smaller than 262144000 bytes", 'package = "image"'),
        ("Rate exceeded", "run the same again"),
        ("The role defined for the function cannot be assumed by Lambda.", "run the same again"),
        ("Your account must be verified before you can add new CloudFront resources", "AWS Support"),
        ("The limit of 10 file systems is used up: quota exceeded", "Service Quotas"),
        ("SnapStart is not supported for this", "snap_start = false"),
        ("something nobody foresaw", ""),
    ],
)
def test_what_to_do_about_a_reason(reason, hint):
    assert hint in in_words(reason)[1]


@given(
    st.text(alphabet="aA: (),.\"*/-0'\n", max_size=80),
    st.sampled_from(["", WRAPPED, "User: arn:aws:iam::1:user/a is not"]),
)
def test_any_reason_becomes_words(text, start):
    sentence, hint = in_words(start + text)
    assert isinstance(sentence, str)
    assert "{" not in hint


def event(number, reason="no", status="CREATE_FAILED"):
    return Event(str(number), f"Thing{number}", "", "AWS::X::Y", status, reason, own=False)


def test_many_failures_are_some_and_a_count():
    error = NotDeployed(
        "demo", "ROLLBACK_COMPLETE", [event(number) for number in range(7)], {"Thing0": "mood"}
    )
    assert "Thing0 (AWS::X::Y, mood) could not be made: no" in error.message
    assert "and 3 more" in error.message
    assert "Thing5" not in error.message


@pytest.mark.parametrize(
    ("status", "words"),
    [
        ("ROLLBACK_COMPLETE", "was not made"),
        ("UPDATE_ROLLBACK_COMPLETE", "is as it was before"),
        ("DELETE_FAILED", "is not removed whole"),
        ("UPDATE_ROLLBACK_FAILED", "is not as it should be"),
    ],
)
def test_what_became_of_the_stack(status, words):
    assert words in NotDeployed("demo", status, [], {}).message
