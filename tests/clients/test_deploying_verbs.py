"""The verbs that change what is on AWS: what they show, that they ask, and what they say in the end."""

from __future__ import annotations

import json

import pytest

from deployments import NAMES, Deployer
from firstlight.cli import account
from firstlight.deploy import making


@pytest.fixture
def here(folder, monkeypatch):
    """A project in this folder, and an account in memory that the verbs take for AWS."""
    deployer = Deployer(folder)
    assert deployer.project
    monkeypatch.setattr(account, "session", lambda *asked: deployer.cloud.session())
    monkeypatch.setattr(
        making,
        "make",
        lambda *asked: making.Making(tuple(deployer.codes()), lambda now: now, ("something to know",)),
    )
    return deployer


def test_the_plan_is_shown_line_by_line_and_nothing_is_done(here, cli):
    done = cli("deploy", "--plan")
    assert done.code == 0
    assert "firstlight-demo in account 123456789012, eu-central-1, as user/ann" in done.out
    for beginning in (
        "    + MoodFunction  Lambda::Function: ",
        "    + Bucket  S3::Bucket: ",
        "    + MoodRole  IAM::Role: ",
    ):
        assert [line for line in done.out.splitlines() if line.startswith(beginning)]
    for line in (
        "  MoodRole",
        "    lambda.amazonaws.com may sts:AssumeRole",
        "    may logs:CreateLogStream, logs:PutLogEvents",
        "      on ${MoodLogs.Arn}",
        "    may lambda:InvokeFunction",
        "  what a million invocations add",
    ):
        assert line in done.out.splitlines()
    assert "  a month without any invocation: $" in done.out
    assert "something to know" in done.err
    assert not here.cloud.stacks


def test_without_a_terminal_nothing_is_done_unless_it_was_agreed_to(here, cli):
    done = cli("deploy")
    assert done.code == 1
    assert "nothing was done: there is no terminal to ask at" in done.err
    assert "--yes" in done.err
    assert not here.cloud.stacks


@pytest.mark.parametrize(("answer", "code"), [(True, 0), (False, 1)])
def test_at_a_terminal_it_asks(here, cli, monkeypatch, answer, code):
    asked = []

    def confirm(question, **options):
        asked.append(question)
        return answer

    monkeypatch.setattr("click.confirm", confirm)
    monkeypatch.setattr("firstlight.cli.agreeing.is_terminal", lambda: True)
    done = cli("deploy")
    assert done.code == code
    assert asked == ["Deploy this to account 123456789012 in eu-central-1?"]
    assert bool(here.cloud.stacks) == answer


def test_from_nothing_to_nothing(here, cli):
    done = cli("deploy", "--yes")
    assert done.code == 0
    assert "deployed in " in done.out
    again = cli("deploy", "--yes")
    assert "everything is deployed as it is here" in again.out

    here.texts["mood"] = "two"
    changed = cli("deploy", "--yes")
    assert "    ~ MoodFunction  Lambda::Function (Code): " in changed.out
    assert "1 to make, 2 to change; " in changed.out
    back = cli("rollback", "--yes")
    assert "  ~ MoodAlias  mood: version 2 -> 1" in back.out
    assert here.live()["mood"] == "1"

    refused = cli("destroy")
    assert refused.code == 1
    assert here.cloud.stacks
    gone = cli("destroy", "--yes")
    assert "with all that is in it" in gone.out
    assert "firstlight-demo is removed" in gone.out
    assert not here.cloud.stacks
    assert not here.cloud.tables
    assert "there is nothing of firstlight-demo" in cli("destroy", "--yes").out


def test_what_is_deployed_and_does_not_answer_is_said_again(here, cli):
    here.cloud.broken["MoodFunction:1"] = "No module named 'nothere'"
    for _ in range(2):
        done = cli("deploy", "--yes")
        assert done.code == 1
        assert "mood does not start: ImportError: No module named 'nothere'" in done.err
    invoked = len(here.cloud.invoked)
    assert cli("deploy").code == 0
    assert len(here.cloud.invoked) == invoked  # nobody agreed to anything


def test_data_that_is_kept_is_named(here, cli):
    cli("deploy", "--yes")
    done = cli("destroy", "--yes", "--keep-data")
    assert "still there: AWS::DynamoDB::Table firstlight-demo-RecordsTable" in done.out
    assert "there is nothing" in cli("destroy", "--yes", "--keep-data").out
    assert json.loads(cli("destroy", "--yes", "--json").out.splitlines()[-1])["left"] == []


def test_json_for_programs(here, cli):
    done = cli("deploy", "--yes", "--json")
    plan, end = map(json.loads, done.out.splitlines())
    assert {change["action"] for change in plan["plan"]["changes"]} == {"Add"}
    assert {one["endpoint"]: one["send"] for one in plan["plan"]["code"]} == {
        "mood": True,
        "hello": True,
        "router": True,
    }
    assert end["deployed"]["changed"]
    assert end["deployed"]["sent"] == 9
    assert [one["part"] for one in end["deployed"]["warmed"]] == ["mood", "hello", "router"]
    _, end = map(json.loads, cli("deploy", "--json").out.splitlines())
    assert not end["deployed"]["changed"]
    here.texts["mood"] = "two"
    cli("deploy", "--yes")
    plan, end = map(json.loads, cli("rollback", "--yes", "--json", "mood").out.splitlines())
    assert plan == {"plan": [{"part": "mood", "from": "2", "to": "1"}]}
    assert end == {"rolledBack": ["mood"]}
    plan, end = map(json.loads, cli("destroy", "--yes", "--json").out.splitlines())
    assert len(plan["plan"]["data"]) == 2
    assert end == {"destroyed": True, "left": []}


def test_variables_of_users_are_not_printed(here, cli):
    here.settings = '[endpoints.mood.env]\nTOKEN = "very secret"\n'
    assert here.project
    for options in ((), ("--json",)):
        done = cli("deploy", "--plan", *options)
        assert done.code == 0
        assert "very secret" not in done.out + done.err


def test_dotenv_stays_here_and_it_is_said(here, cli, folder):
    (folder / ".env").write_text("KEY=very-secret\n")
    done = cli("deploy", "--plan")
    assert "what .env says stays on this machine (KEY)" in done.out
    assert "very-secret" not in done.out + done.err


def test_fronts_that_are_open_are_said(here, cli, folder):
    here.settings = 'route = "/mood"\n'
    assert here.project
    assert "/mood asks for IAM, as `public` is not set in [deploy]" in cli("deploy", "--plan").out
    here.settings = 'route = "/mood"\n[deploy]\npublic = true\n'
    assert here.project
    assert "/mood is open to everybody, and nothing but the account's quota" in cli("deploy", "--plan").out


def test_a_registry_of_another_region_is_refused(here, cli):
    here.settings = '[deploy]\nregistry = "123456789012.dkr.ecr.us-east-1.amazonaws.com/x"\n'
    assert here.project
    done = cli("deploy", "--yes")
    assert done.code == 1
    assert "the registry is in us-east-1 and the functions would be in eu-central-1" in done.err


def test_another_kind_of_package_is_refused_before_anything(here, cli, monkeypatch):
    cli("deploy", "--yes")
    from dataclasses import replace

    real = here.codes

    def images():
        return [
            replace(code, artifact=replace(code.artifact, kind="image", runtime="", handler=""))
            if code.artifact.endpoint == "mood"
            else code
            for code in real()
        ]

    monkeypatch.setattr(here, "codes", images)
    done = cli("deploy", "--yes")
    assert done.code == 1
    assert "'mood' is deployed as another kind of package" in done.err


def test_the_policy_is_printed(here, cli):
    policy = json.loads(cli("deploy", "--print-policy").out)
    assert policy["Version"] == "2012-10-17"
    assert not here.cloud.stacks


def test_a_failure_is_a_sentence(here, cli):
    here.cloud.fails["MoodFunction"] = "Rate exceeded"
    done = cli("deploy", "--yes")
    assert done.code == 1
    assert "MoodFunction (AWS::Lambda::Function, mood) could not be made: Rate exceeded" in done.err
    assert "help: AWS was busy: run the same again" in done.err
    assert here.cloud.stacks[NAMES.stack].status == "ROLLBACK_COMPLETE"
