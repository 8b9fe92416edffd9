from __future__ import annotations

import json

import pytest
import yaml

from aws import exported
from firstlight.deploy import templates
from firstlight.deploy.cloudformation import render, template, text


@pytest.mark.parametrize("name", ["everything", "s3files"])
def test_our_own_templates_are_read_as_they_are(name):
    stack = exported.STACKS[name]()
    assert templates.read(text(stack)) == template(stack)
    assert templates.read(template(stack)) == template(stack)


def test_the_template_that_is_exported_is_the_same():
    stack = exported.plain()
    assert templates.read(render(stack)["template.yaml"]) == template(stack)


def test_what_the_cdk_writes_otherwise_is_the_same():
    written = {
        "Type": "AWS::IAM::Role",
        "DependsOn": "Table",
        "Metadata": {"aws:cdk:path": "x"},
        "Properties": {
            "Name": {
                "Fn::Join": ["", ["${a}-", {"Ref": "AWS::Region"}, "-", {"Fn::GetAtt": ["Table", "Arn"]}]]
            },
            "Other": {"Fn::GetAtt": "Table.Arn"},
            "Joined": {"Fn::Join": [",", ["a", "b"]]},
            "Statement": {"Effect": "Allow", "Action": "a:B", "Resource": "*"},
        },
    }
    document = {"Resources": {"Role": written}, "Outputs": {"A": {"Value": {"Ref": "Role"}}}}
    for body in (document, json.dumps(document), yaml.safe_dump(document)):
        found = templates.read(body)
        assert found["Outputs"] == document["Outputs"]
        assert found["Resources"]["Role"] == {
            "Type": "AWS::IAM::Role",
            "DependsOn": ["Table"],
            "Properties": {
                "Name": {"Fn::Sub": "${!a}-${AWS::Region}-${Table.Arn}"},
                "Other": {"Fn::GetAtt": ["Table", "Arn"]},
                "Joined": {"Fn::Join": [",", ["a", "b"]]},
                "Statement": {"Effect": "Allow", "Action": ["a:B"], "Resource": ["*"]},
            },
        }


@pytest.mark.parametrize(
    "body", ["", "{", "- a: [", "Resources: 1", "just text", "!Ref Thing", "[]", "\ud7ff: {"]
)
def test_what_is_no_template_is_empty(body):
    assert templates.read(body) == {}
