"""Grammars an answer has to follow, out of what a request says: a JSON schema, a regular expression, or GBNF."""

from __future__ import annotations

from firstlight.runtime import jsons
from firstlight.runtime.errors import InvalidInput

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

KINDS = ("json", "json_schema", "json_object", "regex", "gbnf")
_HINT = f'write {{"type": ..., "value": ...}} with one of the types {", ".join(KINDS)}'


def write(wish: Any) -> str:
    """The GBNF of the parameter ``grammar``.

    Args:
        wish: ``{"type", "value"}``: ``json`` and ``json_schema`` with a JSON Schema (an object, or its text; OpenAI's
            ``{"name", "schema"}`` around it is taken off), ``json_object`` without a value, ``regex`` and ``gbnf`` with
            a text.

    Raises:
        InvalidInput: says what is wrong with it, and where.
    """
    kind, value = wish.get("type"), wish.get("value")
    for key in wish:
        if key not in ("type", "value"):
            raise InvalidInput(f"parameter 'grammar' has an unknown field {key!r}", _HINT)
    if kind not in KINDS:
        raise InvalidInput(f"parameter 'grammar' has the type {kind!r}", _HINT)
    if kind in ("json", "json_schema"):
        return _of_schema(value)
    if kind == "json_object":
        if value is not None:
            raise InvalidInput("parameter 'grammar' of the type json_object has no value", _HINT)
        return _of_schema({"type": "object"})
    if not isinstance(value, str) or not (value if kind == "regex" else value.strip()):
        raise InvalidInput(f"parameter 'grammar' of the type {kind} needs a text as its value", _HINT)
    if kind == "regex":
        from firstlight.runtime.generation.grammars import regex

        return regex.plain(value)
    if "\0" in value:
        raise InvalidInput("parameter 'grammar' holds a NUL character")
    return value


def _of_schema(value: Any) -> str:
    from firstlight.runtime.generation.grammars import json_schema

    if isinstance(value, str):
        try:
            value = jsons.loads(value)
        except (ValueError, RecursionError) as error:
            raise InvalidInput(f"parameter 'grammar' is not JSON: {error}", _HINT) from error
    if value is None:
        raise InvalidInput("parameter 'grammar' has no schema as its value", _HINT)
    if isinstance(value, dict) and isinstance(value.get("schema"), dict) and "name" in value:
        value = value["schema"]
    return json_schema.grammar(value)
