from __future__ import annotations

import dataclasses
import json
from fnmatch import fnmatch
from typing import Any

import pytest

import stacks
from firstlight.deploy import policy
from firstlight.project.names import Names
from firstlight.project.types import Endpoint, Project


def deploying(project: Project, **account: Any) -> dict[str, Any]:
    names = Names(project.name, project.stage)
    return policy.deploying(names, dataclasses.replace(stacks.ACCOUNT, **account), project)


def resources(document: dict[str, Any]) -> list[str]:
    found = []
    for statement in document["Statement"]:
        found += statement["Resource"] if isinstance(statement["Resource"], list) else [statement["Resource"]]
    return found


def test_a_plain_project_s_policy_is_a_managed_policy() -> None:
    assert policy.size(deploying(stacks.project())) <= policy.LIMIT


def test_it_names_the_project_s_own_resources() -> None:
    document = deploying(stacks.project(stage="prod"))
    assert "arn:aws:lambda:eu-central-1:123456789012:function:lyrics-prod-*" in resources(document)
    assert "arn:aws:iam::123456789012:role/firstlight/firstlight-lyrics-prod/*" in resources(document)
    assert "arn:aws:ecr:eu-central-1:123456789012:repository/firstlight/lyrics-prod" in resources(document)


def test_everything_else_is_left_alone() -> None:
    wide = {
        action
        for statement in deploying(stacks.project())["Statement"]
        if statement["Resource"] == "*" and "Condition" not in statement
        for action in statement["Action"]
    }
    assert wide == {
        "cloudformation:DescribeStacks",
        "cloudformation:ListStacks",
        "cloudwatch:DescribeAlarms",
        "cloudwatch:GetMetricData",
        "ecr:GetAuthorizationToken",
        "lambda:GetAccountSettings",
        "logs:DescribeLogGroups",
    }


def test_roles_may_be_passed_to_those_that_take_them_only() -> None:
    (passing,) = [
        one for one in deploying(stacks.project())["Statement"] if one["Action"] == ["iam:PassRole"]
    ]
    assert "lambda.amazonaws.com" in passing["Condition"]["StringEquals"]["iam:PassedToService"]


@pytest.mark.parametrize(
    ("wishes", "action"),
    [
        ({"api": "http"}, "apigateway:POST"),
        ({"api": "http"}, "logs:CreateLogDelivery"),
        ({"cache": "efs"}, "elasticfilesystem:CreateFileSystem"),
        ({"cache": "s3files"}, "s3files:CreateFileSystem"),
        ({"cache": "efs"}, "ec2:CreateVpc"),
        ({"budget": 5.0, "email": "a@example.org"}, "budgets:ModifyBudget"),
        ({"email": "a@example.org"}, "sns:Unsubscribe"),
    ],
)
def test_options_bring_their_own_rights_and_no_other_project_has_them(
    wishes: dict[str, Any], action: str
) -> None:
    def has(document: dict[str, Any]) -> bool:
        return any(fnmatch(action, held) for one in document["Statement"] for held in one["Action"])

    assert has(deploying(stacks.project(**wishes)))
    assert not has(deploying(stacks.project()))


def test_secrets_that_templates_read_are_named() -> None:
    endpoint = Endpoint("mood", model="m", env={"KEY": "secretsmanager:keys:one", "OTHER": "plain"})
    (reading,) = [
        one
        for one in deploying(stacks.project(endpoint))["Statement"]
        if one["Action"] == ["secretsmanager:GetSecretValue"]
    ]
    assert reading["Resource"] == "arn:aws:secretsmanager:eu-central-1:123456789012:secret:keys-??????"


def test_without_an_account_it_is_for_any() -> None:
    document = deploying(stacks.project(), id="*")
    assert "arn:aws:dynamodb:eu-central-1:*:table/firstlight-lyrics-*" in resources(document)
    assert "123456789012" not in json.dumps(document)


def test_names_that_aws_shortens_are_met_all_the_same() -> None:
    project = dataclasses.replace(stacks.project(), name="x" * 64)
    found = resources(deploying(project))
    function = Names("x" * 64).function("mood")
    assert any(fnmatch(function, arn.rpartition(":")[2]) for arn in found if ":function:" in arn)
    assert all(len(arn) < 256 for arn in found)
