"""The form of a task, made from its schema, and what is sent in it back as an event."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from firstlight.gateway.asgi import parse_json
from firstlight.gateway.web.markup import Markup, tag, text
from firstlight.runtime import tasks
from firstlight.runtime.errors import InvalidInput

Event = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Field:
    """One field of the inputs.

    Args:
        name: of the form's field.
        label: what a person reads.
        rows: height of a text area; 1 is a single line.
        hint: said below the label.
        lines: whether each line is one item of a list.
        commas: whether commas separate the items of a list.
    """

    name: str
    label: str
    rows: int = 4
    hint: str = ""
    lines: bool = False
    commas: bool = False


_TEXT = (Field("inputs", "Text"),)
_FIELDS: dict[str, tuple[Field, ...]] = {
    "question-answering": (
        Field("inputs.question", "Question", rows=1),
        Field("inputs.context", "Context", rows=7, hint="The text that holds the answer."),
    ),
    "sentence-similarity": (
        Field("inputs.source_sentence", "Sentence", rows=1),
        Field("inputs.sentences", "Compare with", rows=5, hint="One sentence a line.", lines=True),
    ),
    "zero-shot-classification": (
        Field("inputs", "Text"),
        Field("parameters.candidate_labels", "Labels", rows=1, hint="Separated by commas.", commas=True),
    ),
}
_NOT_SHOWN = ("continuation", "details", "return_full_text")
"""Parameters that are for programs."""

_EVENT = (Field("event", "Event", rows=7, hint="JSON, handed to the script's handler as it is."),)


def fields_of(task: str | None) -> tuple[Field, ...]:
    """The input fields of a task; those of a script for None."""
    return _EVENT if task is None else _FIELDS.get(task, _TEXT)


def form(task: str | None, values: Mapping[str, str]) -> Markup:
    """The fields and parameters of a task with values filled in."""
    inputs = [_input(field, values.get(field.name, "")) for field in fields_of(task)]
    return Markup("".join(inputs)) + _parameters(task, values)


def event_of(task: str | None, values: Mapping[str, str]) -> Event:
    """What the form holds, as the event it stands for.

    Raises:
        InvalidInput: naming the field that is empty or cannot be read.
    """
    if task is None:
        return _script_event(values.get("event", ""))
    event: Event = {}
    for field in fields_of(task):
        _put(event, field.name, _field_value(field, values.get(field.name, "")))
    properties = _properties(task)
    for name, rule in properties.items():
        text = values.get(f"parameters.{name}", "").strip()
        if text and name not in event.get("parameters", {}):
            _put(event, f"parameters.{name}", _parameter_value(name, rule, text))
    if task == "text-classification" and not values.get("parameters.top_k", "").strip():
        # The page shows every label; a bar among others says more than one alone.
        _put(event, "parameters.top_k", None)
    if task == "text-generation":
        _put(event, "parameters.return_full_text", False)
        _put(event, "parameters.details", True)
    if task == "token-classification":
        event.setdefault("parameters", {}).setdefault("aggregation_strategy", "simple")
    return event


def values_of(task: str | None, event: Event) -> dict[str, str]:
    """The form's values for an event: how an example fills the form."""
    if task is None:
        return {"event": json.dumps(event, indent=2, ensure_ascii=False)}
    values = {}
    for field in fields_of(task):
        found: Any = event
        for part in field.name.split("."):
            found = found.get(part, "") if isinstance(found, dict) else ""
        if isinstance(found, list):
            found = ("\n" if field.lines else ", ").join(str(item) for item in found)
        values[field.name] = found if isinstance(found, str) else json.dumps(found)
    return values


def _input(field: Field, value: str) -> Markup:
    identity = "f-" + field.name.replace(".", "-")
    hint = f"{identity}-hint" if field.hint else None
    common: dict[str, Any] = {
        "id": identity,
        "name": field.name,
        "required": True,
        "aria_describedby": hint,
        "autocomplete": "off",
    }
    if field.rows == 1:
        control = tag("input", type="text", value=value, **common)
    else:
        control = tag("textarea", "\n" + value, rows=field.rows, spellcheck="false", **common)
    return tag(
        "div",
        tag("label", field.label, for_=identity),
        field.hint and tag("p", field.hint, class_="hint", id=hint),
        control,
        class_="field code" if field.name == "event" else "field",
    )


def _properties(task: str | None) -> dict[str, Any]:
    if task is None:
        return {}
    found: dict[str, Any] = tasks.schema(task)["parameters"].get("properties", {})
    return found


def _parameters(task: str | None, values: Mapping[str, str]) -> Markup:
    """A field for every parameter that has none of its own, folded away."""
    shown = {field.name for field in fields_of(task)}
    known = {name: rule for name, rule in _properties(task).items() if f"parameters.{name}" not in shown}
    rows = [
        _parameter(name, rule, values.get(f"parameters.{name}", ""))
        for name, rule in known.items()
        if name not in _NOT_SHOWN and _kind(rule) != "object"
    ]
    # What a button of an answer fills in, for the next question alone.
    hidden = ("parameters.continuation", "before") if "continuation" in known else ()
    going = [tag("input", type="hidden", name=name) for name in hidden]
    if not rows:
        return text(going)
    return text(going) + tag(
        "details", tag("summary", "Parameters"), tag("div", rows, class_="parameters"), class_="fold"
    )


def _parameter(name: str, rule: Mapping[str, Any], value: str) -> Markup:
    identity = f"p-{name}"
    default = rule.get("default")
    common = {"id": identity, "name": f"parameters.{name}", "aria_describedby": f"{identity}-hint"}
    choices = rule.get("enum") or (["true", "false"] if _kind(rule) == "boolean" else None)
    if choices:
        options = [tag("option", "not set" if default is None else f"{_shown(default)} (default)", value="")]
        options += [tag("option", choice, value=choice, selected=value == str(choice)) for choice in choices]
        control = tag("select", options, **common)
    else:
        number = _kind(rule) in ("integer", "number")
        control = tag(
            "input",
            type="number" if number else "text",
            step=None if not number else "1" if _kind(rule) == "integer" else "any",
            min=rule.get("minimum"),
            max=rule.get("maximum"),
            placeholder=_shown(default),
            value=value,
            **common,
        )
    hint = tag("p", rule.get("description", ""), class_="hint", id=f"{identity}-hint")
    return tag("div", tag("label", name, for_=identity), control, hint, class_="parameter")


def _shown(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, list):
        return ", ".join(str(item) for item in value)
    return value if isinstance(value, str) else json.dumps(value)


def _kind(rule: Mapping[str, Any]) -> str:
    """The one JSON type a parameter is written in; of several the first that is not null."""
    kinds = rule.get("type", "string")
    if isinstance(kinds, str):
        return kinds
    return next((kind for kind in kinds if kind != "null"), "string")


def _field_value(field: Field, text: str) -> Any:
    if field.lines or field.commas:
        parts = text.splitlines() if field.lines else text.split(",")
        items = [part.strip() for part in parts if part.strip()]
        if not items:
            raise InvalidInput(f"{field.label!r} is empty", field.hint or "write something in it")
        return items
    # Browsers send line ends as CR LF, which no text in a file has.
    return text.replace("\r\n", "\n")


def _parameter_value(name: str, rule: Mapping[str, Any], text: str) -> Any:
    kind = _kind(rule)
    if kind in ("integer", "number"):
        try:
            return int(text) if kind == "integer" else float(text)
        except ValueError as error:
            raise InvalidInput(f"parameter {name!r} is {text[:50]!r}, which is not a number") from error
    if kind == "boolean":
        return text == "true"
    if kind == "array":
        return [part.strip() for part in text.split(",") if part.strip()]
    return text


def _script_event(text: str) -> Event:
    try:
        event = parse_json(text.encode("utf-8", "surrogatepass"))
    except ValueError as error:
        raise InvalidInput(
            f"the event is not JSON: {error}", 'write something like {"text": "..."}'
        ) from error
    return event if isinstance(event, dict) else {"inputs": event}


def _put(event: Event, path: str, value: Any) -> None:
    """Set ``a.b`` of an event."""
    *folders, last = path.split(".")
    for folder in folders:
        event = event.setdefault(folder, {})
    event[last] = value
