"""The AWS command line (version 1, which pip installs), in an environment of its own."""

from __future__ import annotations

import base64
import json
import os
import subprocess
import sys
import venv
from pathlib import Path
from typing import Any

import pytest

from serving import Server

PINNED = "awscli==1.46.2"


@pytest.fixture(scope="session")
def aws() -> Path:
    """The command; its environment is made once and kept beside the tests' own."""
    kept = Path(sys.prefix) / "awscli" / PINNED.replace("==", "-")
    whole = kept / "whole"
    if not whole.exists():
        venv.create(kept, with_pip=True, clear=True)
        pip = [str(kept / "bin" / "python"), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        subprocess.run([*pip, PINNED], check=True)
        whole.touch()
    return kept / "bin" / "aws"


class Cli:
    """``aws lambda ...`` against a server."""

    def __init__(self, aws: Path, server: Server, folder: Path) -> None:
        self.aws, self.server, self.folder = aws, server, folder

    def __call__(self, verb: str, *words: str, key: str = "local") -> subprocess.CompletedProcess[str]:
        env = {
            "PATH": os.environ["PATH"],
            "HOME": str(self.folder),
            "AWS_ENDPOINT_URL_LAMBDA": self.server.url,
            "AWS_ACCESS_KEY_ID": key,
            "AWS_SECRET_ACCESS_KEY": "local",
            "AWS_DEFAULT_REGION": "us-east-1",
            "AWS_MAX_ATTEMPTS": "1",
        }
        command = [str(self.aws), "lambda", verb, *words]
        return subprocess.run(command, env=env, cwd=self.folder, capture_output=True, text=True, check=False)

    def invoke(self, name: str, payload: str, *words: str) -> tuple[dict[str, Any], Any]:
        """The command's own JSON and the answer it wrote."""
        done = self("invoke", "--function-name", name, "--payload", payload, *words, "answer.json")
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout), json.loads((self.folder / "answer.json").read_text())


@pytest.fixture
def cli(aws: Path, server: Server, tmp_path: Path) -> Cli:
    return Cli(aws, server, tmp_path)


def test_invoke(cli: Cli) -> None:
    reply, answer = cli.invoke("sentiment", '{"inputs": "what a lovely day"}')
    assert reply == {"StatusCode": 200, "ExecutedVersion": "$LATEST"}
    assert answer[0]["label"] == "POSITIVE"


def test_invoke_with_a_log(cli: Cli) -> None:
    reply, _ = cli.invoke("echo", '{"do": "speak"}', "--log-type", "Tail")
    assert "echo was asked to speak" in base64.b64decode(reply["LogResult"]).decode()


def test_a_function_error(cli: Cli) -> None:
    reply, answer = cli.invoke("echo", '{"do": "raise"}')
    assert reply["FunctionError"] == "Unhandled"
    assert answer["errorMessage"] == "boom"


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["--function-name", "nope", "x"], "ResourceNotFoundException"),
        (["--function-name", "echo", "--payload", "{", "x"], "InvalidRequestContentException"),
        (["--function-name", "echo:1", "--qualifier", "2", "x"], "InvalidParameterValueException"),
        (["--function-name", "echo", "--qualifier", "99", "x"], "ResourceNotFoundException"),
    ],
)
def test_errors(cli: Cli, words: list[str], expected: str) -> None:
    done = cli("invoke", *words)
    assert done.returncode != 0
    assert f"({expected})" in done.stderr


def test_list_functions(cli: Cli) -> None:
    done = cli("list-functions", "--query", "Functions[].FunctionName", "--output", "text")
    assert set(done.stdout.split()) >= {"sentiment", "qa", "echo"}


def test_an_event(cli: Cli) -> None:
    done = cli("invoke", "--function-name", "echo", "--invocation-type", "Event", "answer.json")
    assert json.loads(done.stdout) == {"StatusCode": 202}


def test_versions_and_aliases(cli: Cli) -> None:
    published = cli("publish-version", "--function-name", "router", "--description", "first")
    version = json.loads(published.stdout)["Version"]
    words = ["--function-name", "router", "--name", "cli"]
    made = json.loads(cli("create-alias", *words, "--function-version", version).stdout)
    assert made["AliasArn"].endswith(":function:router:cli")
    reply, answer = cli.invoke("router:cli", '{"text": "a"}')
    assert (reply["ExecutedVersion"], answer["statusCode"]) == (version, 200)
    weights = f"AdditionalVersionWeights={{{version}=0.5}}"
    refused = cli("update-alias", *words, "--routing-config", weights)
    assert "(InvalidParameterValueException)" in refused.stderr
    assert cli("delete-alias", *words).returncode == 0
    listed = cli("list-versions-by-function", "--function-name", "router", "--query", "Versions[].Version")
    assert json.loads(listed.stdout)[:2] == ["$LATEST", version]
    assert cli("wait", "function-active-v2", "--function-name", "router").returncode == 0
    limit = json.loads(cli("get-account-settings").stdout)["AccountLimit"]
    assert limit["ConcurrentExecutions"] == 1000
