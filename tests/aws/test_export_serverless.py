"""The export for the Serverless Framework under osls: what it packages is our template, resource by resource."""

from __future__ import annotations

import io
import json
import os
import subprocess
import zipfile
from dataclasses import replace
from pathlib import Path

import pytest

from aws import exported
from firstlight.deploy import exports
from firstlight.deploy.cloudformation import template
from firstlight.deploy.exports.serverless import renamed
from firstlight.deploy.types import Stack
from parts.emulator import Emulator

OSLS = Path(__file__).resolve().parents[2] / ".venv-osls/node_modules/.bin/osls"
VARIABLES = "x ${env:HOME} ${self:service} ${a} ${opt:x, 3} ${AWS::Region} \\ ${cf(us-east-1):x}"


def packaged(stack: Stack, folder: Path) -> dict:
    """The template that osls makes; wrong settings are errors (``configValidationMode``)."""
    exports.write(exports.render("serverless", stack), folder)
    done = subprocess.run(
        [OSLS, "package"],
        cwd=folder,
        env={**os.environ, "AWS_REGION": "eu-central-1", "SLS_NOTIFICATIONS_MODE": "off"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Warning" not in done.stdout + done.stderr
    return json.loads((folder / ".serverless/cloudformation-template-update-stack.json").read_text())


def without_roles(resources: dict) -> dict:
    """The framework has functions come after the roles they refer to, which CloudFormation does by itself."""
    for resource in resources.values():
        role = resource.get("Properties", {}).get("Role", {})
        after = resource.get("DependsOn", [])
        if isinstance(role, dict) and "Fn::GetAtt" in role:
            after = [other for other in after if other != role["Fn::GetAtt"][0]]
        resource["DependsOn"] = sorted(after)
    return resources


@pytest.mark.parametrize("name", exported.STACKS)
def test_what_is_packaged_is_our_template(name: str, tmp_path: Path) -> None:
    stack = exported.STACKS[name]()
    made, ours = packaged(stack, tmp_path), template(renamed(stack))
    assert without_roles(made["Resources"]) == without_roles(ours["Resources"])
    made["Outputs"].pop("ServerlessDeploymentBucketName")
    assert made["Outputs"] == ours["Outputs"]


def test_what_looks_like_a_variable_of_the_framework_is_text(tmp_path: Path) -> None:
    stack = exported.plain()
    function = stack.resource("QaFunction")
    changed = replace(
        function, properties={**function.properties, "Environment": {"Variables": {"A": VARIABLES}}}
    )
    resources = tuple(changed if one is function else one for one in stack.resources)
    made = packaged(replace(stack, resources=resources), tmp_path)
    assert made["Resources"]["QaLambdaFunction"]["Properties"]["Environment"] == {
        "Variables": {"A": VARIABLES}
    }


def test_it_is_deployed_and_removed(local_emulator: Emulator, tmp_path: Path) -> None:
    stack = exported.plain()
    exports.write(exports.render("serverless", stack), tmp_path)
    keys = [one.properties["Code"] for one in stack.resources if one.type == "AWS::Lambda::Function"]
    store = local_emulator.client("s3")
    bucket = next(code["S3Bucket"] for code in keys if "S3Bucket" in code)
    store.create_bucket(Bucket=bucket)
    for code in keys:
        if "S3Key" in code:
            store.put_object(Bucket=bucket, Key=code["S3Key"], Body=answering())
    environment = {**os.environ, **local_emulator.variables(), "SLS_NOTIFICATIONS_MODE": "off"}

    def osls(verb: str) -> None:
        done = subprocess.run(
            [OSLS, verb], cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr

    functions = local_emulator.client("lambda")
    osls("deploy")
    answer = functions.invoke(FunctionName="demo-router:live", Payload=b'{"a": 1}')
    assert json.load(answer["Payload"]) == {"asked": {"a": 1}}
    osls("remove")
    names = {one["FunctionName"] for one in functions.list_functions()["Functions"]}
    assert not any(name.startswith("demo-") for name in names)


def answering() -> bytes:
    """A zip with the router's handler, which answers what it was asked."""
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w") as archive:
        for package in ("firstlight", "firstlight/gateway"):
            archive.writestr(f"{package}/__init__.py", "")
        code = "def handler(event, context):\n    return {'asked': event}\n\n\njobs = handler\n"
        archive.writestr("firstlight/gateway/aws.py", code)
    return made.getvalue()


def test_functions_of_images_are_functions() -> None:
    stack = exported.plain()
    text = exports.render("serverless", stack)["serverless.yml"]
    why = stack.resource("QaFunction").why
    assert f"\nfunctions:\n\n  # {why}\n  qa:\n    name: demo-qa\n" in text
    assert text.count("AWS::Lambda::Function\n") == 3  # zip files: the framework would want them here
