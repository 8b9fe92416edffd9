import json
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from firstlight.runtime import tasks
from firstlight.runtime.errors import InvalidInput
from firstlight.runtime.tasks import checks

SCHEMA = {
    "properties": {
        "count": {"type": "integer", "minimum": 1, "maximum": 9, "default": 5},
        "share": {"type": "number", "minimum": 0},
        "way": {"type": "string", "enum": ["left", "right"], "default": "left"},
        "sure": {"type": "boolean", "default": False},
        "top": {"type": ["integer", "null"], "minimum": 1},
        "labels": {"type": ["array", "string"], "items": {"type": "string", "minLength": 1}, "minItems": 1},
    }
}

JSONS = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=6,
)


def check(given):
    return checks.parameters("counting", SCHEMA, given)


def test_defaults_are_filled_in():
    assert check(None) == check({}) == {"count": 5, "way": "left", "sure": False}


def test_null_is_not_given_unless_the_schema_knows_it():
    assert check({"count": None, "top": None}) == {"count": 5, "way": "left", "sure": False, "top": None}


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"cuont": 1}, "counting has no parameter 'cuont'"),
        ({"count": 0}, "parameter 'count' must be a whole number from 1 to 9, got 0"),
        ({"count": 10}, "parameter 'count' must be a whole number from 1 to 9, got 10"),
        ({"count": 1.5}, "parameter 'count' must be a whole number from 1 to 9, got 1.5"),
        ({"count": True}, "parameter 'count' must be a whole number from 1 to 9, got True"),
        ({"count": "5"}, "parameter 'count' must be a whole number from 1 to 9, got '5'"),
        ({"share": float("nan")}, "parameter 'share' must be a number of at least 0, got nan"),
        ({"share": float("inf")}, "parameter 'share' must be a number of at least 0, got inf"),
        ({"way": "up"}, "parameter 'way' must be one of left, right, got 'up'"),
        ({"sure": 1}, "parameter 'sure' must be true or false, got 1"),
        ({"top": 0}, "parameter 'top' must be a whole number or null of at least 1, got 0"),
        ({"labels": []}, "parameter 'labels' must be a list or a string that is not empty, got a list"),
        ({"labels": ["a", ""]}, "parameter 'labels'[1] must be a string that is not empty, got ''"),
        ({"labels": ["a", 3]}, "parameter 'labels'[1] must be a string that is not empty, got 3"),
        ([1], "parameters must be an object, got a list"),
        ("top_k=3", "parameters must be an object, got a string"),
    ],
)
def test_a_refusal_names_the_parameter(given, message):
    with pytest.raises(InvalidInput) as refused:
        check(given)
    assert refused.value.message == message


def test_an_unknown_parameter_gets_the_known_ones():
    with pytest.raises(InvalidInput) as refused:
        check({"cuont": 1})
    assert refused.value.hint == "it takes: count, labels, share, sure, top, way"


def test_a_long_value_is_not_repeated_in_full():
    with pytest.raises(InvalidInput) as refused:
        check({"way": "x" * 10_000})
    assert len(refused.value.message) < 120


@given(JSONS, JSONS)
def test_anything_is_taken_or_refused_in_words(inputs, parameters):
    for outcome in (lambda: check(parameters), lambda: checks.texts(inputs)):
        with suppress(InvalidInput):
            outcome()


def test_texts_one_or_several():
    assert checks.texts("a") == (["a"], True)
    assert checks.texts(["a", ""]) == (["a", ""], False)


@pytest.mark.parametrize(
    ("inputs", "message"),
    [
        (None, "inputs must be a string or a list of strings, got null"),
        (3, "inputs must be a string or a list of strings, got a whole number"),
        ({}, "inputs must be a string or a list of strings, got an object"),
        ([], "inputs is an empty list"),
        (["a", 3], "inputs[1] must be a string, got a whole number"),
    ],
)
def test_texts_of_other_types(inputs, message):
    with pytest.raises(InvalidInput) as refused:
        checks.texts(inputs)
    assert refused.value.message == message


@pytest.mark.parametrize("name", tasks.names())
def test_every_task_has_a_schema_without_a_bundle(name):
    schema = tasks.schema(name)
    assert {"inputs", "parameters", "output", "example"} <= set(schema)
    assert schema["parameters"]["additionalProperties"] is False
    json.dumps(schema)
    example = schema["example"]
    checks.parameters(name, schema["parameters"], example.get("parameters"))
    for described in schema["parameters"]["properties"].values():
        assert described["description"]


def test_names_and_aliases():
    assert "echo" not in tasks.names()
    assert tasks.canonical("sentiment-analysis") == "text-classification"
    assert tasks.canonical("ner") == "token-classification"
    assert tasks.canonical("translation_en_to_fr") == "translation"
    with pytest.raises(InvalidInput) as refused:
        tasks.canonical("sentiment")
    assert refused.value.message == "there is no task 'sentiment'"
    assert "text-classification" in refused.value.hint
