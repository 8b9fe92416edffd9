"""status, logs, invoke and list against a stack on the emulator that nothing of ours made."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading

import pytest

CODE = """
import json


def handler(event, context):
    if event.get("raise"):
        raise ValueError("boom " + event["raise"])
    print(event.get("say", "said nothing"))
    return {"got": event, "stream": event.get("stream")}
"""
PROJECT = 'name = "hand"\n[endpoints.echo]\nscript = "echo.py"\n[endpoints.never]\nscript = "echo.py"\n'
TRUST = {
    "Version": "2012-10-17",
    "Statement": [
        {"Effect": "Allow", "Principal": {"Service": "lambda.amazonaws.com"}, "Action": "sts:AssumeRole"}
    ],
}


def template() -> str:
    function = {
        "FunctionName": "hand-echo",
        "Runtime": "python3.13",
        "Handler": "index.handler",
        "MemorySize": 256,
        "Timeout": 20,
        "Role": {"Fn::GetAtt": ["Role", "Arn"]},
        "Code": {"ZipFile": CODE},
        "Environment": {"Variables": {"FIRSTLIGHT_ENDPOINT": "echo"}},
    }
    resources = {
        "Role": {"Type": "AWS::IAM::Role", "Properties": {"AssumeRolePolicyDocument": TRUST}},
        "EchoLogs": {"Type": "AWS::Logs::LogGroup", "Properties": {"LogGroupName": "/aws/lambda/hand-echo"}},
        "EchoFunction": {"Type": "AWS::Lambda::Function", "Properties": function},
        "EchoVersion1": {
            "Type": "AWS::Lambda::Version",
            "Properties": {"FunctionName": {"Ref": "EchoFunction"}},
        },
        "EchoAlias": {
            "Type": "AWS::Lambda::Alias",
            "Properties": {
                "FunctionName": {"Ref": "EchoFunction"},
                "FunctionVersion": {"Fn::GetAtt": ["EchoVersion1", "Version"]},
                "Name": "live",
            },
        },
        "JobsQueue": {"Type": "AWS::SQS::Queue", "Properties": {}},
    }
    outputs = {"RouterUrl": {"Value": "https://router.example/"}}
    return json.dumps({"Resources": resources, "Outputs": outputs})


@pytest.fixture(scope="module")
def account(local_emulator):
    """The emulator with one stack of a project called hand."""
    formation = local_emulator.client("cloudformation")
    tags = [{"Key": "firstlight:project", "Value": "hand"}, {"Key": "firstlight:stage", "Value": "-"}]
    formation.create_stack(StackName="firstlight-hand", TemplateBody=template(), Tags=tags)
    formation.get_waiter("stack_create_complete").wait(
        StackName="firstlight-hand", WaiterConfig={"Delay": 0.2, "MaxAttempts": 50}
    )
    yield local_emulator
    formation.delete_stack(StackName="firstlight-hand")
    formation.close()


@pytest.fixture
def verb(account, tmp_path):
    """A verb as its user types it, in a project's folder: status, stdout, stderr."""
    (tmp_path / "firstlight.toml").write_text(PROJECT)
    (tmp_path / "echo.py").write_text(CODE)

    def run(*words: str):
        env = {**os.environ, **account.variables(), "NO_COLOR": "1"}
        command = [sys.executable, "-m", "firstlight", *words]
        done = subprocess.run(
            command, cwd=tmp_path, env=env, capture_output=True, text=True, timeout=60, check=False
        )
        return done.returncode, done.stdout, done.stderr

    return run


def test_invoke_answers(verb):
    code, out, err = verb("invoke", "--remote", "echo", "--tail", "-d", '{"say": "good morning"}')
    assert (code, json.loads(out)["got"]) == (0, {"say": "good morning"})
    assert "good morning" in err


def test_invoke_as_json_says_which_version_answered(verb):
    code, out, _ = verb("invoke", "--remote", "echo", "--json", "-d", "{}")
    answer = json.loads(out)
    assert (code, answer["executedVersion"], answer["functionError"]) == (0, "1", None)


def test_invoke_shows_what_the_function_raised(verb):
    code, out, err = verb("invoke", "--remote", "echo", "-d", '{"raise": "loudly"}')
    assert (code, out) == (1, "")
    assert "boom loudly" in err


def test_invoke_streams(verb):
    code, out, _ = verb("invoke", "--remote", "echo", "--stream", "-d", "{}")
    assert (code, json.loads(out)) == (0, {"got": {"stream": True}, "stream": True})


def test_invoke_leaves_an_event_to_the_queue(verb):
    code, out, _ = verb("invoke", "--remote", "echo", "--async", "-d", '{"say": "later on"}')
    assert code == 0
    assert len(out.strip()) == 36


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("invoke", "--remote", "never", "-d", "{}"), "firstlight-hand in us-east-1 has no endpoint 'never'"),
        (
            ("invoke", "--remote", "echo", "--qualifier", "7", "-d", "{}"),
            "no version or alias '7' of endpoint 'echo'",
        ),
        (("logs", "--remote", "--endpoint", "never"), "firstlight-hand has no endpoint 'never'"),
    ],
)
def test_what_is_not_deployed_is_named(verb, words, said):
    code, out, err = verb(*words)
    assert (code, out) == (1, "")
    assert said in err
    assert "Traceback" not in err


def test_status_shows_functions_and_queues(verb):
    verb("invoke", "--remote", "echo", "-d", "{}")
    code, out, err = verb("status")
    assert (code, err) == (0, "")
    assert out.startswith(
        "firstlight-hand in us-east-1: CREATE_COMPLETE\nRouterUrl: https://router.example/\n"
    )
    cells = next(line for line in out.splitlines() if line.startswith("echo ")).split()
    assert cells[1:3] == ["Active", "1"]
    assert "queue JobsQueue: 0 waiting, 0 being worked on" in out


def test_status_as_json_counts_the_last_day(verb):
    verb("invoke", "--remote", "echo", "-d", '{"raise": "counted"}')
    _, out, _ = verb("status", "--json")
    (echo,) = json.loads(out)["functions"]
    assert echo["invocations"] >= 1
    assert 1 <= echo["errors"] <= echo["invocations"]


def test_status_where_nothing_is(verb, tmp_path):
    (tmp_path / "firstlight.toml").write_text(PROJECT.replace('"hand"', '"other"'))
    code, _, err = verb("status")
    assert code == 1
    assert "there is no stack firstlight-other in us-east-1" in err
    assert "firstlight deploy" in err


def test_list_shows_the_stacks(verb):
    code, out, _ = verb("list", "--remote", "--json")
    assert code == 0
    assert [(one["project"], one["stack"], one["url"]) for one in json.loads(out)] == [
        ("hand", "firstlight-hand", "https://router.example/")
    ]


def test_logs_show_what_functions_wrote(verb):
    verb("invoke", "--remote", "echo", "-d", '{"say": "to be read"}')
    code, out, _ = verb("logs", "--remote", "--since", "5m")
    assert code == 0
    (line,) = [line for line in out.splitlines() if "to be read" in line]
    assert line.split()[2] == "echo"
    assert "START RequestId" not in out
    assert " took " in out


def test_logs_follow(verb, account, tmp_path):
    verb("invoke", "--remote", "echo", "-d", '{"say": "before"}')
    command = [sys.executable, "-m", "firstlight", "logs", "--remote", "-f", "--endpoint", "echo"]
    following = subprocess.Popen(
        command, cwd=tmp_path, env={**os.environ, **account.variables()}, stdout=subprocess.PIPE, text=True
    )
    seen: list[str] = []
    arrived = {word: threading.Event() for word in ("before", "meanwhile")}

    def read():
        for line in following.stdout:
            seen.append(line)
            for word, event in arrived.items():
                if word in line:
                    event.set()

    reader = threading.Thread(target=read)
    reader.start()
    try:
        assert arrived["before"].wait(30)
        verb("invoke", "--remote", "echo", "-d", '{"say": "meanwhile"}')
        assert arrived["meanwhile"].wait(30)
    finally:
        following.terminate()
        following.wait(10)
        reader.join()
        following.stdout.close()
    assert sum("meanwhile" in line for line in seen) == 1


@pytest.mark.parametrize(
    "words", [("logs", "--region", "x"), ("invoke", "echo", "--profile", "x"), ("list", "--region", "x")]
)
def test_options_of_aws_belong_to_remote(verb, words):
    code, _, err = verb(*words)
    assert code == 2
    assert "belongs to --remote" in err
