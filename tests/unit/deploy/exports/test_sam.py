from __future__ import annotations

import tomllib

import pytest
import yaml

from aws import exported
from firstlight.deploy.exports import sam
from firstlight.deploy.exports.references import references
from firstlight.deploy.types import Att, Ref, Resource, Stack, Sub


class Loader(yaml.SafeLoader):
    """Reads CloudFormation's short forms."""


for tag in ("!Ref", "!GetAtt", "!Sub"):
    Loader.add_constructor(tag, lambda loader, node: {node.tag: node.value})


def resources(stack: Stack) -> dict[str, Resource]:
    return {resource.id: resource for resource in sam.transformed(stack).resources}


@pytest.mark.parametrize("name", ["everything", "efs"])
def test_nothing_refers_to_what_sam_names_itself(name):
    stack = sam.transformed(exported.STACKS[name]())
    there = {resource.id for resource in stack.resources}
    made = {
        f"{name}{end}"
        for name in there
        for end in ("Url", "Aliaslive", ".Alias", "Queue", "EventInvokeConfig")
    }
    for resource in stack.resources:
        wanted = {found.resource for found in references(resource.properties)} | set(resource.after)
        assert {one for one in wanted if not one.startswith("AWS::")} <= there | made
    for output in stack.outputs:
        wanted = {found.resource for found in references(output.value)}
        assert {one for one in wanted if not one.startswith("AWS::")} <= there | made


def test_a_function_is_written_with_all_that_is_its_own():
    given = resources(exported.everything())["BigModel9d0bFunction"]
    assert given.type == "AWS::Serverless::Function"
    assert given.properties["AutoPublishAlias"] == "live"
    assert given.properties["SnapStart"] == {"ApplyOn": "PublishedVersions"}
    assert given.properties["ImageUri"].startswith("123456789012.dkr.ecr.")
    assert (
        resources(exported.plain())["QaFunction"].properties["EventInvokeConfig"]["MaximumRetryAttempts"] == 2
    )


def test_destinations_come_after_the_functions_that_they_are():
    events = resources(exported.everything())["BigModel9d0bEvents"]
    assert {"QaFunctionAliaslive", "ImportFunctionAliaslive"} <= set(events.after)
    assert set(events.properties["DestinationConfig"]) == {"OnSuccess", "OnFailure"}


def test_the_router_has_its_url_and_the_jobs_their_queue():
    found = resources(exported.plain())
    assert found["RouterFunction"].properties["FunctionUrlConfig"] == {
        "AuthType": "AWS_IAM",
        "InvokeMode": "RESPONSE_STREAM",
    }
    assert set(found["RouterFunction"].properties["CodeUri"]) == {"Bucket", "Key"}
    queue = found["JobsFunction"].properties["Events"]["Queue"]
    assert (queue["Type"], queue["Properties"]["Queue"]) == ("SQS", Att("JobsQueue", "Arn"))


def test_a_function_with_what_sam_does_not_know_stays_as_it_is():
    odd = Resource("A", "AWS::Lambda::Function", {"Code": {"ImageUri": "x"}, "NewThing": 1}, "a", "odd")
    alias = Resource("B", "AWS::Lambda::Alias", {"FunctionName": Ref("A"), "Name": "live"}, "a", "alias")
    stack = Stack("demo", "demo", (odd, alias), ())
    assert sam.transformed(stack) == stack


def test_an_open_url_is_left_as_it_is_for_its_permissions():
    function = Resource("A", "AWS::Lambda::Function", {"Code": {"ZipFile": "x"}}, "a", "a function")
    alias = Resource("B", "AWS::Lambda::Alias", {"FunctionName": Ref("A"), "Name": "live"}, "a", "alias")
    settings = {"TargetFunctionArn": Ref("A"), "Qualifier": "live", "AuthType": "NONE"}
    url = Resource("C", "AWS::Lambda::Url", settings, "a", "a URL", after=("B",))
    found = resources(Stack("demo", "demo", (function, alias, url), ()))
    assert found["C"].after == ("AAliaslive",)
    assert found["A"].properties["InlineCode"] == "x"


def test_texts_take_the_names_that_are_there_in_the_end():
    function = Resource("A", "AWS::Lambda::Function", {"Code": {"ZipFile": "x"}}, "a", "a function")
    alias = Resource("B", "AWS::Lambda::Alias", {"FunctionName": Ref("A"), "Name": "live"}, "a", "alias")
    text = {"Text": Sub("${!Kept} ${B} ${A.Arn}"), "One": Ref("B")}
    found = resources(
        Stack("demo", "demo", (function, alias, Resource("D", "AWS::X::Y", text, "a", "x")), ())
    )
    assert found["D"].properties == {"Text": Sub("${!Kept} ${AAliaslive} ${A.Arn}"), "One": Ref("A.Alias")}


def test_the_files_can_be_read():
    files = sam.render(exported.everything())
    document = yaml.load(files["template.yaml"], Loader)
    assert document["Transform"] == sam.TRANSFORM
    settings = tomllib.loads(files["samconfig.toml"])["default"]["deploy"]["parameters"]
    assert settings["stack_name"] == "firstlight-demo"
    assert settings["image_repository"] == "123456789012.dkr.ecr.eu-central-1.amazonaws.com/firstlight/demo"
    assert settings["resolve_s3"] is True
    assert "image_repository" in sam.render(exported.plain())["samconfig.toml"]
