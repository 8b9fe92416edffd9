"""What a model is asked, out of the JSON that clients of several services send."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from firstlight.runtime import request
from firstlight.runtime.errors import InvalidInput

JSON = st.recursive(
    st.none() | st.booleans() | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)
KEYS = st.sampled_from([*request._KNOWN, "other"])


@pytest.mark.parametrize(
    ("payload", "inputs", "parameters"),
    [
        ({"inputs": "a"}, "a", {}),
        ({"inputs": ["a", "b"], "parameters": {"top_k": 2}}, ["a", "b"], {"top_k": 2}),
        ({"inputs": None, "parameters": None}, None, {}),
        ({"text": "what a lovely day"}, "what a lovely day", {}),
        ({"text": "a", "parameters": {"top_k": 1}}, "a", {"top_k": 1}),
        ({"question": "q", "context": "c"}, {"question": "q", "context": "c"}, {}),
        ({"question": "q"}, {"question": "q"}, {}),
        ({"inputs": {"question": "q", "context": "c"}}, {"question": "q", "context": "c"}, {}),
        ({"inputs": "a", "options": {"wait_for_model": True}}, "a", {}),
        ({"inputs": "a", "normalize": True, "truncate": None}, "a", {"normalize": True}),
        ({"inputs": "a", "normalize": True, "parameters": {"normalize": False}}, "a", {"normalize": False}),
    ],
)
def test_requests(payload: dict, inputs: object, parameters: dict) -> None:
    asked = request.read(payload)
    assert (asked.inputs, asked.parameters, asked.answer("x")) == (inputs, parameters, "x")


@pytest.mark.parametrize(
    ("instances", "inputs"),
    [
        (["a", "b"], ["a", "b"]),
        ([{"inputs": "a"}, {"text": "b"}], ["a", "b"]),
        ([{"question": "q", "context": "c"}], [{"question": "q", "context": "c"}]),
        ([], []),
    ],
)
def test_vertex_instances_become_predictions(instances: list, inputs: list) -> None:
    asked = request.read({"instances": instances, "parameters": {"top_k": 1}})
    assert (asked.inputs, asked.parameters) == (inputs, {"top_k": 1})
    assert asked.answer([1]) == {"predictions": [1]}


@pytest.mark.parametrize(
    ("payload", "message"),
    [
        ("text", "a request is a JSON object, not a string"),
        (None, "a request is a JSON object, not null"),
        ([1], "a request is a JSON object, not a list"),
        (True, "a request is a JSON object, not true or false"),
        (1.5, "a request is a JSON object, not a number"),
        ({}, 'the request has no "inputs"'),
        ({"parameters": {}}, 'the request has no "inputs"'),
        ({"input": "a"}, 'unknown key "input" in the request'),
        ({"inputs": "a", "top_k": 1}, 'unknown key "top_k" in the request'),
        ({"inputs": "a", "parameters": [1]}, '"parameters" must be an object, not a list'),
        ({"inputs": "a", "text": "b"}, 'the request says what to read more than once: "inputs", "text"'),
        ({"text": "a", "question": "b"}, 'the request says what to read more than once: "text", "question"'),
        ({"instances": "a"}, '"instances" must be a list, not a string'),
        ({"instances": ["a"], "inputs": "b"}, '"instances" stands alone beside "parameters"'),
    ],
)
def test_requests_that_cannot_be_read(payload: object, message: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        request.read(payload)
    assert caught.value.message == message
    assert caught.value.hint


@given(JSON | st.dictionaries(KEYS, JSON, max_size=4))
def test_any_json_is_a_request_or_invalid(payload: object) -> None:
    try:
        asked = request.read(payload)
    except InvalidInput:
        return
    assert isinstance(asked.parameters, dict)
