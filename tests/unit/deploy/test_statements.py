from __future__ import annotations

import json

import stacks
from firstlight.deploy import statements
from firstlight.deploy.types import Statement
from firstlight.project.types import Endpoint, Front


def test_every_statement_of_every_role_is_there() -> None:
    stack = stacks.stack(stacks.project())
    found = statements.of(stack)
    assert (
        Statement("MoodRole", "Allow", ("logs:CreateLogStream", "logs:PutLogEvents"), ("${MoodLogs.Arn}",))
        in found
    )
    held = sum(
        len(policy)
        for role in stacks.ids(stack, "IAM::Role")
        for policy in stacks.policies(stack.resource(role)).values()
    )
    roles = stacks.ids(stack, "IAM::Role")
    of_roles = [statement for statement in found if statement.role in roles]
    assert len(of_roles) == held + len(roles)


def test_who_may_take_a_role_is_said() -> None:
    (trust,) = [
        statement
        for statement in statements.of(stacks.stack(stacks.project()))
        if statement.role == "ScheduleRole" and statement.actions == ("sts:AssumeRole",)
    ]
    assert json.loads(trust.condition) == {
        "Principal": {"Service": "scheduler.amazonaws.com"},
        "StringEquals": {"aws:SourceAccount": "${AWS::AccountId}"},
        "ArnEquals": {"aws:SourceArn": "${ScheduleGroup.Arn}"},
    }


def test_policies_of_resources_say_whom_they_let_in() -> None:
    endpoint = Endpoint("mood", model="m", route="/mood", front=Front("http", "none"))
    found = {statement.role: statement for statement in statements.of(stacks.stack(stacks.project(endpoint)))}
    assert found["JobsQueuePolicy"].effect == "Deny"
    assert found["JobsQueuePolicy"].resources == ("${JobsQueue.Arn}",)
    permission = found["HttpPathMoodPermission"]
    assert permission.resources == ("${MoodAlias}",)
    assert json.loads(permission.condition)["Principal"] == "apigateway.amazonaws.com"
    assert json.loads(permission.condition)["SourceArn"].endswith("${HttpApi}/*/*/mood")
