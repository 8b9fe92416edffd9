from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from firstlight.gateway.web import forms
from firstlight.runtime import tasks
from firstlight.runtime.errors import InvalidInput


@pytest.mark.parametrize("task", [*tasks.names(), None])
def test_a_form_has_a_field_for_every_parameter_of_the_task(task: str | None) -> None:
    made = forms.form(task, {})
    rules = tasks.schema(task)["parameters"].get("properties", {}) if task else {"event": {}}
    for name, rule in rules.items():
        for_programs = name in ("details", "return_full_text") or rule.get("type") == "object"
        assert (f'name="parameters.{name}"' in made or f'name="{name}"' in made) != for_programs
    shown = made.count("<input") - made.count('type="hidden"')
    assert made.count("<label") == shown + made.count("<textarea") + made.count("<select")


@pytest.mark.parametrize("task", tasks.names())
def test_an_example_fills_the_form_and_comes_back(task: str) -> None:
    example = tasks.schema(task)["example"]
    event = forms.event_of(task, forms.values_of(task, example))
    assert event["inputs"] == example["inputs"]


def test_parameters_are_read_by_their_types() -> None:
    values = {
        "inputs.question": "q",
        "inputs.context": "a\r\nb",
        "parameters.top_k": "3",
        "parameters.align_to_words": "false",
        "parameters.doc_stride": " ",
    }
    assert forms.event_of("question-answering", values) == {
        "inputs": {"question": "q", "context": "a\nb"},
        "parameters": {"top_k": 3, "align_to_words": False},
    }


def test_lists_are_lines_or_commas() -> None:
    values = {"inputs.source_sentence": "a", "inputs.sentences": "b \r\n\r\n c"}
    assert forms.event_of("sentence-similarity", values)["inputs"]["sentences"] == ["b", "c"]
    values = {"inputs": "t", "parameters.candidate_labels": "x, y,,"}
    assert forms.event_of("zero-shot-classification", values)["parameters"]["candidate_labels"] == ["x", "y"]


def test_all_labels_are_asked_for_unless_a_number_is() -> None:
    assert forms.event_of("text-classification", {"inputs": "t"})["parameters"] == {"top_k": None}
    one = forms.event_of("text-classification", {"inputs": "t", "parameters.top_k": "1"})
    assert one["parameters"] == {"top_k": 1}


@pytest.mark.parametrize(
    ("task", "values"),
    [
        ("question-answering", {"parameters.top_k": "x"}),
        ("sentence-similarity", {"inputs.sentences": " \n"}),
        ("zero-shot-classification", {"parameters.candidate_labels": ","}),
        (None, {"event": "{"}),
        (None, {}),
    ],
)
def test_what_cannot_be_read_is_explained(task: str | None, values: dict[str, str]) -> None:
    with pytest.raises(InvalidInput):
        forms.event_of(task, values)


@pytest.mark.parametrize(
    ("text", "event"), [('{"a": 1}', {"a": 1}), ('"x"', {"inputs": "x"}), ("[1]", {"inputs": [1]})]
)
def test_an_event_of_a_script(text: str, event: dict[str, Any]) -> None:
    assert forms.event_of(None, {"event": text}) == event
    assert json.loads(forms.values_of(None, event)["event"]) == event


@given(st.sampled_from([*tasks.names(), None]), st.dictionaries(st.text(max_size=30), st.text(max_size=30)))
def test_no_values_break_a_form(task: str | None, values: dict[str, str]) -> None:
    forms.form(task, values).encode()
    try:
        forms.event_of(task, values)
    except InvalidInput:
        pass
