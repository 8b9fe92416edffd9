"""Deployments to an account in memory: the order of things, failures, two at once, and being cut off anywhere."""

from __future__ import annotations

import copy

import pytest

from deployments import NAMES, Deployer, Killed, cut_at
from fake_aws import refusal
from firstlight.deploy.aws.errors import MayNot
from firstlight.deploy.aws.reasons import NotDeployed
from firstlight.deploy.trying import VersionFailed
from firstlight.runtime.errors import Conflict, ProjectError


@pytest.fixture
def here(tmp_path):
    return Deployer(tmp_path)


def test_a_first_deployment_makes_all_and_invokes_each_version_once(here):
    applied = here.deploy()
    assert applied.deployed.status == "CREATE_COMPLETE"
    assert set(applied.sent.new) == {"mood", "hello", "router"}
    assert here.live() == {"mood": "1", "hello": "1", "router": "1"}
    assert [one.part for one in applied.warmed] == ["mood", "hello", "router"]
    assert set(here.cloud.stacks) == {NAMES.stack, NAMES.artifacts}


def test_the_same_again_changes_nothing(here):
    here.deploy()
    calls = len(here.cloud.calls)
    assert here.planned().nothing
    assert here.deploy() is None
    assert not [call for call in here.cloud.calls[calls:] if "create" in call or "execute" in call]


def test_nothing_is_changed_to_make_a_plan(here):
    here.planned()
    assert not here.cloud.stacks
    assert {call.split(".")[1].split("_")[0] for call in here.cloud.calls} <= {
        "describe",
        "get",
        "list",
        "head",
    }


def test_callers_move_only_after_the_new_version_answered(here):
    here.deploy()
    here.texts["mood"] = "two"
    seen = []
    here.cloud.before = lambda call: seen.append(here.live()["mood"]) if call == "lambda.invoke" else None
    here.deploy()
    here.cloud.before = lambda call: None
    assert seen == ["1"]
    assert here.live() == {"mood": "2", "hello": "1", "router": "1"}
    assert here.cloud.invoked[-1].endswith("MoodFunction:2")


def test_a_version_that_does_not_answer_is_not_what_callers_get(here):
    here.deploy()
    here.texts["mood"] = "two"
    here.cloud.broken["MoodFunction:2"] = "No module named 'nothere'"
    with pytest.raises(VersionFailed, match="mood does not start: ImportError: No module") as caught:
        here.deploy()
    assert "Callers still get the version before" in caught.value.message
    assert "    line two" in here.shown.said
    assert here.live()["mood"] == "1"
    here.texts["mood"] = "three"
    here.deploy()
    assert here.live()["mood"] == "3"
    versions = [key for key in here.cloud.stacks[NAMES.stack].resources if key.startswith("MoodVersion")]
    assert len(versions) == 2  # the live one, and the one before it


def test_only_the_version_before_is_kept(here):
    for text in ("one", "two", "three", "four"):
        here.texts["mood"] = text
        here.deploy()
    versions = [key for key in here.cloud.stacks[NAMES.stack].resources if key.startswith("MoodVersion")]
    assert len(versions) == 2
    here.roll_back("mood")
    assert here.live()["mood"] == "3"


def test_going_back_and_forward_again(here):
    here.deploy()
    here.texts["mood"] = "two"
    here.deploy()
    here.roll_back()
    assert here.live() == {"mood": "1", "hello": "1", "router": "1"}
    with pytest.raises(ProjectError, match="no earlier version of mood"):
        here.roll_back("mood")
    here.deploy()
    assert here.live()["mood"] == "2"


def test_a_version_that_broke_is_not_gone_back_to(here):
    here.deploy()
    here.texts["mood"] = "two"
    here.deploy()
    here.cloud.broken["MoodFunction:1"] = "gone"
    with pytest.raises(VersionFailed):
        here.roll_back()
    assert here.live()["mood"] == "2"


def test_what_could_not_be_made_is_told_with_its_resource_and_what_to_do(here):
    here.cloud.fails["MoodFunction"] = (
        "Resource handler returned message: \"Specified ReservedConcurrentExecutions for function decreases account's "
        "UnreservedConcurrentExecution below its minimum value of [10]. (Service: Lambda, Status Code: 400, "
        'Request ID: 0a1b) (SDK Attempt Count: 1)" (RequestToken: 2d4f, HandlerErrorCode: InvalidRequest)'
    )
    with pytest.raises(NotDeployed) as caught:
        here.deploy()
    assert (
        "MoodFunction (AWS::Lambda::Function, mood) could not be made: Specified Reserved"
        in caught.value.message
    )
    assert "RequestToken" not in caught.value.message
    assert "was not made; what was begun is taken back" in caught.value.message
    assert "Service Quotas" in caught.value.hint


def test_a_stack_that_could_not_be_made_is_deleted_and_made_the_next_time(here):
    here.cloud.fails["MoodFunction"] = "no"
    with pytest.raises(NotDeployed):
        here.deploy()
    assert here.cloud.stacks[NAMES.stack].status == "ROLLBACK_COMPLETE"
    here.cloud.fails.clear()
    planned = here.planned()
    assert any("ROLLBACK_COMPLETE" in note for note in planned.plan.notes)
    here.deploy(planned)
    assert here.cloud.stacks[NAMES.stack].status == "CREATE_COMPLETE"


def test_a_failed_update_leaves_what_was_there(here):
    here.deploy()
    before = copy.deepcopy(here.cloud.stacks[NAMES.stack].template)
    here.texts["mood"] = "two"
    here.cloud.fails["MoodFunction"] = "no"
    with pytest.raises(NotDeployed, match="is as it was before"):
        here.deploy()
    assert here.cloud.stacks[NAMES.stack].template == before
    here.cloud.fails.clear()
    here.deploy()
    assert here.live()["mood"] == "2"


def test_a_way_back_that_failed_is_tried_again(here):
    here.deploy()
    here.cloud.stacks[NAMES.stack].become("UPDATE_ROLLBACK_FAILED")
    here.texts["mood"] = "two"
    planned = here.planned()
    assert any("taken back" in note for note in planned.plan.notes)
    here.deploy(planned)
    assert here.live()["mood"] == "2"


def test_a_missing_right_is_named_with_its_resource(here):
    def deny(call):
        if call == "cloudformation.create_change_set":
            raise refusal(
                "AccessDenied",
                "User: arn:aws:iam::123456789012:user/ann is not authorized to perform: cloudformation:CreateChangeSet "
                "on resource: arn:aws:cloudformation:eu-central-1:123456789012:stack/x/* because no identity-based "
                "policy allows the cloudformation:CreateChangeSet action",
            )

    here.cloud.before = deny
    with pytest.raises(
        MayNot, match=r"user/ann may not cloudformation:CreateChangeSet on arn:aws:.*stack/x/\*$"
    ) as caught:
        here.deploy()
    assert "--print-policy" in caught.value.hint


def test_a_right_that_cloudformation_misses_is_named(here):
    here.cloud.fails["MoodRole"] = (
        "API: iam:CreateRole User: arn:aws:iam::123456789012:user/ann is not authorized to perform: iam:CreateRole on "
        "resource: arn:aws:iam::123456789012:role/firstlight/x because no identity-based policy allows it"
    )
    with pytest.raises(
        NotDeployed, match=r"user/ann may not iam:CreateRole on arn:aws:iam::123456789012:role"
    ) as caught:
        here.deploy()
    assert "--print-policy" in caught.value.hint


def test_a_name_that_is_taken(here):
    here.deploy()
    here.cloud.stacks[NAMES.stack].tags = []
    with pytest.raises(
        Conflict, match="the name is taken: the stack firstlight-demo was not made by firstlight"
    ):
        here.planned()
    here.cloud.stacks[NAMES.stack].tags = [{"Key": "firstlight:project", "Value": "other"}]
    with pytest.raises(Conflict, match="belongs to the project 'other'"):
        here.planned()


def test_a_function_of_the_name_that_is_not_of_the_stack(here):
    here.cloud.fails["MoodFunction"] = (
        "demo-mood already exists in stack arn:aws:cloudformation:...:stack/else/1"
    )
    with pytest.raises(NotDeployed, match="demo-mood already exists") as caught:
        here.deploy()
    assert "no part of this stack" in caught.value.hint


def test_an_account_with_a_quota_of_ten(here):
    here.settings = "concurrency = 5\n"
    here.cloud.concurrency = 10
    planned = here.planned()
    assert any("mood: 5 reserved workers are left out" in note for note in planned.plan.notes)
    assert "ReservedConcurrentExecutions" not in planned.plan.stack.resource("MoodFunction").properties
    here.deploy(planned)


def test_an_endpoint_that_is_turned_off_is_not_invoked(here):
    here.settings = "concurrency = 0\n"
    applied = here.deploy()
    assert [one.part for one in applied.warmed] == ["hello", "router"]
    here.texts.update(mood="two", hello="two")
    here.deploy()
    here.roll_back()
    assert not [arn for arn in here.cloud.invoked if "Mood" in arn]
    assert here.live()["mood"] == "1"


def test_a_second_deployment_waits_for_the_first(here):
    here.deploy()
    stack = here.cloud.stacks[NAMES.stack]
    stack.begin("UPDATE_IN_PROGRESS", lambda: stack.become("UPDATE_COMPLETE"))
    here.texts["mood"] = "two"
    here.deploy()
    assert any("Something is under way there already" in line for line in here.shown.said)
    assert here.live()["mood"] == "2"


@pytest.mark.parametrize("moment", ["cloudformation.create_change_set", "cloudformation.execute_change_set"])
def test_two_at_once_do_not_undo_each_other(here, tmp_path, moment):
    here.deploy()
    (tmp_path / "other").mkdir()
    other = Deployer(tmp_path / "other", here.cloud)
    here.texts["mood"], other.texts["mood"] = "two", "three"
    planned = here.planned()

    def race(call):
        if call == moment:
            here.cloud.before = lambda call: None
            other.deploy()

    here.cloud.before = race
    with pytest.raises(Conflict, match="another deployment") as caught:
        here.deploy(planned)
    assert "run the same again" in caught.value.hint
    assert not any(stack.sets for stack in here.cloud.stacks.values())
    here.deploy()
    assert here.live()["mood"] == "3"


def test_a_change_set_that_would_replace_a_table_unannounced_is_refused(here):
    here.deploy()
    here.texts["mood"] = "two"

    def replace(call):
        if call == "cloudformation.create_change_set:done":
            for one in here.cloud.stacks[NAMES.stack].sets.values():
                one["Changes"].append(
                    {
                        "ResourceChange": {
                            "Action": "Modify",
                            "Replacement": "True",
                            "LogicalResourceId": "RecordsTable",
                            "ResourceType": "AWS::DynamoDB::Table",
                        }
                    }
                )

    here.cloud.before = replace
    with pytest.raises(Conflict, match="would replace RecordsTable"):
        here.deploy()
    assert here.live()["mood"] == "1"


def test_a_connection_lost_while_waiting_is_waited_for(here):
    lost = iter([True] * 5)

    def lose(call):
        if call == "cloudformation.describe_stack_events" and next(lost, False):
            from firstlight.deploy.aws.errors import Unreached

            raise Unreached("the connection to AWS was lost")

    here.deploy()
    here.texts["mood"] = "two"
    planned = here.planned()
    waiting = iter([False])

    def begin(call):
        if call == "cloudformation.execute_change_set:done" and not next(waiting, True):
            here.cloud.before = lose

    here.cloud.before = begin
    here.deploy(planned)
    assert "the connection to AWS was lost; trying again" in here.shown.said
    assert here.live()["mood"] == "2"


@pytest.mark.parametrize("place", [5, 21, 34, 44, 55])
def test_cut_off_somewhere_the_same_again_ends_where_it_should(here, place):
    """Every place there is: tests/faults/test_deploying.py."""
    here.cloud.ticks = 1
    here.deploy()
    here.texts.update(mood="two", router="two")
    cut_at(here.cloud, place, Killed)
    with pytest.raises(Killed):
        here.deploy()
    here.cloud.before = lambda call: None
    here.deploy()
    assert here.live() == {"mood": "2", "hello": "1", "router": "2"}
    assert here.planned().nothing


def test_data_is_kept_when_told(here):
    here.deploy()
    stay = here.destroy(keep_data=True)
    assert sorted(one.id for one in stay) == ["JobsTable", "RecordsTable"]
    assert len(here.cloud.tables) == 2
    assert not here.cloud.stacks
    here.destroy()
    assert not here.cloud.tables


def test_a_protected_stack_is_not_destroyed(here, monkeypatch):
    from dataclasses import replace

    from firstlight.deploy.aws import stacks

    here.deploy()
    real = stacks.state

    def protected(session, name):
        found = real(session, name)
        return replace(found, protected=True) if found else None

    monkeypatch.setattr(stacks, "state", protected)
    with pytest.raises(Conflict, match="protected"):
        here.destroy()
