"""The SAM export under SAM: it is valid, and what SAM makes of it is our template but for the names that SAM gives."""

from __future__ import annotations

import json
import os
import re
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest

from aws import exported, templates
from firstlight.deploy import exports
from firstlight.deploy.cloudformation import template
from firstlight.deploy.types import Stack

SAM = Path(__file__).resolve().parents[2] / ".venv-sam"
ENVIRONMENT = {**os.environ, "AWS_DEFAULT_REGION": "eu-central-1", "SAM_CLI_TELEMETRY": "0"}
TRANSFORMED = """
import json, sys
from samtranslator.translator.transform import transform
from samtranslator.yaml_helper import yaml_parse
class NoPolicies:
    def load(self):
        return {}
print(json.dumps(transform(yaml_parse(open(sys.argv[1]).read()), {}, NoPolicies())))
"""


@dataclass(frozen=True)
class Application:
    stack: Stack
    folder: Path


@pytest.fixture(scope="module", params=exported.STACKS)
def application(request, tmp_path_factory):
    stack, folder = exported.STACKS[request.param](), tmp_path_factory.mktemp(request.param)
    exports.write(exports.render("sam", stack), folder)
    return Application(stack, folder)


def test_sam_finds_nothing_wrong(application):
    done = subprocess.run(
        [SAM / "bin/sam", "validate", "--lint"],
        cwd=application.folder,
        env=ENVIRONMENT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "is a valid SAM Template" in done.stdout


def test_what_sam_makes_of_it_is_our_template(application):
    done = subprocess.run(
        [SAM / "bin/python", "-c", TRANSFORMED, application.folder / "template.yaml"],
        env=ENVIRONMENT,
        capture_output=True,
        text=True,
        check=True,
    )
    ours, made = template(application.stack), json.loads(done.stdout)
    ours = json.loads(filled(json.dumps(ours)))
    made = json.loads(filled(json.dumps(made)))
    names = theirs_to_ours(templates.canonical(made), templates.canonical(ours))
    renamed = json.loads(re.sub(r"\w+", lambda word: names.get(word[0], word[0]), json.dumps(made)))
    assert without_sams(templates.canonical(renamed)) == without_sams(templates.canonical(ours))
    assert templates.outputs(renamed) == templates.outputs(ours)


def test_functions_are_sams(application):
    text = (application.folder / "template.yaml").read_text()
    functions = [one for one in application.stack.resources if one.type == "AWS::Lambda::Function"]
    assert text.count("Type: AWS::Serverless::Function") == len(functions)
    for kind in ("Version", "Alias", "EventSourceMapping"):
        assert f"Type: AWS::Lambda::{kind}\n" not in text
    going = [one for one in application.stack.resources if "DestinationConfig" in one.properties]
    assert text.count("Type: AWS::Lambda::EventInvokeConfig") == len(going)


def filled(text: str) -> str:
    """SAM fills in the region and the partition in some places, as CloudFormation would in all."""
    return text.replace("${AWS::Region}", "eu-central-1").replace("${AWS::Partition}", "aws")


def theirs_to_ours(made: dict, ours: dict) -> dict[str, str]:
    """What SAM called the resources that it makes of a function's properties -> what they are called here."""
    places = {place(resource, ours): name for name, resource in ours.items() if place(resource, ours)}
    return {
        name: places[place(resource, made)]
        for name, resource in made.items()
        if name not in ours and place(resource, made) in places
    }


def place(resource: dict, there: dict) -> tuple[str, str] | None:
    """Type and function of a version, an alias, a URL and the like."""
    given = resource["Properties"]
    if not resource["Type"].startswith("AWS::Lambda::") or resource["Type"] == "AWS::Lambda::Permission":
        return None
    name = str(given.get("FunctionName") or given.get("TargetFunctionArn", "")).strip("${}")
    if name in there and there[name]["Type"] == "AWS::Lambda::Alias":
        name = there[name]["Properties"]["FunctionName"].strip("${}")
    return (resource["Type"], name) if name in there else None


def without_sams(resources: dict) -> dict:
    """Resources in one spelling where SAM's differs: it tags, writes defaults, and orders by references alone."""
    aliases = {
        (one["Properties"]["FunctionName"], one["Properties"]["Name"]): f"${{{name}}}"
        for name, one in resources.items()
        if one["Type"] == "AWS::Lambda::Alias"
    }
    for resource in resources.values():
        given = resource["Properties"]
        tags = [tag for tag in given.pop("Tags", []) if tag != {"Key": "lambda:createdBy", "Value": "SAM"}]
        if tags:
            given["Tags"] = tags
        if resource.get("DeletionPolicy") == "Delete":
            del resource["DeletionPolicy"]
        if given.get("DestinationConfig") == {}:
            del given["DestinationConfig"]
        if resource["Type"] == "AWS::Lambda::Alias":
            given.pop("Description", None)  # names the version, as SAM cannot
        if resource["Type"] == "AWS::Lambda::Url" and "Qualifier" in given:
            given["TargetFunctionArn"] = aliases[given["TargetFunctionArn"], given.pop("Qualifier")]
        referred = set(re.findall(r"\$\{(\w+)", json.dumps(given)))
        qualified = aliases.get((given.get("FunctionName"), given.get("Qualifier")), "").strip("${}")
        resource["DependsOn"] = [one for one in resource["DependsOn"] if one not in {*referred, qualified}]
    return resources
