"""The keywords of JSON Schema: which ones a grammar can keep, what each may hold, and how two schemas become one.

Draft 2020-12 and what older drafts and OpenAPI write otherwise. A keyword that would forbid values and cannot be kept
is refused by name; one that only describes is passed over.
"""

from __future__ import annotations

from firstlight.runtime import notes
from firstlight.runtime.errors import InvalidInput

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Any

    Schema = dict[str, Any]

TYPES = ("object", "array", "string", "integer", "number", "boolean", "null")
_OF_TYPE = {
    "object": (
        "properties",
        "required",
        "additionalProperties",
        "minProperties",
        "maxProperties",
        "propertyNames",
    ),
    "array": ("items", "prefixItems", "minItems", "maxItems"),
    "string": ("minLength", "maxLength", "pattern", "format"),
    "number": ("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum"),
}
_COMMON = (
    "type",
    "enum",
    "const",
    "$ref",
    "allOf",
    "anyOf",
    "oneOf",
    "nullable",
    "multipleOf",
    "uniqueItems",
)
_REFUSED = (
    "not",
    "if",
    "dependentSchemas",
    "dependentRequired",
    "dependencies",
    "patternProperties",
    "contains",
    "unevaluatedItems",
    "additionalItems",
    "$dynamicRef",
    "$recursiveRef",
)
_DESCRIBING = (
    "title",
    "description",
    "default",
    "examples",
    "example",
    "deprecated",
    "readOnly",
    "writeOnly",
    "discriminator",
    "contentEncoding",
    "contentMediaType",
    "contentSchema",
    "externalDocs",
    "xml",
    "strict",
    "propertyOrdering",
    "definitions",
    "then",
    "else",
    "minContains",
    "maxContains",
    # No other properties than the named ones are ever written.
    "unevaluatedProperties",
)
KEPT = (*_COMMON, *(word for words in _OF_TYPE.values() for word in words))

_STRONGER: dict[str, Callable[[Any, Any], Any]] = {
    word: max if word.startswith(("min", "exclusiveMin")) else min
    for word in KEPT
    if word.startswith(("min", "max", "exclusive"))
}


def _is_count(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def _is_schema(value: Any) -> bool:
    return isinstance(value, (dict, bool))


def _is_number(value: Any) -> bool:
    number = isinstance(value, (int, float)) and not isinstance(value, bool)
    return number and -float("inf") < value < float("inf")


def _is_list_of(test: Callable[[Any], bool], filled: bool = False) -> Callable[[Any], bool]:
    return lambda value: isinstance(value, list) and (not filled or bool(value)) and all(map(test, value))


def _is_text(value: Any) -> bool:
    return isinstance(value, str)


def _is_type(value: Any) -> bool:
    return value in TYPES if isinstance(value, str) else False


_COUNT = (_is_count, "a whole number of at least 0")
_SCHEMA = (_is_schema, "a schema")
_SCHEMAS = (_is_list_of(_is_schema, filled=True), "a list of schemas")
_NUMBER = (_is_number, "a number")
_LIMIT = (lambda value: _is_number(value) or isinstance(value, bool), "a number")
_TEXT = (_is_text, "a string")
_FLAG = (lambda value: isinstance(value, bool), "true or false")
_RULES: dict[str, tuple[Callable[[Any], bool], str]] = {
    "type": (
        lambda value: _is_type(value) or _is_list_of(_is_type, filled=True)(value),
        f"one of {', '.join(TYPES)}, or a list of these",
    ),
    "enum": (lambda value: isinstance(value, list) and bool(value), "a list with something in it"),
    "$ref": _TEXT,
    "allOf": _SCHEMAS,
    "anyOf": _SCHEMAS,
    "oneOf": _SCHEMAS,
    "nullable": _FLAG,
    "multipleOf": (lambda value: _is_number(value) and value > 0, "a number above 0"),
    "uniqueItems": _FLAG,
    "properties": (
        lambda value: isinstance(value, dict) and all(map(_is_schema, value.values())),
        "an object of schemas",
    ),
    "required": (_is_list_of(_is_text), "a list of names"),
    "additionalProperties": _SCHEMA,
    "propertyNames": _SCHEMA,
    "minProperties": _COUNT,
    "maxProperties": _COUNT,
    "items": (lambda value: _is_schema(value) or _is_list_of(_is_schema)(value), "a schema"),
    "prefixItems": _SCHEMAS,
    "minItems": _COUNT,
    "maxItems": _COUNT,
    "minLength": _COUNT,
    "maxLength": _COUNT,
    "pattern": _TEXT,
    "format": _TEXT,
    "minimum": _NUMBER,
    "maximum": _NUMBER,
    "exclusiveMinimum": _LIMIT,
    "exclusiveMaximum": _LIMIT,
}


def refuse(path: str, what: str, hint: str = "") -> InvalidInput:
    """The error for a schema that cannot be followed at a place of it."""
    return InvalidInput(f"the JSON schema at {path} {what}", hint)


def check(schema: Any, path: str) -> None:
    """Whether a schema is one, and says nothing that a grammar cannot keep; what is inside it is not looked at.

    Raises:
        InvalidInput: names the keyword.
    """
    if not _is_schema(schema):
        raise refuse(path, "must be an object, or true or false")
    for word, value in ({} if isinstance(schema, bool) else schema).items():
        if word in _REFUSED or (word == "uniqueItems" and value is True):
            raise refuse(path, f"has the keyword {word!r}, which a grammar cannot keep", "leave it out")
        if word in _RULES and not _RULES[word][0](value):
            raise refuse(path, f"is wrong: {word!r} must be {_RULES[word][1]}")
        if word not in KEPT and word not in _DESCRIBING and not word.startswith(("$", "x-")):
            notes.warn(f"the JSON schema's {word!r} is no keyword of JSON Schema and changes nothing")
    if isinstance(schema, dict) and schema.get("multipleOf", 1) != 1:
        raise refuse(
            path, "has the keyword 'multipleOf', which a grammar cannot keep unless it is 1", "leave it out"
        )


def says(schema: Mapping[str, Any]) -> bool:
    """Whether a schema forbids any value at all."""
    return any(word in schema for word in KEPT)


def types(schema: Mapping[str, Any]) -> list[str]:
    """The types of the values a schema takes.

    Without ``type`` the keywords that are there say it, as their writers mean; without those, all types.
    """
    named = schema.get("type")
    if named is None:
        meant = [name for name, words in _OF_TYPE.items() if any(word in schema for word in words)]
        found = meant or [name for name in TYPES if name != "integer"]
    else:
        found = [named] if isinstance(named, str) else list(dict.fromkeys(named))
    if schema.get("nullable") is True and "null" not in found:
        found.append("null")
    if schema.get("multipleOf") == 1:
        found = list(dict.fromkeys("integer" if name == "number" else name for name in found))
    return [name for name in found if name != "integer" or "number" not in found]


def values(schema: Mapping[str, Any]) -> list[Any]:
    """The values ``const`` and ``enum`` leave, of which there is at least one."""
    if "const" not in schema:
        return list(schema["enum"])
    return [schema["const"]] if "enum" not in schema else _shared([schema["const"]], schema["enum"])


def merged(one: Schema, other: Schema, path: str) -> Schema | None:
    """A schema of the values that both take, None where they share no type; neither has ``$ref`` or alternatives.

    Raises:
        InvalidInput: the two cannot be kept together.
    """
    one, other = _with_enum(one), _with_enum(other)
    out = {word: value for word, value in one.items() if word not in ("properties", "additionalProperties")}
    for word, value in other.items():
        if word in ("properties", "additionalProperties"):
            continue
        out[word] = _both(word, out[word], value, path) if word in out else value
    if "type" in one or "type" in other or "nullable" in one or "nullable" in other:
        out["type"] = _common_types(types(one), types(other))
        if not out["type"]:
            return None
        out.pop("nullable", None)
    if "properties" in one or "properties" in other:
        names = dict.fromkeys([*one.get("properties", ()), *other.get("properties", ())])
        out["properties"] = {name: _all(_of(one, name), _of(other, name)) for name in names}
    if "additionalProperties" in one or "additionalProperties" in other:
        out["additionalProperties"] = _all(
            one.get("additionalProperties", True), other.get("additionalProperties", True)
        )
    return out


def _of(schema: Schema, name: str) -> Any:
    return schema.get("properties", {}).get(name, schema.get("additionalProperties", True))


def _all(one: Any, other: Any) -> Any:
    if one is False or other is False:
        return False
    if one is True or one == other:
        return other
    return one if other is True else {"allOf": [one, other]}


def _common_types(first: list[str], second: list[str]) -> list[str]:
    both = [name for name in first if name in second or (name == "integer" and "number" in second)]
    return both + ["integer" for name in first if name == "number" and "integer" in second]


def _with_enum(schema: Schema) -> Schema:
    """A schema that lists its values in one keyword."""
    if "const" not in schema:
        return schema
    return {word: value for word, value in schema.items() if word != "const"} | {"enum": values(schema)}


def _shared(one: list[Any], other: list[Any]) -> list[Any]:
    """Values of both lists; to JSON true is not 1."""
    return [
        value
        for value in one
        if any(value == same and isinstance(value, bool) == isinstance(same, bool) for same in other)
    ]


def _both(word: str, one: Any, other: Any, path: str) -> Any:
    if one == other or word in ("type", "nullable") or word not in KEPT:
        return other
    if word in _STRONGER and not isinstance(one, bool) and not isinstance(other, bool):
        return _STRONGER[word](one, other)
    if word == "required":
        return [*one, *other]
    if word == "enum":
        return _shared(one, other)
    if word in ("items", "propertyNames") and _is_schema(one) and _is_schema(other):
        return _all(one, other)
    raise refuse(path, f"has two different {word!r}, which a grammar cannot keep together")
