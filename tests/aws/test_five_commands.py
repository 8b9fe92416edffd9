"""From nothing to an answering endpoint in five commands, what comes after that, and nothing left in the end.

The commands are those of a new user, as docs/emulator.md has them; the account is the emulator's, images go to a real
registry that asks for a password, functions run as containers.
"""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from parts import registry as registries
from parts.daemon import Daemon
from parts.emulator import Emulator
from parts.registry import RunningRegistry
from parts.shell import Shell, inventory

LANES = ("zip", "image")
GREETING = '''"""An endpoint: its name is that of the file."""


def handler(event, context):
    print("asked for a greeting")
    return {"greeting": f"Good day, {event.get('name', 'world')}!"}
'''


@pytest.fixture(scope="module")
def images(
    tmp_path_factory: pytest.TempPathFactory, daemon: Daemon, managed_runtime: str, emulator: Emulator
) -> Iterator[RunningRegistry]:
    """A registry that has the base, and that the emulator's daemon may pull from."""
    folder = tmp_path_factory.mktemp("registry")
    running = registries.with_password(folder)
    emulator.docker_login(running.host, registries.USER, registries.PASSWORD)
    base = f"{running.host}/lambda/python:3.13"
    logged_in = {**os.environ, "DOCKER_HOST": daemon.host, "DOCKER_CONFIG": str(emulator.folder / "docker")}
    for words in (("tag", managed_runtime, base), ("push", "--quiet", base), ("rmi", base)):
        subprocess.run(["docker", *words], env=logged_in, check=True, capture_output=True)
    yield running
    running.stop()


@pytest.fixture(params=LANES)
def lane(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What firstlight keeps for its user between projects: downloads."""
    return tmp_path_factory.mktemp("home")


@pytest.fixture
def shell(tmp_path: Path, home: Path, emulator: Emulator, images: RunningRegistry) -> Shell:
    variables = {
        **emulator.variables(),
        "DOCKER_CONFIG": str(emulator.folder / "docker"),
        "XDG_DATA_HOME": str(home / "data"),
        "XDG_CACHE_HOME": str(home / "cache"),
    }
    return Shell(tmp_path, variables)


def settings(emulator: Emulator, images: RunningRegistry, lane: str) -> str:
    """What docs/emulator.md has people add to the project file."""
    return f"""
[deploy]
architecture = "{emulator.architecture}"
package = "{lane}"
registry = "{images.host}/shop"
base = "{images.host}/lambda/python:3.13"
"""


def test_five_commands_and_what_comes_after(shell, emulator, images, lane):
    before = inventory(emulator)

    # The five commands.
    shell("init", "shop")
    toml = shell.folder / "shop/firstlight.toml"
    toml.write_text(toml.read_text() + settings(emulator, images, lane))
    shell("-C", "shop", "add", "starter:qa")
    shell("-C", "shop", "build")
    deployed = shell("-C", "shop", "deploy", "--yes")
    mood = shell("-C", "shop", "invoke", "--remote", "sentiment", "inputs=what a lovely day")

    assert json.loads(mood.out)[0]["label"] == "POSITIVE"
    assert "RouterUrl: https://" in deployed.out
    project = shell.folder / "shop"
    in_project = Shell(project, shell.variables)
    asking = (
        "invoke",
        "--remote",
        "qa",
        "inputs.question=Who wrote it?",
        "inputs.context=Ada wrote the first program.",
    )
    assert "Ada" in in_project(*asking).out
    assert in_project("invoke", "--remote", "hello", "name=Ada").out == '{"greeting": "Hello, Ada!"}\n'

    _look(in_project, lane)
    _ask_the_router(emulator, in_project("status", "--json").json["outputs"])
    assert "is as the project says" in in_project("diff", "--check").err
    assert "everything is deployed as it is here" in in_project("deploy", "--yes").out

    _update(in_project, project)
    _roll_back(in_project)

    in_project("destroy", "--yes")
    assert inventory(emulator) == before
    assert "there is no stack firstlight-shop" in in_project("status", code=1).err


def _look(shell: Shell, lane: str) -> None:
    """Everything that shows what is there."""
    status = shell("status", "--json").json
    assert status["well"]
    kinds = {one["source"]: (one["state"], one["kind"]) for one in status["functions"]}
    assert kinds["sentiment"] == kinds["qa"] == kinds["hello"] == ("Active", lane)
    assert kinds["router"] == ("Active", "zip")
    assert {one["source"]: one["invocations"] for one in status["functions"]}["hello"] >= 1
    (listed,) = shell("list", "--remote", "--json").json
    assert (listed["project"], listed["stack"]) == ("shop", "firstlight-shop")
    assert " took " in shell("logs", "--remote", "--endpoint", "hello").out
    assert "hello" in shell("invoke", "--remote", "hello", "--stream", "name=x").out.lower()
    assert len(shell("invoke", "--remote", "hello", "--async", "name=x").out.strip()) == 36


def _ask_the_router(emulator: Emulator, outputs: dict[str, str]) -> None:
    """The gateway's routes at the router's URL; a job is worked off; each invocation has left a record."""
    url = outputs["RouterUrl"]
    status, body = emulator.signed(url, "/models/sentiment", {"inputs": "what a lovely day"})
    assert (status, json.loads(body)[0][0]["label"]) == (200, "POSITIVE")
    path = "/2015-03-31/functions/hello/invocations"
    assert emulator.signed(url, path, {"name": "Ada"}, **{"X-Amz-Invocation-Type": "Event"})[0] == 202
    (job,) = json.loads(emulator.signed(url, "/v1/jobs")[1])["jobs"]
    status, body = emulator.signed(url, f"/v1/jobs/{job['id']}?wait=30")
    assert (status, json.loads(body)["status"]) == (200, "succeeded")
    tables = emulator.client("dynamodb")
    assert tables.scan(TableName=outputs["RecordsTable"], Select="COUNT")["Count"] >= 3
    tables.close()


def _update(shell: Shell, project: Path) -> None:
    """Changed code: the difference, the deployment, the answer, the log."""
    (project / "inference/hello.py").write_text(GREETING)
    changed = shell("diff", "--check", code=1).out
    assert "~ HelloAlias (AWS::Lambda::Alias, hello)" in changed
    assert "Sentiment" not in changed
    sent = shell("deploy", "--yes", "--json").json["deployed"]
    assert sent["changed"]
    assert 0 < sent["sent"] < 1_000_000
    assert shell("invoke", "--remote", "hello", "name=Ada").out == '{"greeting": "Good day, Ada!"}\n'
    assert "asked for a greeting" in shell("logs", "--remote", "--endpoint", "hello").out


def _roll_back(shell: Shell) -> None:
    shell("rollback", "--yes")
    assert shell("invoke", "--remote", "hello", "name=Ada").out == '{"greeting": "Hello, Ada!"}\n'


def test_stages_are_side_by_side(shell, emulator, images):
    before = inventory(emulator)
    shell("init", "shop")
    project = shell.folder / "shop"
    toml = project / "firstlight.toml"
    toml.write_text('name = "shop"\n' + settings(emulator, images, "zip"))
    in_project = Shell(project, shell.variables)
    for stage in ((), ("--stage", "try")):
        in_project("deploy", "--yes", *stage)
        text = toml.read_text()
        if "[stage.try" not in text:
            toml.write_text(text + "\n[stage.try.deploy]\nlog_days = 3\n")
    assert sorted(one["stage"] for one in in_project("list", "--remote", "--json").json) == ["-", "try"]
    in_project("destroy", "--yes", "--stage", "try")
    assert in_project("invoke", "--remote", "hello", "name=Ada").out == '{"greeting": "Hello, Ada!"}\n'
    in_project("destroy", "--yes")
    assert inventory(emulator) == before
