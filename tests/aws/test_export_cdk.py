"""The CDK export under the CDK itself: what it synthesizes is our template, and cdk-nag has nothing left to say."""

from __future__ import annotations

import json
import re
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest

from aws import cdk_shapes, cdk_tool, exported, templates
from firstlight.deploy import exports
from firstlight.deploy import templates as reading
from firstlight.deploy.cloudformation import template
from firstlight.deploy.exports.cdk.shapes import word
from firstlight.deploy.types import Stack


@dataclass(frozen=True)
class Synthesized:
    stack: Stack
    folder: Path
    done: subprocess.CompletedProcess[str]

    def made(self) -> dict:
        return json.loads((self.folder / f"cdk.out/{self.stack.name}.template.json").read_text())

    def report(self) -> dict:
        return json.loads((self.folder / "cdk.out/validation-report.json").read_text())


def synthesize(folder: Path) -> subprocess.CompletedProcess[str]:
    return cdk_tool.run(folder, "synth", "--quiet")


@pytest.fixture(scope="module", params=exported.STACKS)
def synthesized(request, tmp_path_factory):
    stack, folder = exported.STACKS[request.param](), tmp_path_factory.mktemp(request.param)
    exports.write(exports.render("cdk", stack), folder)
    return Synthesized(stack, folder, synthesize(folder))


def test_synthesis_gives_our_template_resource_by_resource(synthesized):
    assert synthesized.done.returncode == 0, synthesized.done.stdout + synthesized.done.stderr
    ours, made = template(synthesized.stack), synthesized.made()
    assert templates.canonical(made) == templates.canonical(ours)
    assert templates.outputs(made) == templates.outputs(ours)
    assert made["Description"] == ours["Description"]
    assert set(made) == {"Description", "Resources", "Outputs"}


def test_what_the_cdk_deploys_is_read_as_what_we_deploy(synthesized):
    assert reading.read(synthesized.made())["Resources"] == template(synthesized.stack)["Resources"]


def test_every_resource_is_one_of_the_cdks_own_classes(synthesized):
    parts = "".join(file.read_text() for file in (synthesized.folder / "parts").glob("*.py"))
    assert "cdk.CfnResource(" not in parts
    assert len(re.findall(r"= (?:\w+\.Cfn\w+|iam\.Role)\(", parts)) == len(synthesized.stack.resources)


def test_cdk_nag_has_nothing_that_is_not_acknowledged(synthesized):
    plugins = {plugin["pluginName"]: plugin for plugin in synthesized.report()["pluginReports"]}
    assert plugins["AwsSolutions"]["conclusion"] == "success"
    assert not [one for plugin in plugins.values() for one in plugin["violations"]]


def test_what_is_not_acknowledged_stops_the_synthesis(tmp_path):
    stack = exported.STACKS["plain"]()
    files = dict(exports.render("cdk", stack))
    records = files["parts/jobs.py"]
    files["parts/jobs.py"] = re.sub(
        r"\n        cdk\.Validations\.of\(.*?\n        \)", "", records, flags=re.DOTALL
    )
    assert files["parts/jobs.py"] != records
    exports.write(files, tmp_path)
    done = synthesize(tmp_path)
    assert done.returncode != 0
    assert "AwsSolutions-IAM5[Resource::<JobsTable.Arn>/index/*]" in done.stdout + done.stderr


def test_the_classes_that_are_known_are_those_of_the_library():
    found, words = cdk_shapes.shapes(cdk_shapes.library())
    assert cdk_shapes.SHAPES.read_text() == cdk_shapes.text(found)
    spelled = {key: re.sub(r"(?<=[a-z0-9])([A-Z])", r"_\1", camel).lower() for key, camel in words.items()}
    assert {key: word(key).rstrip("_") for key in spelled} == spelled
