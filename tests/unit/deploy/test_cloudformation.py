from __future__ import annotations

import json
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

import stacks
from firstlight.deploy import cloudformation
from firstlight.deploy.types import Att, Output, Ref, Resource, Stack, Sub
from firstlight.project.types import Endpoint, Front


class Loader(yaml.SafeLoader):
    """Reads the short forms of CloudFormation's functions."""


def _short(loader: Loader, suffix: str, node: Any) -> Any:
    text = loader.construct_scalar(node)
    if suffix == "Ref":
        return {"Ref": text}
    return {"Fn::GetAtt": text.split(".", 1)} if suffix == "GetAtt" else {f"Fn::{suffix}": text}


Loader.add_multi_constructor("!", _short)


def of(properties: Any) -> Stack:
    resource = Resource("One", "AWS::X::Y", {"Value": properties}, "part", "why", after=("Two",), keep=True)
    return Stack("name", "description: of a stack", (resource,), (Output("Out", Ref("One"), "what"),))


def read_yaml(stack: Stack) -> Any:
    return yaml.load(cloudformation.render(stack)["template.yaml"], Loader)


scalars = st.text(max_size=20) | st.integers(-(10**9), 10**9) | st.booleans()
references = st.sampled_from([Ref("One"), Ref("AWS::Region"), Att("One", "Arn"), Sub("a-${One.Arn}: #b")])
values = st.recursive(
    scalars | references,
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(min_size=1, max_size=8), inner, max_size=3)
    ),
    max_leaves=8,
)


@settings(max_examples=50)
@given(values)
def test_the_yaml_says_what_the_json_says(value: Any) -> None:
    stack = of(value)
    assert read_yaml(stack) == json.loads(cloudformation.text(stack))


@pytest.mark.parametrize(
    "value", ["yes", "Null", "0123", "1e3", "a: b", "- a", "# a", "", " a", "a\nb\n", "a\n\n b", "{{x}}"]
)
def test_text_stays_text_in_yaml(value: str) -> None:
    assert read_yaml(of(value))["Resources"]["One"]["Properties"]["Value"] == value


@settings(max_examples=50)
@given(values)
def test_what_is_read_back_is_what_was_written(value: Any) -> None:
    assert cloudformation.plain(cloudformation.read(cloudformation.plain(value))) == cloudformation.plain(
        value
    )


def test_a_whole_stack_is_the_same_in_both() -> None:
    endpoint = Endpoint("mood", model="m", route="/mood", front=Front("http", "none"))
    stack = stacks.stack(stacks.project(endpoint, budget=5.0, kill_switch=True, public=True, api="rest"))
    assert read_yaml(stack) == cloudformation.template(stack)


def test_comments_say_why_and_parts_have_headings() -> None:
    text = cloudformation.render(stacks.stack(stacks.project()))["template.yaml"]
    assert "\n  # ---- mood ----\n" in text
    assert "\n  # nobody reaches the queue without TLS\n  JobsQueuePolicy:\n" in text


def test_what_is_kept_and_what_comes_after() -> None:
    made = cloudformation.template(of("x"))["Resources"]["One"]
    assert made["DeletionPolicy"] == "RetainExceptOnCreate"
    assert made["DependsOn"] == ["Two"]


def test_a_small_stack_fits_into_a_request() -> None:
    body = cloudformation.text(stacks.stack(stacks.project()))
    assert cloudformation.fits(body)
    assert not cloudformation.fits("x" * 51_201)


def test_the_readme_names_the_stack_and_its_tags() -> None:
    readme = cloudformation.render(stacks.stack(stacks.project()))["README.md"]
    assert "--stack-name firstlight-lyrics" in readme
    assert "firstlight:project=lyrics" in readme
