"""Strings, numbers and listed values of a JSON Schema, as rules."""

from __future__ import annotations

from decimal import Decimal

from firstlight.runtime.generation.grammars import gbnf, keywords, numbers, regex
from firstlight.runtime.generation.grammars.formats import FORMATS
from firstlight.runtime.generation.grammars.keywords import refuse

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

    from firstlight.runtime.generation.grammars.gbnf import Ranges
    from firstlight.runtime.generation.grammars.keywords import Schema

_MUST_ESCAPE = [(0, 0x1F), (0x22, 0x22), (0x5C, 0x5C)]
_SHORT = {0x08: "b", 0x09: "t", 0x0A: "n", 0x0C: "f", 0x0D: "r", 0x22: '"', 0x5C: "\\"}
_FAR = Decimal(10) ** numbers.DIGITS

SPACE = '"" | " " | "\\x0A" [ \\x09]{0,20}'
"""Between the parts of a value. No more than that: white space is where small models lose themselves."""


def character(rules: gbnf.Rules) -> str:
    """A symbol for one character of a string: itself, or escaped. No half of a surrogate pair."""
    plain = gbnf.letters(gbnf.others(_MUST_ESCAPE))
    code = "[0-9a-cA-CefEF] [0-9a-fA-F]{3} | [dD] [0-7] [0-9a-fA-F]{2}"
    return rules.add(
        "character", f'{plain} | "\\x5C" (["\\x5C/bfnrt] | "u" ({code}))'.replace('["', "[\\x22")
    )


def space(rules: gbnf.Rules) -> str:
    """A symbol for the white space between the parts of a value."""
    return rules.add("space", SPACE)


def string(rules: gbnf.Rules, schema: Schema, path: str) -> str | None:
    """A sequence for the strings a schema takes."""
    expressions = [word for word in ("pattern", "format") if word in schema]
    low, high = schema.get("minLength", 0), schema.get("maxLength")
    if expressions and (len(expressions) > 1 or low or high is not None):
        words = " and ".join(
            repr(word) for word in schema if word in (*expressions, "minLength", "maxLength")
        )
        raise refuse(path, f"has {words}, which a grammar cannot keep together", "keep one of them")
    if not expressions:
        if high is not None and high < low:
            return None
        body = rules.repeat("text", character(rules), low, high)
    elif "pattern" in schema:
        body = _writer(rules).write(schema["pattern"], whole=False)
    elif schema["format"] in FORMATS:
        body = _writer(rules).write(FORMATS[schema["format"]], whole=True)
    else:
        known = ", ".join(FORMATS)
        raise refuse(
            path, f"has the format {schema['format']!r}, which a grammar cannot keep", f"formats: {known}"
        )
    quote = gbnf.literal('"')
    return rules.add("string", f"{quote} {quote}" if body == gbnf.EMPTY else f"{quote} {body} {quote}")


def number(rules: gbnf.Rules, schema: Schema, path: str, whole: bool) -> str | None:
    """A symbol for the numbers a schema takes; None where there is none."""
    found = limits(schema, path)
    return numbers.integer(rules, found) if whole else numbers.number(rules, found)


def limits(schema: Schema, path: str) -> numbers.Limits:
    """The limits a schema sets, in the spelling of any draft."""
    low, above = _limit(schema, "minimum", "exclusiveMinimum", 1)
    high, below = _limit(schema, "maximum", "exclusiveMaximum", -1)
    if (low is not None and low >= _FAR) or (high is not None and high <= -_FAR):
        raise refuse(path, f"asks for numbers of more than {numbers.DIGITS} digits")
    # Beyond what is ever written a limit is none.
    low = None if low is not None and low <= -_FAR else low
    high = None if high is not None and high >= _FAR else high
    return numbers.Limits(low, high, above, below)


def listed(schema: Schema, types: list[str], path: str) -> Iterator[Any]:
    """The values of ``const`` and ``enum`` that the schema's other keywords take too."""
    values = keywords.values(schema)
    within = limits(schema, path)
    for value in values:
        if "type" in schema and not any(_is(value, name) for name in types):
            continue
        if _is(value, "number") and not within.takes(value):
            continue
        if isinstance(value, str) and not schema.get("minLength", 0) <= len(value) <= schema.get(
            "maxLength", len(value)
        ):
            continue
        yield value


def _limit(schema: Schema, word: str, exclusive: str, sign: int) -> tuple[Decimal | None, bool]:
    """The stronger of a limit and an exclusive one, and whether it is exclusive."""
    value, other = schema.get(word), schema.get(exclusive)
    if other is True:  # draft 4: the other keyword's limit is exclusive
        return (None if value is None else Decimal(repr(value))), True
    if other is None or other is False:
        return (None if value is None else Decimal(repr(value))), False
    if value is None or sign * other >= sign * value:
        return Decimal(repr(other)), True
    return Decimal(repr(value)), False


def _is(value: Any, name: str) -> bool:
    if isinstance(value, bool) or value is None:
        return name == ("null" if value is None else "boolean")
    if isinstance(value, (int, float)):
        return name == "number" or (name == "integer" and value % 1 == 0)
    return isinstance(value, {"string": str, "array": list, "object": dict}.get(name, ()))


def _same(one: Any, other: Any) -> bool:
    return bool(one == other) and isinstance(one, bool) == isinstance(other, bool)


def _writer(rules: gbnf.Rules) -> regex.Writer:
    return regex.Writer(rules, lambda ranges: _in_string(rules, ranges), character(rules))


def _in_string(rules: gbnf.Rules, ranges: Ranges) -> str | None:
    """One character of these ranges as JSON writes it in a string; other control characters are left out."""
    found = gbnf.united([*ranges])
    escaped = [letter for point, letter in _SHORT.items() if any(low <= point <= high for low, high in found)]
    plain = found
    for low, high in _MUST_ESCAPE:
        plain = [*_outside(plain, low, high)]
    options = [gbnf.letters(plain)] if plain else []
    options += [gbnf.literal("\\" + letter) for letter in escaped]
    if not options:
        return None
    return options[0] if len(options) == 1 else rules.any_of("letter", options)


def _outside(ranges: Ranges, low: int, high: int) -> Iterator[tuple[int, int]]:
    for start, end in ranges:
        if start < low:
            yield start, min(end, low - 1)
        if end > high:
            yield max(start, high + 1), end
