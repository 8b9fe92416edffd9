"""Objects and arrays of a JSON Schema, as rules."""

from __future__ import annotations

from firstlight.runtime import jsons
from firstlight.runtime.generation.grammars import gbnf, scalars
from firstlight.runtime.generation.grammars.keywords import refuse

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from firstlight.runtime.generation.grammars.json_schema import Place, SchemaWriter
    from firstlight.runtime.generation.grammars.keywords import Schema


def object_body(writer: SchemaWriter, schema: Schema, place: Place) -> str | None:
    """A sequence for the objects a schema takes; None where there is none."""
    named = dict(schema.get("properties", {}))
    required = list(dict.fromkeys(schema.get("required", ())))
    others = schema.get("additionalProperties", not named)
    for name in required:
        if name not in named:
            named[name] = schema.get("additionalProperties", True)
    gone = [name for name, inner in named.items() if inner is False]
    if any(name in required for name in gone):
        return None
    named = {name: inner for name, inner in named.items() if inner is not False}
    low, high = schema.get("minProperties", 0), schema.get("maxProperties")
    if named:
        if "propertyNames" in schema or low > len(required) or (high is not None and high < len(named)):
            words = [word for word in ("propertyNames", "minProperties", "maxProperties") if word in schema]
            raise refuse(
                place.path,
                f"has {words[0]!r} beside named properties, which a grammar cannot keep",
                "leave it out",
            )
        if high is not None and others is not False:
            raise refuse(
                place.path, "has 'maxProperties' beside 'additionalProperties', which a grammar cannot keep"
            )
        return _braced(writer, _named(writer, named, required, others, place))
    key = _key(writer, schema.get("propertyNames", True), gone, place)
    if others is False or high == 0:
        return _braced(writer, gbnf.EMPTY) if low == 0 else None
    pair = _pair(writer, key, others, place.at("additionalProperties", needed=low > 0))
    return _braced(writer, _series(writer, pair, low, high))


def array_body(writer: SchemaWriter, schema: Schema, place: Place) -> str | None:
    """A sequence for the arrays a schema takes; None where there is none."""
    first = schema.get("prefixItems", ())
    items = schema.get("items", True)
    if isinstance(items, list):  # before draft 2020-12
        first, items = items, True
    low, high = schema.get("minItems", 0), schema.get("maxItems")
    if items is False or (high is not None and high < len(first)):
        high = min(len(first), high) if high is not None else len(first)
        first = first[:high]
    if high is not None and high < low:
        return None
    space = scalars.space(writer.rules)
    heads = []
    for at, inner in enumerate(first):
        heads.append(writer.value(inner, place.at("prefixItems", at, needed=at < low)))
    rest = None
    if high is None or high > len(first):
        rest = _unit(writer, "item", writer.value(items, place.at("items", needed=low > len(first))))
    body = _tuple(writer, heads, rest, low, high)
    return f'"[" {space} "]"' if body == gbnf.EMPTY else f'"[" {space} {body} "]"'


def _tuple(writer: SchemaWriter, heads: list[str], rest: str | None, low: int, high: int | None) -> str:
    """Values of their own kinds, of which those after the first ``low`` may be missing, then values of one kind."""
    rules, comma = writer.rules, _comma(writer)
    tail = gbnf.EMPTY
    if rest is not None:
        if not heads:
            return _series(writer, rest, low, high)
        most = None if high is None else high - len(heads)
        tail = rules.repeat("items", f"{comma} {rest}", max(0, low - len(heads)), most)
    for at in reversed(range(len(heads))):
        here = _grouped(writer, heads[at]) if not at else f"{comma} {_grouped(writer, heads[at])}"
        tail = here if tail == gbnf.EMPTY else f"{here} {tail}"
        if at >= low:
            tail = rules.add("rest", f"{gbnf.EMPTY} | {tail}")
    space = scalars.space(rules)
    return f"{tail} {space}"


def _series(writer: SchemaWriter, unit: str, low: int, high: int | None) -> str:
    """``low`` to ``high`` times the same, with commas between."""
    rules, comma, space = writer.rules, _comma(writer), scalars.space(writer.rules)
    if high == 0:
        return gbnf.EMPTY
    more = rules.repeat("more", f"{comma} {unit}", max(0, low - 1), None if high is None else high - 1)
    body = f"{unit} {space}" if more == gbnf.EMPTY else f"{unit} {more} {space}"
    return body if low else rules.add("series", f"{gbnf.EMPTY} | {body}")


def _named(writer: SchemaWriter, named: Schema, required: list[str], others: Any, place: Place) -> str:
    """Properties in their order; of each place there are two rules, for the first property and for a later one."""
    rules, comma, space = writer.rules, _comma(writer), scalars.space(writer.rules)
    first, later = gbnf.EMPTY, space
    if others is not False:
        key = _key(writer, True, list(named), place)
        pair = _pair(writer, key, others, place.at("additionalProperties", needed=False))
        first = _series(writer, pair, 0, None)
        later = rules.repeat("others", f"{comma} {pair}", 0, None) + f" {space}"
    for name, inner in reversed(named.items()):
        must = name in required
        key = gbnf.literal(jsons.dumps(name, False))
        pair = _pair(writer, key, inner, place.at("properties", name, needed=must), name)
        here, next_ = f"{pair} {later}", f"{comma} {pair} {later}"
        if not must:
            here = f"{here} | {first}"
            next_ = f"{next_} | {later}"
        first, later = rules.add(f"{name}-first", here), rules.add(f"{name}-next", next_)
    return first


def _pair(writer: SchemaWriter, key: str, inner: Any, place: Place, name: str = "other") -> str:
    value = _grouped(writer, writer.value(inner, place))
    return writer.rules.add(name, f'{key} ":" {scalars.space(writer.rules)} {value}')


def _key(writer: SchemaWriter, names: Any, taken: list[str], place: Place) -> str:
    """The key of a property that is none of those in ``taken``."""
    if names is not True:
        if not isinstance(names, dict) or names.get("type", "string") != "string" or taken:
            raise refuse(place.path, "has 'propertyNames' that a grammar cannot keep", "leave it out")
        return _grouped(writer, writer.value({**names, "type": "string"}, place.at("propertyNames")))
    if not taken:
        return scalars.string(writer.rules, {}, place.path) or ""
    quote = gbnf.literal('"')
    return writer.rules.add("key", f"{quote} {_other_than(writer, taken)} {quote}")


def _other_than(writer: SchemaWriter, taken: list[str]) -> str:
    """A text that is none of these, without escapes: a tree of their letters, left where a text takes another way."""
    rules = writer.rules
    plain = [(0x20, 0x21), (0x23, 0x5B), (0x5D, gbnf.LAST)]
    anything = gbnf.letters(gbnf.united(plain)) + "*"
    ways: dict[str, list[str]] = {}
    for name in taken:
        if name:
            ways.setdefault(name[0], []).append(name[1:])
    closed = [(ord(letter), ord(letter)) for letter in ways]
    free = gbnf.united(plain)
    for point, _ in closed:
        free = _cut(free, point)
    options = [f"{gbnf.letters(free)} {anything}"]
    for letter, rests in ways.items():
        if ord(letter) >= 0x20 and letter not in '"\\':
            options.append(f"{gbnf.letters([(ord(letter), ord(letter))])} {_other_than(writer, rests)}")
    if "" not in taken:
        options.append(gbnf.EMPTY)
    return rules.any_of("other-key", options)


def _cut(ranges: list[tuple[int, int]], point: int) -> list[tuple[int, int]]:
    out = []
    for low, high in ranges:
        out += [
            part for part in ((low, min(high, point - 1)), (max(low, point + 1), high)) if part[0] <= part[1]
        ]
    return out


def _grouped(writer: SchemaWriter, body: str) -> str:
    return _unit(writer, "value", body) if "|" in body else body


def _unit(writer: SchemaWriter, hint: str, body: str) -> str:
    return writer.rules.add(hint, body)


def _comma(writer: SchemaWriter) -> str:
    return f'"," {scalars.space(writer.rules)}'


def _braced(writer: SchemaWriter, body: str) -> str:
    space = scalars.space(writer.rules)
    return f'"{{" {space} "}}"' if body == gbnf.EMPTY else f'"{{" {space} {body} "}}"'
