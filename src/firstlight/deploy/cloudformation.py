"""A stack as CloudFormation's template: JSON for deploying, YAML with comments for owning."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from firstlight.deploy.types import Att, Output, Ref, Resource, Stack, Sub, Value

VERSION = "2010-09-09"
_BODY_LIMIT = 51_200
"""Bytes of a template in a request; larger ones are read from a bucket."""


def template(stack: Stack) -> dict[str, Any]:
    """The template as CloudFormation reads it."""
    return {
        "AWSTemplateFormatVersion": VERSION,
        "Description": stack.description,
        "Resources": {resource.id: _resource(resource) for resource in stack.resources},
        "Outputs": {output.name: _output(output) for output in stack.outputs},
    }


def text(stack: Stack) -> str:
    """The template as JSON without spaces: a request takes 51,200 bytes of it, a bucket a million."""
    return json.dumps(template(stack), separators=(",", ":"), ensure_ascii=False)


def fits(body: str) -> bool:
    """Whether a template can be sent in the request itself."""
    return len(body.encode()) <= _BODY_LIMIT


def plain(value: Value) -> Any:
    """A value of the graph as the template has it."""
    if isinstance(value, Ref):
        return {"Ref": value.resource}
    if isinstance(value, Att):
        return {"Fn::GetAtt": [value.resource, value.name]}
    if isinstance(value, Sub):
        return {"Fn::Sub": value.text}
    if isinstance(value, Mapping):
        return {key: plain(inner) for key, inner in value.items()}
    if isinstance(value, Sequence) and not isinstance(value, str):
        return [plain(inner) for inner in value]
    return value


def read(value: Any) -> Any:
    """A value of a template as the graph has it: what ``plain`` undoes."""
    if isinstance(value, Mapping):
        if len(value) == 1:
            (key, inner), *_ = value.items()
            if key == "Ref":
                return Ref(inner)
            if key == "Fn::Sub" and isinstance(inner, str):
                return Sub(inner)
            if key == "Fn::GetAtt":
                return Att(*(inner if isinstance(inner, list) else inner.split(".", 1)))
        return {key: read(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [read(inner) for inner in value]
    return value


def render(stack: Stack) -> dict[str, str]:
    """The template as a folder somebody may own: ``template.yaml`` with comments, and how to deploy it.

    Returns:
        Path -> text.
    """
    from firstlight.deploy.yaml_text import document

    return {"template.yaml": document(stack), "README.md": _readme(stack)}


def _resource(resource: Resource) -> dict[str, Any]:
    made: dict[str, Any] = {"Type": resource.type}
    if resource.after:
        made["DependsOn"] = sorted(resource.after)
    if resource.keep:
        # A stack that could not be made leaves nothing behind, not even what is kept otherwise.
        made["DeletionPolicy"] = "RetainExceptOnCreate"
        made["UpdateReplacePolicy"] = "Retain"
    made["Properties"] = plain(resource.properties)
    return made


def _output(output: Output) -> dict[str, Any]:
    return {"Description": output.description, "Value": plain(output.value)}


def _readme(stack: Stack) -> str:
    tags = " ".join(f"{key}={value}" for key, value in stack.tags.items())
    return f"""# {stack.name}

{stack.description}

`template.yaml` is all of it. The code of its functions is referred to by digest (`ImageUri`) and by key (`S3Key`):
the images and zip files it names must be there before it is deployed.

    aws cloudformation deploy --stack-name {stack.name} --template-file template.yaml \\
      --capabilities CAPABILITY_IAM --tags {tags}

A template of more than 51,200 bytes also needs `--s3-bucket BUCKET`.

    aws cloudformation delete-stack --stack-name {stack.name}

deletes it. Resources with `DeletionPolicy: RetainExceptOnCreate` hold what users would miss and stay.

An update: give the function new code, and add an `AWS::Lambda::Version` beside the present one (a version never
changes). Once the new version answers, let `FunctionVersion` of the alias lead to it.
"""
