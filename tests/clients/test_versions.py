"""Versions and aliases by the AWS SDK and the command line: published, changed, served again by another life."""

from __future__ import annotations

import base64
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from clients.test_boto3 import client_of, invoke
from serving import PATIENCE, Server

SCRIPT = """
import os

def handler(event, context):
    return [{text!r}, os.getpid(), os.environ["AWS_LAMBDA_INITIALIZATION_TYPE"], context.invoked_function_arn]
"""

FAILING = """
from snapshot_restore_py import register_after_restore

@register_after_restore
def connect():
    raise OSError("no such host")

def handler(event, context): ...
"""

TOML = """
name = "versions"
[endpoints.failing]
script = "inference/failing.py"
snap_start = true
[endpoints.ready]
script = "inference/ready.py"
provisioned = 1
[endpoints.snap]
script = "inference/snap.py"
snap_start = true
"""


def write(folder: Path, name: str, text: str) -> None:
    (folder / "inference" / f"{name}.py").write_text(SCRIPT.format(text=text))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("versions")
    (made / "inference").mkdir()
    (made / "firstlight.toml").write_text(TOML)
    for name in ("f", "g", "off", "ready", "snap"):
        write(made, name, "first")
    (made / "inference" / "failing.py").write_text(FAILING)
    return made


@pytest.fixture(scope="module")
def server(folder: Path) -> Iterator[Server]:
    with Server(folder, "--reload") as running:
        yield running


@pytest.fixture(scope="module")
def client(server: Server) -> Iterator[Any]:
    made = client_of(server.url)
    yield made
    made.close()


def reloaded(server: Server) -> None:
    """Return when the server has taken over a change."""
    stdout = server.process.stdout
    assert stdout is not None
    assert json.loads(stdout.readline())["event"] == "reloaded"


def said(client: Any, name: str, qualifier: str | None = None) -> tuple[str, str]:
    """What a function answers, and the version that did."""
    more = {} if qualifier is None else {"Qualifier": qualifier}
    reply, answer = invoke(client, name, {}, **more)
    return answer[0], reply["ExecutedVersion"]


def test_a_version_answers_as_it_was_when_the_file_changes_and_after_a_restart(
    folder: Path, server: Server, client: Any
) -> None:
    made = client.publish_version(FunctionName="f", Description="the first")
    assert (made["Version"], made["Description"]) == ("1", "the first")
    assert client.publish_version(FunctionName="f")["Version"] == "1"
    client.create_alias(FunctionName="f", Name="live", FunctionVersion="1")
    write(folder, "f", "second")
    reloaded(server)
    expected = {None: ("second", "$LATEST"), "1": ("first", "1"), "live": ("first", "1")}
    assert {name: said(client, "f", name) for name in expected} == expected
    with Server(folder) as another:
        again = client_of(another.url)
        assert {name: said(again, "f", name) for name in expected} == expected
        assert [
            version["Version"] for version in again.list_versions_by_function(FunctionName="f")["Versions"]
        ] == [
            "$LATEST",
            "1",
        ]
        again.close()


def test_what_another_server_publishes_is_served_here_too(folder: Path, client: Any) -> None:
    with Server(folder) as another:
        other = client_of(another.url)
        other.publish_version(FunctionName="g")
        other.create_alias(FunctionName="g", Name="live", FunctionVersion="1")
        other.close()
    assert said(client, "g", "live") == ("first", "1")


def test_the_arn_of_a_function_has_the_qualifier_of_the_caller(client: Any) -> None:
    client.publish_version(FunctionName="off")
    client.create_alias(FunctionName="off", Name="live", FunctionVersion="1")
    for qualifier in ("1", "live"):
        _, answer = invoke(client, f"off:{qualifier}", {})
        assert answer[3].endswith(f":function:off:{qualifier}")


def test_concurrency_0_off_and_on_again(client: Any) -> None:
    client.publish_version(FunctionName="off")
    client.put_function_concurrency(FunctionName="off", ReservedConcurrentExecutions=0)
    for qualifier in (None, "1"):
        with pytest.raises(client.exceptions.TooManyRequestsException) as caught:
            said(client, "off", qualifier)
        assert caught.value.response["Reason"] == "ReservedFunctionConcurrentInvocationLimitExceeded"
    client.delete_function_concurrency(FunctionName="off")
    assert said(client, "off") == ("first", "$LATEST")


def test_workers_that_are_kept_ready_have_no_cold_start(client: Any) -> None:
    client.publish_version(FunctionName="ready")
    client.put_provisioned_concurrency_config(
        FunctionName="ready", Qualifier="1", ProvisionedConcurrentExecutions=1
    )

    def state() -> str:
        found = client.get_provisioned_concurrency_config(FunctionName="ready", Qualifier="1")
        return str(found["Status"])

    while (status := state()) != "READY":
        assert status == "IN_PROGRESS"
    for qualifier in ("1", "$LATEST"):
        reply, answer = invoke(client, "ready", {}, Qualifier=qualifier, LogType="Tail")
        assert answer[2] == "provisioned-concurrency"
        assert b"Init Duration" not in base64.b64decode(reply["LogResult"])


def test_a_version_with_snapstart(client: Any) -> None:
    assert client.publish_version(FunctionName="snap")["SnapStart"] == {
        "ApplyOn": "PublishedVersions",
        "OptimizationStatus": "On",
    }
    assert invoke(client, "snap", {}, Qualifier="1")[1][2] == "snap-start"
    assert invoke(client, "snap", {})[1][2] == "on-demand"


def test_a_hook_that_fails(client: Any) -> None:
    client.publish_version(FunctionName="failing")
    with pytest.raises(client.exceptions.SnapStartException) as caught:
        invoke(client, "failing", {}, Qualifier="1")
    assert "OSError: no such host" in caught.value.response["Message"]


def test_a_version_an_alias_leads_to_stays(client: Any) -> None:
    client.publish_version(FunctionName="snap")
    client.create_alias(FunctionName="snap", Name="live", FunctionVersion="1")
    with pytest.raises(client.exceptions.ResourceConflictException, match=r"reference it: \[live\]"):
        client.delete_function(FunctionName="snap", Qualifier="1")
    client.delete_alias(FunctionName="snap", Name="live")
    client.delete_function(FunctionName="snap", Qualifier="1")
    with pytest.raises(ClientError) as caught:
        said(client, "snap", "1")
    assert caught.value.response["Error"]["Code"] == "ResourceNotFoundException"


class Shell:
    """A project that is served, and the command line in its folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        (folder / "inference").mkdir()
        (folder / "firstlight.toml").write_text('name = "verbs"\n')
        write(folder, "f", "first")

    def run(self, *words: str, code: int = 0) -> str:
        """What a verb prints; what it complains of, where it fails."""
        done = subprocess.run(
            (sys.executable, "-m", "firstlight", *words),
            cwd=self.folder,
            env={**os.environ, "FIRSTLIGHT_DATA_DIR": str(self.folder / "data")},
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            check=False,
        )
        assert done.returncode == code, done.stderr
        return done.stderr if code else done.stdout


def test_the_verbs(tmp_path: Path) -> None:
    shell = Shell(tmp_path)
    run = shell.run
    with Server(tmp_path, "--reload") as server:
        assert json.loads(run("publish", "f", "--json"))["version"] == "1"
        write(tmp_path, "f", "second")
        reloaded(server)
        assert json.loads(run("publish", "--description", "second", "--json"))["version"] == "2"
        assert len(run("publish", "--list").splitlines()) == 2
        run("alias", "set", "f", "live", "--version", "1")
        invoked = json.loads(run("invoke", "f", "--qualifier", "live", "--json", "-d", "{}"))
        assert (invoked["payload"][0], invoked["executedVersion"]) == ("first", "1")
        told = json.loads(run("alias", "set", "f", "live", "--version", "2", "--weight", "1=0.25", "--json"))
        assert (told["version"], told["weights"]) == ("2", {"1": 0.25})
        assert "2, 1 for 0.25" in run("alias", "list", "f")
        assert "any more" in run("alias", "delete", "f", "live")
        assert run("alias", "list") == ""
        assert "has no alias 'live'" in run("alias", "delete", "f", "live", code=1)
        assert "Function not found" in run("alias", "set", "f", "live", "--version", "9", code=1)


def test_a_state_that_is_garbage_does_not_end_the_server(tmp_path: Path) -> None:
    shell = Shell(tmp_path)
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "functions.json").write_text("nonsense")
    with Server(tmp_path) as server:
        client = client_of(server.url)
        assert said(client, "f") == ("first", "$LATEST")
        with pytest.raises(ClientError, match="is not what firstlight wrote"):
            client.publish_version(FunctionName="f")
        with pytest.raises(ClientError, match="is not what firstlight wrote"):
            said(client, "f", "1")
        client.close()
    assert any("is not what firstlight wrote" in line for line in server.log)
    assert (tmp_path / "data" / "functions.json").read_text() == "nonsense"
    assert "is not what firstlight wrote" in shell.run("publish", "f", code=1)
