"""The CDK export deployed by the CDK's own command to the emulator, seen by our verbs, removed by the CDK again."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

from aws.cdk_tool import cdk

PROJECT = 'name = "handed-over"\n[deploy]\npackage = "zip"\narchitecture = "x86_64"\n'


@pytest.fixture
def project(tmp_path):
    (tmp_path / "inference").mkdir()
    (tmp_path / "inference/hello.py").write_text("def handler(event, context):\n    return {'got': event}\n")
    (tmp_path / "firstlight.toml").write_text(PROJECT)
    return tmp_path


@pytest.fixture
def verb(project, local_emulator):
    def run(*words: str) -> str:
        done = subprocess.run(
            [sys.executable, "-m", "firstlight", *words],
            cwd=project,
            env={**os.environ, **local_emulator.variables()},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    return run


def test_the_cdk_deploys_what_was_exported_and_our_verbs_know_it(project, verb, local_emulator):
    made = json.loads(verb("export", "cdk", "--send", "--json"))
    assert made["next"][-1] == "npx aws-cdk@2.1148.1 deploy"

    cdk(project / "cdk", "deploy", "--require-approval", "never", **local_emulator.variables())
    formation = local_emulator.client("cloudformation")
    (stack,) = formation.describe_stacks(StackName="firstlight-handed-over")["Stacks"]
    formation.close()
    assert stack["StackStatus"] == "CREATE_COMPLETE"
    assert {"Key": "firstlight:project", "Value": "handed-over"} in stack["Tags"]

    functions = local_emulator.client("lambda")
    found = functions.get_function(FunctionName="handed-over-hello", Qualifier="live")["Configuration"]
    functions.close()
    assert (found["Version"], found["PackageType"]) == ("1", "Zip")

    # What the CDK deployed is what `firstlight deploy` would: it may be handed over, and back.
    assert json.loads(verb("diff", "--json")) == {"stack": "firstlight-handed-over", "changes": []}

    cdk(project / "cdk", "destroy", "--force", **local_emulator.variables())
    verb("destroy", "--yes")
    formation = local_emulator.client("cloudformation")
    there = {stack["StackName"] for stack in formation.describe_stacks()["Stacks"]}
    formation.close()
    assert not {name for name in there if "handed-over" in name}
