"""Random JSON schemas with values they take, and a validator of the keywords a grammar keeps: the other opinion."""

from __future__ import annotations

import json
import re
from typing import Any

from hypothesis import strategies as st

NAMES = st.sampled_from(["a", "ab", "name", "é", 'qu"ote', "x y", "n/m", "$ref_"])
TEXT = st.text('ab é"\\\n/🌍', max_size=6)
INTEGERS = st.integers(-(10**12), 10**12)
NUMBERS = st.one_of(
    INTEGERS,
    st.integers(-(10**6), 10**6).map(lambda count: count / 1000),
    st.sampled_from([0.0, 1e-7, 1.5e20, -2e-80]),
)
VALUES = st.recursive(
    st.one_of(st.none(), st.booleans(), NUMBERS, TEXT),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(NAMES, inner, max_size=3)),
    max_leaves=5,
)
Made = tuple[dict[str, Any], st.SearchStrategy[Any]]


@st.composite
def integers(draw: Any) -> Made:
    low = draw(st.none() | st.integers(-1200, 1200))
    high = draw(st.none() | st.integers(low if low is not None else -1200, 2500))
    schema: dict[str, Any] = {"type": "integer"}
    if low is not None:
        schema |= draw(
            st.sampled_from([{"minimum": low}, {"exclusiveMinimum": low - 1}, {"minimum": low - 0.5}])
        )
    if high is not None:
        schema |= draw(st.sampled_from([{"maximum": high}, {"exclusiveMaximum": high + 1}]))
    return schema, st.integers(low if low is not None else -(10**15), high if high is not None else 10**15)


@st.composite
def numbers(draw: Any) -> Made:
    unit = 10 ** draw(st.integers(0, 3))
    low, high = sorted([draw(st.integers(-3000, 3000)), draw(st.integers(-3000, 3000))])
    schema: dict[str, Any] = {"type": "number"}
    if draw(st.booleans()):
        schema["minimum"] = low / unit
    if draw(st.booleans()):
        schema["maximum"] = high / unit
    if len(schema) == 1:
        return schema, NUMBERS
    first = low if "minimum" in schema else -(10**7)
    last = high if "maximum" in schema else 10**7
    return schema, st.integers(first * 10, last * 10).map(lambda count: count / (10 * unit))


@st.composite
def texts(draw: Any) -> Made:
    low = draw(st.integers(0, 3))
    high = draw(st.none() | st.integers(low, 6))
    schema: dict[str, Any] = {"type": "string"}
    if low or draw(st.booleans()):
        schema["minLength"] = low
    if high is not None:
        schema["maxLength"] = high
    return schema, st.text('ab é"\\\n/🌍', min_size=low, max_size=6 if high is None else high)


@st.composite
def listed(draw: Any) -> Made:
    values = draw(st.lists(VALUES, min_size=1, max_size=3))
    if len(values) == 1 and draw(st.booleans()):
        return {"const": values[0]}, st.just(values[0])
    return {"enum": values}, st.sampled_from(values)


@st.composite
def arrays(draw: Any, inner: st.SearchStrategy[Made]) -> Made:
    items, item = draw(inner)
    low = draw(st.integers(0, 2))
    high = draw(st.none() | st.integers(low, 4))
    schema: dict[str, Any] = {"type": "array", "items": items}
    if low or draw(st.booleans()):
        schema["minItems"] = low
    if high is not None:
        schema["maxItems"] = high
    if not draw(st.booleans()):
        return schema, st.lists(item, min_size=low, max_size=high or low + 2)
    heads = draw(st.lists(inner, min_size=1, max_size=2))
    schema["prefixItems"] = [head for head, _ in heads]
    rests = st.lists(item, max_size=2)
    whole = st.tuples(st.tuples(*(value for _, value in heads)), rests).map(
        lambda parts: [*parts[0], *parts[1]]
    )
    # Cut to a length the schema takes; one that is too short takes part in nothing.
    return schema, whole.map(lambda value: value[:high]).filter(lambda value: len(value) >= low)


@st.composite
def objects(draw: Any, inner: st.SearchStrategy[Made]) -> Made:
    named = draw(st.dictionaries(NAMES, inner, max_size=3))
    required = [name for name in named if draw(st.booleans())]
    schema: dict[str, Any] = {"type": "object", "properties": {name: one for name, (one, _) in named.items()}}
    if required or draw(st.booleans()):
        schema["required"] = required
    optional = {name: value for name, (_, value) in named.items() if name not in required}
    whole = st.fixed_dictionaries({name: named[name][1] for name in required}, optional=optional)
    if draw(st.booleans()):
        schema["additionalProperties"], extra = draw(inner)
        more = st.dictionaries(st.sampled_from(["c", "abc", "nam", "names", ""]), extra, max_size=2)
        whole = st.tuples(whole, more).map(lambda parts: {**parts[0], **parts[1]})
    elif draw(st.booleans()):
        schema["additionalProperties"] = False
    return schema, whole.map(lambda value: {name: value[name] for name in [*named, *value] if name in value})


def either(inner: st.SearchStrategy[Made]) -> st.SearchStrategy[Made]:
    def made(options: list[Made]) -> Made:
        return {"anyOf": [one for one, _ in options]}, st.one_of(*(value for _, value in options))

    return st.lists(inner, min_size=1, max_size=3).map(made)


LEAVES: st.SearchStrategy[Made] = st.one_of(
    integers(),
    numbers(),
    texts(),
    listed(),
    st.just(({"type": "boolean"}, st.booleans())),
    st.just(({"type": ["string", "null"]}, st.one_of(st.none(), TEXT))),
    st.just(({}, VALUES)),
)
SCHEMAS: st.SearchStrategy[Made] = st.recursive(
    LEAVES, lambda inner: st.one_of(arrays(inner), objects(inner), either(inner)), max_leaves=5
)

KINDS: dict[str, Any] = {
    "object": dict,
    "array": list,
    "string": str,
    "boolean": bool,
    "null": type(None),
    "number": (int, float),
}


def is_kind(value: Any, name: str) -> bool:
    if name == "integer":
        return is_kind(value, "number") and value % 1 == 0
    return isinstance(value, KINDS[name]) and (name != "number" or not isinstance(value, bool))


def valid(schema: Any, value: Any, root: Any = None) -> bool:
    """Whether JSON Schema takes the value."""
    root = schema if root is None else root
    if isinstance(schema, bool):
        return schema
    return (
        valid_together(schema, value, root)
        and valid_kind(schema, value)
        and valid_text(schema, value)
        and valid_number(schema, value)
        and valid_array(schema, value, root)
        and valid_object(schema, value, root)
    )


def valid_together(schema: Any, value: Any, root: Any) -> bool:
    found = root
    for step in schema.get("$ref", "").split("/")[1:]:
        found = found[step]
    if "$ref" in schema and not valid(found, value, root):
        return False
    options = [schema[word] for word in ("anyOf", "oneOf") if word in schema]
    if not all(any(valid(one, value, root) for one in option) for option in options):
        return False
    return all(valid(one, value, root) for one in schema.get("allOf", ()))


def valid_kind(schema: Any, value: Any) -> bool:
    kinds = schema.get("type", list(KINDS))
    listed = [schema["const"]] if "const" in schema else schema.get("enum", [value])
    written = [json.dumps(one, sort_keys=True) for one in listed]
    fits = any(is_kind(value, name) for name in ([kinds] if isinstance(kinds, str) else kinds))
    return fits and json.dumps(value, sort_keys=True) in written


def valid_text(schema: Any, value: Any) -> bool:
    if not isinstance(value, str):
        return True
    if "pattern" in schema and not re.search(schema["pattern"], value, re.ASCII):
        return False
    return schema.get("minLength", 0) <= len(value) <= schema.get("maxLength", len(value))


def valid_number(schema: Any, value: Any) -> bool:
    if not is_kind(value, "number"):
        return True
    above = value > schema["exclusiveMinimum"] if "exclusiveMinimum" in schema else True
    below = value < schema["exclusiveMaximum"] if "exclusiveMaximum" in schema else True
    return above and below and schema.get("minimum", value) <= value <= schema.get("maximum", value)


def valid_array(schema: Any, value: Any, root: Any) -> bool:
    if not isinstance(value, list):
        return True
    heads, rest = schema.get("prefixItems", []), schema.get("items", True)
    fits = schema.get("minItems", 0) <= len(value) <= schema.get("maxItems", len(value))
    return fits and all(
        valid(heads[at] if at < len(heads) else rest, one, root) for at, one in enumerate(value)
    )


def valid_object(schema: Any, value: Any, root: Any) -> bool:
    if not isinstance(value, dict):
        return True
    named, others = schema.get("properties", {}), schema.get("additionalProperties", True)
    fits = schema.get("minProperties", 0) <= len(value) <= schema.get("maxProperties", len(value))
    names = all(valid(schema.get("propertyNames", True), name, root) for name in value)
    whole = all(name in value for name in schema.get("required", ()))
    return (
        fits
        and names
        and whole
        and all(valid(named.get(name, others), one, root) for name, one in value.items())
    )
