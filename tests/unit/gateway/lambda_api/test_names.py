from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from firstlight.gateway.lambda_api import names
from firstlight.gateway.lambda_api.errors import Violation
from firstlight.runtime.errors import InvalidInput

NAME = st.from_regex(r"[a-zA-Z0-9_-]{1,64}", fullmatch=True)
QUALIFIER = st.from_regex(r"\$LATEST|[a-zA-Z0-9_-]{1,32}", fullmatch=True)


@pytest.mark.parametrize(
    ("text", "arn"),
    [
        ("qa", "arn:aws:lambda:us-east-1:000000000000:function:qa"),
        ("qa:$LATEST", "arn:aws:lambda:us-east-1:000000000000:function:qa"),
        ("qa:prod", "arn:aws:lambda:us-east-1:000000000000:function:qa:prod"),
        ("function:qa", "arn:aws:lambda:us-east-1:000000000000:function:qa"),
        ("123456789012:function:qa", "arn:aws:lambda:us-east-1:123456789012:function:qa"),
        ("123456789012:qa", "arn:aws:lambda:us-east-1:123456789012:function:qa"),
        (
            "arn:aws:lambda:eu-west-1:123456789012:function:qa",
            "arn:aws:lambda:eu-west-1:123456789012:function:qa",
        ),
        (
            "arn:aws-us-gov:lambda:us-gov-west-1:123456789012:function:qa:7",
            "arn:aws-us-gov:lambda:us-gov-west-1:123456789012:function:qa:7",
        ),
    ],
)
def test_every_form_names_the_same_function(text: str, arn: str) -> None:
    function = names.parse(text)
    assert function.name == "qa"
    assert function.arn == arn


@given(NAME, QUALIFIER)
def test_names_and_qualifiers_come_back_as_they_went_in(name: str, qualifier: str) -> None:
    assert names.parse(name).name == name
    both = names.parse(f"arn:aws:lambda:us-east-1:123456789012:function:{name}:{qualifier}")
    assert (both.name, both.qualifier) == (name, qualifier)
    assert names.parse(name, qualifier).qualifier == qualifier


@given(st.text(max_size=200), st.none() | st.text(max_size=40))
def test_garbage_is_refused_and_never_breaks(text: str, qualifier: str | None) -> None:
    try:
        function = names.parse(text, qualifier)
    except InvalidInput:
        return
    assert re.fullmatch(r"[a-zA-Z0-9_.-]+", function.name)
    assert re.fullmatch(r"[a-zA-Z0-9_.$-]+", function.qualifier)


def test_two_qualifiers_have_to_agree() -> None:
    assert names.parse("qa:1", "1").qualifier == "1"
    with pytest.raises(InvalidInput, match="does not match the specified qualifier"):
        names.parse("qa:1", "2")


@pytest.mark.parametrize(
    "text", ["", "a b", "qa:", "a/b", "../x", "qa:$latest", "x" * 257, "qa\n", "arn:aws:s3:::b"]
)
def test_what_lambda_refuses_is_refused(text: str) -> None:
    with pytest.raises(InvalidInput, match="1 validation error detected"):
        names.parse(text)


def test_names_of_64_and_paths_of_256_characters_are_taken() -> None:
    assert names.parse("x" * 64).name == "x" * 64
    assert names.parse("x" * 256).name == "x" * 256


def test_all_that_is_wrong_is_said_at_once() -> None:
    with pytest.raises(Violation) as raised:
        names.parse("a b" + "x" * 300, "*" * 129)
    assert raised.value.message.startswith("4 validation errors detected: Value 'a bxxx")
    assert "less than or equal to 256" in raised.value.message
    assert "less than or equal to 128" in raised.value.message


@pytest.mark.parametrize("qualifier", ["1", "prod", "$LATEST", "$LATEST.PUBLISHED", "x" * 128])
def test_qualifiers(qualifier: str) -> None:
    function = names.parse("qa", qualifier)
    assert (function.qualifier, function.qualified) == (qualifier, True)
    assert function.with_qualifier.endswith(f":function:qa:{qualifier}")
