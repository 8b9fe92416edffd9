from __future__ import annotations

import pytest

from firstlight.deploy.details import HIDDEN, NOTHING, Detail, differing, of_change
from firstlight.deploy.types import Change, Resource, Stack


def variables(**values):
    return {"Environment": {"Variables": values}}


@pytest.mark.parametrize(
    ("old", "new", "found"),
    [
        ({"MemorySize": 512}, {"MemorySize": 1024}, [("MemorySize", "512", "1024")]),
        ({}, {"Tracing": "Active"}, [("Tracing", NOTHING, "Active")]),
        ({"Tags": ["a", "b"]}, {"Tags": ["a", "c"]}, [("Tags.1", "b", "c")]),
        ({"Tags": ["a"]}, {"Tags": ["a", "c"]}, [("Tags", '["a"]', '["a", "c"]')]),
        (
            {"FunctionVersion": {"Fn::GetAtt": ["V1", "Version"]}},
            {"FunctionVersion": {"Fn::GetAtt": ["V2", "Version"]}},
            [("FunctionVersion", "${V1.Version}", "${V2.Version}")],
        ),
        ({"Role": {"Ref": "One"}}, {"Role": "two"}, [("Role", "${One}", "two")]),
        ({"Same": {"a": 1}}, {"Same": {"a": 1}}, []),
    ],
)
def test_each_value_that_differs_is_told(old, new, found):
    assert list(differing(old, new)) == [Detail(*one) for one in found]


@pytest.mark.parametrize(
    ("name", "old", "new", "said"),
    [
        ("TOKEN", "s3cret", "s4cret", (HIDDEN, HIDDEN)),
        ("TOKEN", None, "s4cret", (NOTHING, HIDDEN)),
        ("FIRSTLIGHT_STAGE", "", "live", ("", "live")),
        (
            "TOKEN",
            "s3cret",
            "{{resolve:secretsmanager:t:SecretString}}",
            (HIDDEN, "{{resolve:secretsmanager:t:SecretString}}"),
        ),
    ],
)
def test_variables_of_the_user_may_be_secrets(name, old, new, said):
    before = variables(**({} if old is None else {name: old}))
    (found,) = differing(before, variables(**{name: new}))
    assert (found.path, found.before, found.after) == (f"Environment.Variables.{name}", *said)


def test_a_long_value_is_cut():
    (found,) = differing({"Body": "x" * 500}, {"Body": "y"})
    assert len(found.before) < 200
    assert found.before.endswith("...")


def test_the_details_of_a_change_come_from_the_stack_that_has_the_resource():
    resource = Resource("Mood", "AWS::Lambda::Function", {"Timeout": 9}, "mood", "why", after=("Role",))
    stacks = [Stack("a", "", (), ()), Stack("b", "", (resource,), ())]
    before = {"Resources": {"Mood": {"Type": "AWS::Lambda::Function", "Properties": {"Timeout": 3}}}}
    found = of_change(Change("Modify", "Mood", resource.type), before, *stacks)
    assert found == (Detail("Timeout", "3", "9"), Detail("DependsOn", NOTHING, '["Role"]'))
    assert of_change(Change("Add", "New", resource.type), before, *stacks) == ()
