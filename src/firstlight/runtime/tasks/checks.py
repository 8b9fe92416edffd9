"""Validation of what a caller sends: parameters against a task's schema, texts, and the words of the refusals.

The schemas are JSON Schema with the keywords ``type``, ``enum``, ``minimum``, ``maximum``, ``items``, ``minItems``,
``minLength`` and ``default``; this module enforces exactly what they say, so documentation and behaviour are one.
"""

from __future__ import annotations

from firstlight.runtime.errors import InvalidInput

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from firstlight.runtime.types import JSON

_NAMES = {
    str: "a string",
    bool: "true or false",
    int: "a whole number",
    float: "a number",
    list: "a list",
    tuple: "a list",
    dict: "an object",
    type(None): "null",
}
_WORDS = {
    "string": "a string",
    "boolean": "true or false",
    "integer": "a whole number",
    "number": "a number",
    "array": "a list",
    "object": "an object",
    "null": "null",
}


def parameters(task: str, schema: Mapping[str, JSON], given: JSON) -> dict[str, JSON]:
    """The parameters of one request, every one of them checked, with defaults where none was given.

    Args:
        task: the task's tag, for messages.
        schema: the JSON Schema of the parameters object: ``properties`` and perhaps ``required``.
        given: what the caller sent; None is no parameters. A parameter that is null counts as not given unless
            its schema knows null.

    Raises:
        InvalidInput: names the parameter and what it may be.
    """
    if given is None:
        given = {}
    if not isinstance(given, dict):
        raise InvalidInput(f"parameters must be an object, got {kind(given)}")
    properties = schema["properties"]
    for name in given:
        if name not in properties:
            known = ", ".join(sorted(properties))
            raise InvalidInput(f"{task} has no parameter {name!r}", f"it takes: {known}")
    for name in schema.get("required", ()):
        if given.get(name) is None:
            message = f"{task} needs the parameter {name!r}"
            raise InvalidInput(message, f"{name} is {_describe(properties[name])}")
    checked = {}
    for name, spec in properties.items():
        value = given.get(name)
        if value is not None or (name in given and _takes(spec, None)):
            checked[name] = _checked(f"parameter {name!r}", value, spec)
        elif "default" in spec:
            checked[name] = spec["default"]
    return checked


def texts(inputs: JSON, expected: str = "a string or a list of strings") -> tuple[list[str], bool]:
    """One text or several.

    Returns:
        The texts, and whether it was a single one.

    Raises:
        InvalidInput: the inputs are neither, or an empty list.
    """
    if isinstance(inputs, str):
        return [text("inputs", inputs)], True
    if isinstance(inputs, list):
        return [text(f"inputs[{i}]", entry) for i, entry in enumerate(filled("inputs", inputs))], False
    raise InvalidInput(f"inputs must be {expected}, got {kind(inputs)}")


def text(where: str, value: JSON, empty: bool = True) -> str:
    """A string.

    Raises:
        InvalidInput: it is another type, or empty where it must not be.
    """
    if not isinstance(value, str):
        raise InvalidInput(f"{where} must be a string, got {kind(value)}")
    if not empty and not value:
        raise InvalidInput(f"{where} is empty")
    return value


def filled(where: str, value: JSON) -> list[JSON]:
    """A list with something in it.

    Raises:
        InvalidInput: it is another type or empty.
    """
    if not isinstance(value, list):
        raise InvalidInput(f"{where} must be a list, got {kind(value)}")
    if not value:
        raise InvalidInput(f"{where} is an empty list")
    return value


def fields(where: str, value: JSON, required: Sequence[str], optional: Sequence[str] = ()) -> dict[str, JSON]:
    """An object with all required fields and no unknown ones.

    Raises:
        InvalidInput: names the field that is missing or unknown.
    """
    expected = ", ".join([*required, *(f"{name} (optional)" for name in optional)])
    if not isinstance(value, dict):
        raise InvalidInput(f"{where} must be an object, got {kind(value)}", f"fields: {expected}")
    for name in required:
        if value.get(name) is None:
            raise InvalidInput(f"{where} lacks {name!r}", f"fields: {expected}")
    for name in value:
        if name not in required and name not in optional:
            raise InvalidInput(f"{where} has an unknown field {name!r}", f"fields: {expected}")
    return value


def each(inputs: JSON, one: Callable[[str, JSON], JSON]) -> tuple[list[JSON], bool]:
    """``one(where, value)`` over a list of values, or over the only one.

    Returns:
        The results, and whether it was a single one.
    """
    if isinstance(inputs, list):
        return [one(f"inputs[{i}]", entry) for i, entry in enumerate(filled("inputs", inputs))], False
    return [one("inputs", inputs)], True


def kind(value: JSON) -> str:
    """What a JSON value is, for messages."""
    return _NAMES.get(type(value), type(value).__name__)


def _takes(spec: Mapping[str, JSON], value: JSON) -> bool:
    allowed = spec.get("type", ())
    return any(_is(value, name) for name in ((allowed,) if isinstance(allowed, str) else allowed))


def _is(value: JSON, name: str) -> bool:
    if name == "integer":
        return isinstance(value, int) and not isinstance(value, bool)
    if name == "number":
        # Python's json reads NaN and infinities.
        number = isinstance(value, (int, float)) and not isinstance(value, bool)
        return number and -float("inf") < value < float("inf")
    kinds = {"string": str, "boolean": bool, "array": list, "object": dict, "null": type(None)}
    return isinstance(value, kinds[name])


def _checked(where: str, value: JSON, spec: Mapping[str, JSON]) -> JSON:
    if not _takes(spec, value) or not _within(value, spec):
        raise InvalidInput(f"{where} must be {_describe(spec)}, got {_shown(value)}")
    if isinstance(value, list):
        return [_checked(f"{where}[{i}]", entry, spec.get("items", {})) for i, entry in enumerate(value)]
    return value


def _within(value: JSON, spec: Mapping[str, JSON]) -> bool:
    if isinstance(value, str):
        return bool(value in spec.get("enum", (value,)) and len(value) >= spec.get("minLength", 0))
    if isinstance(value, list):
        return bool(len(value) >= spec.get("minItems", 0))
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return bool(spec.get("minimum", value) <= value <= spec.get("maximum", value))
    return True


def _describe(spec: Mapping[str, JSON]) -> str:
    if "enum" in spec:
        return "one of " + ", ".join(spec["enum"])
    allowed = spec["type"]
    words = " or ".join(_WORDS[name] for name in ((allowed,) if isinstance(allowed, str) else allowed))
    low, high = spec.get("minimum"), spec.get("maximum")
    if low is not None:
        words += f" from {low} to {high}" if high is not None else f" of at least {low}"
    if spec.get("minItems") or spec.get("minLength"):
        words += " that is not empty"
    return words


def _shown(value: JSON) -> str:
    if isinstance(value, (bool, int, float, str)):
        shown = repr(value)
        return shown if len(shown) <= 40 else f"{shown[:40]}..."
    return kind(value)
