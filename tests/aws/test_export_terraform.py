"""The export for Terraform: its language is right, it refers to nothing that is not there, and a provider takes it.

Where there is a ``terraform`` and a provider can be had (from the registry, from a mirror that TERRAFORM_PLUGINS names,
or from one below /opt), it validates the project. A provider older than 6.40 knows neither S3 Files nor two arguments,
and these are all that it may complain about.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from aws import exported
from firstlight.deploy import exports
from firstlight.deploy.exports.references import pieces
from firstlight.deploy.exports.terraform import hcl
from firstlight.deploy.exports.terraform.words import KINDS
from firstlight.deploy.types import Resource, Stack, Sub
from firstlight.runtime.errors import NotSupported

HCL = Path(__file__).resolve().parents[2] / ".venv-hcl/bin/python"
READ = """
import json, pathlib, sys
import hcl2
made = {}
for file in sorted(pathlib.Path(sys.argv[1]).glob("*.tf")):
    with file.open() as text:
        for kind, blocks in hcl2.load(text).items():
            made.setdefault(kind, []).extend(blocks)
print(json.dumps(made))
"""
NEWER = re.compile(
    r'An argument named "(response_transfer_mode|invoked_via_function_url)" is not expected here\.'
    r'|does not support resource type "aws_s3files_\w+"'
)
ENVIRONMENT = {key: value for key, value in os.environ.items() if not key.startswith("TF_")}


@dataclass(frozen=True)
class Exported:
    stack: Stack
    folder: Path

    def text(self) -> str:
        return "\n".join(file.read_text() for file in sorted(self.folder.glob("*.tf")))


@pytest.fixture(scope="module", params=exported.STACKS)
def project(request, tmp_path_factory):
    stack, folder = exported.STACKS[request.param](), tmp_path_factory.mktemp(request.param)
    exports.write(exports.render("terraform", stack), folder)
    return Exported(stack, folder)


def addresses(project: Exported) -> list[str]:
    """Every resource and everything looked up, as a parser of the language finds them."""
    done = subprocess.run([HCL, "-c", READ, project.folder], capture_output=True, text=True, check=True)
    made = json.loads(done.stdout)
    found = []
    for kind, prefix in (("resource", ""), ("data", "data.")):
        for block in made.get(kind, []):
            for type_, inner in block.items():
                found += [
                    prefix + f"{type_}.{name}".replace('"', "") for name in inner if name != "__is_block__"
                ]
    return found


def test_every_resource_is_there_once_and_nothing_else_is_referred_to(project):
    found = addresses(project)
    assert len(found) == len(set(found))
    for type_ in {one.type for one in project.stack.resources} - {"AWS::Lambda::Version"}:
        ours = [one for one in project.stack.resources if one.type == type_]
        theirs = [one for one in found if one.startswith(KINDS[type_].type + ".")]
        assert len(ours) == len(theirs), type_
    code = re.sub(r"^\s*#.*$", "", project.text(), flags=re.MULTILINE)
    named = set(re.findall(r"(?<![\w.\"/])((?:data\.)?(?:aws|archive)_\w+\.\w+)\.", code))
    assert named
    assert named <= set(found)


def test_nothing_that_a_resource_says_is_lost(project):
    text = project.text() + "".join(file.read_text() for file in project.folder.glob("*.py"))
    spaced = re.sub(r"\s+", " ", text.replace("$${", "${"))
    lost = set()
    for resource in project.stack.resources:
        if resource.type not in ("AWS::Lambda::Version", "AWS::CloudWatch::Dashboard"):
            for said in leaves(resource.properties):
                flat = re.sub(r"\s+", " ", str(said)).strip()
                if hcl.expression(said).strip('"') not in spaced and flat not in spaced:
                    lost.add((resource.id, said))
    # Arguments' names say the first four, a lookup the secret, and the version is the function's.
    known = re.compile(r"HASH|RANGE|EMAIL|SNS|\{\{resolve:secretsmanager:.*|\w+Version\w+")
    assert not {(name, said) for name, said in lost if not known.fullmatch(str(said))}


def leaves(value: object) -> Iterator[str | float]:
    """Texts and numbers of a value, without those that are references."""
    if isinstance(value, Mapping):
        for inner in value.values():
            yield from leaves(inner)
    elif isinstance(value, (list, tuple)):
        for inner in value:
            yield from leaves(inner)
    elif isinstance(value, Sub):
        yield from (re.sub(r"\s+", " ", one) for one in pieces(value) if isinstance(one, str))
    elif isinstance(value, (str, int, float)) and not isinstance(value, bool):
        yield value


def test_why_a_resource_is_there_stands_above_it(project):
    text = project.text()
    for resource in project.stack.resources:
        if resource.type != "AWS::Lambda::Version":
            assert f'# {resource.why}\nresource "{KINDS[resource.type].type}"' in text


def test_a_provider_takes_it(project, tmp_path):
    binary = shutil.which("terraform") or shutil.which("tofu")
    if binary is None:
        return  # parsed above
    folder = tmp_path / "project"
    shutil.copytree(project.folder, folder)
    done = subprocess.run(
        [binary, "fmt", "-check", "-diff"],
        cwd=folder,
        env=ENVIRONMENT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    if not prepared(binary, folder):
        return
    done = subprocess.run(
        [binary, "validate", "-json"],
        cwd=folder,
        env=ENVIRONMENT,
        capture_output=True,
        text=True,
        check=False,
    )
    said = json.loads(done.stdout)["diagnostics"]
    wrong = [
        f"{one['summary']}: {one['detail']} {one.get('snippet')}"
        for one in said
        if not NEWER.search(one["detail"])
    ]
    assert not wrong


def prepared(binary: str, folder: Path) -> bool:
    """Have the provider: that of the registry, or an older one of a mirror, with what it cannot know left out."""
    mirrors = [Path(os.environ["TERRAFORM_PLUGINS"])] if "TERRAFORM_PLUGINS" in os.environ else []
    mirrors += [place.parents[2] for place in Path("/opt").glob("*/registry.terraform.io/hashicorp/aws")]
    if not mirrors:
        done = subprocess.run(
            [binary, "init", "-backend=false"], cwd=folder, env=ENVIRONMENT, capture_output=True, check=False
        )
        return done.returncode == 0
    for file in folder.glob("*.tf"):
        text = file.read_text()
        text = text.replace('version = ">= 6.40"', 'version = ">= 5.0"').replace(
            "aws_region.current.region", "aws_region.current.name"
        )
        text = re.sub(r"\n    archive = \{.*?\n    \}\n", "\n", text, flags=re.DOTALL)
        text = re.sub(r'data "archive_file" .*?\n}\n', "", text, flags=re.DOTALL)
        file.write_text(re.sub(r"data\.archive_file\.\w+\.\w+", '"code.zip"', text))
    command = [binary, "init", "-backend=false", f"-plugin-dir={mirrors[0]}"]
    done = subprocess.run(command, cwd=folder, env=ENVIRONMENT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return True


def test_a_type_without_a_counterpart_is_said():
    stack = exported.plain()
    other = Resource("Other", "AWS::Ground::Station", {}, "other", "a test")
    with pytest.raises(NotSupported, match="AWS::Ground::Station"):
        exports.render("terraform", replace(stack, resources=(*stack.resources, other)))
