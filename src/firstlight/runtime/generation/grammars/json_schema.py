"""JSON Schema as a grammar: every answer that follows the grammar is JSON that the schema takes.

The other way round it is narrower where a language model is better kept short, or writers mean more than they say:
properties come in the order of the schema, an object with ``properties`` has no others unless
``additionalProperties`` says so, numbers have at most 16 digits on each side of the point, white space is a blank or a
line end with up to 20 blanks, ``oneOf`` is read as ``anyOf``.
"""

from __future__ import annotations

from firstlight.runtime import jsons
from firstlight.runtime.generation.grammars import gbnf, keywords, objects, scalars
from firstlight.runtime.generation.grammars.keywords import merged, refuse

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

    from firstlight.runtime.generation.grammars.keywords import Schema

_ANYTHING = ""
"""Stands for a reference to the schema that takes everything."""

_DEEPEST = 60
_MOST_ALTERNATIVES = 500


def grammar(schema: Any) -> str:
    """The GBNF of a schema.

    Raises:
        InvalidInput: it is no JSON Schema, or has a keyword that a grammar cannot keep; says which, and where.
    """
    writer = SchemaWriter(schema)
    try:
        return writer.rules.text(writer.value(schema, Place("#")))
    except RecursionError as error:
        raise refuse("#", "is nested too deep to follow") from error


class Place:
    """Where in a schema the writer is.

    Args:
        path: for messages, a JSON pointer.
        opened: references followed since the last character: meeting one again would be a rule that begins with itself.
        needed: references every value from the root down to here needs: meeting one again would be a value without end.
    """

    __slots__ = ("needed", "opened", "path")

    def __init__(
        self, path: str, opened: frozenset[str] = frozenset(), needed: frozenset[str] = frozenset()
    ) -> None:
        self.path = path
        self.opened = opened
        self.needed = needed

    def at(self, *steps: object, needed: bool = True) -> Place:
        """A value inside this one, which it cannot do without if ``needed``."""
        path = "/".join([self.path, *map(str, steps)])
        return Place(path, needed=self.needed if needed else frozenset())

    def through(self, reference: str) -> Place:
        """The same value, described elsewhere."""
        return Place(reference, self.opened | {reference}, self.needed | {reference})

    def choice(self) -> Place:
        """The same value as one of several that it may be."""
        return Place(self.path, self.opened)


class SchemaWriter:
    """The rules of one schema.

    Args:
        root: the whole schema, in which references are looked up.
    """

    def __init__(self, root: Any) -> None:
        self.rules = gbnf.Rules()
        self._root = root
        self._references: dict[str, str] = {}

    def value(self, schema: Any, place: Place) -> str:
        """A symbol for the values a schema takes."""
        options = list(self._alternatives(schema, place, 0))
        if any(not keywords.says(option) for option in options):
            return self._anything()
        inner = place if len(options) == 1 else place.choice()
        written = [body for option in options for body in self._options(option, inner)]
        if not written:
            raise refuse(place.path, "takes nothing")
        return written[0] if len(written) == 1 else self.rules.any_of("one-of", written)

    def _anything(self) -> str:
        """A symbol for any value, which may hold any other."""
        if _ANYTHING not in self._references:
            name = self._references[_ANYTHING] = self.rules.reserve("anything")
            self.rules.define(name, self.value({"type": list(keywords.TYPES)}, Place("#")))
        return self._references[_ANYTHING]

    def _options(self, schema: Schema, place: Place) -> Iterator[str]:
        if "$ref" in schema:
            yield self._reference(schema["$ref"], place)
            return
        names = keywords.types(schema)
        if "const" in schema or "enum" in schema:
            for value in scalars.listed(schema, names, place.path):
                yield gbnf.literal(jsons.dumps(value, False))
            return
        for name in names:
            body = self._of_type(name, schema, place if len(names) == 1 else place.choice())
            if body is not None:
                yield body

    def _of_type(self, name: str, schema: Schema, place: Place) -> str | None:
        if name == "object":
            return objects.object_body(self, schema, place)
        if name == "array":
            return objects.array_body(self, schema, place)
        if name == "string":
            return scalars.string(self.rules, schema, place.path)
        if name in ("integer", "number"):
            return scalars.number(self.rules, schema, place.path, whole=name == "integer")
        return '"true" | "false"' if name == "boolean" else '"null"'

    def _reference(self, reference: str, place: Place) -> str:
        if reference in place.opened:
            raise refuse(place.path, f"refers to itself by {reference!r} before it says anything")
        if reference in place.needed:
            raise refuse(place.path, f"has no end: each value needs another one inside, by {reference!r}")
        if reference not in self._references:
            target = self._target(reference, place.path)
            name = self._references[reference] = self.rules.reserve(reference.rpartition("/")[2])
            self.rules.define(name, self.value(target, place.through(reference)))
        return self._references[reference]

    def _target(self, reference: str, path: str) -> Any:
        """What a JSON pointer of the schema points at (RFC 6901)."""
        if reference != "#" and not reference.startswith("#/"):
            raise refuse(path, f"refers to {reference!r}, which is not inside it", "write #/$defs/name")
        found = self._root
        for raw in reference.split("/")[1:]:
            step = _unquoted(raw).replace("~1", "/").replace("~0", "~")
            if isinstance(found, list) and step.isascii() and step.isdigit() and int(step) < len(found):
                found = found[int(step)]
            elif isinstance(found, dict) and step in found:
                found = found[step]
            else:
                raise refuse(path, f"refers to {reference!r}, which is not there")
        return found

    def _alternatives(self, schema: Any, place: Place, depth: int) -> Iterator[Schema]:
        """Schemas without alternatives that together take the same; a reference alone is left as it is."""
        if depth > _DEEPEST:
            raise refuse(place.path, "refers to itself without end")
        keywords.check(schema, place.path)
        if isinstance(schema, bool):
            if schema:
                yield {}
            return
        if set(schema) & {"$ref", "allOf", "anyOf", "oneOf"}:
            yield from self._combined(schema, place, depth)
        elif schema.get("nullable") is True and "type" not in schema:
            yield from ({**schema, "nullable": False}, {"type": "null"})
        else:
            yield schema

    def _combined(self, schema: Schema, place: Place, depth: int) -> list[Schema]:
        base = {
            word: value for word, value in schema.items() if word not in ("$ref", "allOf", "anyOf", "oneOf")
        }
        base = base if keywords.says(base) else {}
        if not base and "$ref" in schema and not set(schema) & {"allOf", "anyOf", "oneOf"}:
            return [{"$ref": schema["$ref"]}]
        parts = [[{"$ref": schema["$ref"]}]] if "$ref" in schema else []
        parts += [[one] for one in schema.get("allOf", ())]
        parts += [schema[word] for word in ("anyOf", "oneOf") if word in schema]
        found = [base]
        for options in parts:
            flat = [one for option in options for one in self._alternatives(option, place, depth + 1)]
            if len(found) * len(flat) > _MOST_ALTERNATIVES:
                raise refuse(place.path, f"has more than {_MOST_ALTERNATIVES} alternatives")
            found = [
                both for one in found for other in flat for both in self._joined(one, other, place, depth)
            ]
        if len(found) == 0:
            raise refuse(place.path, "takes nothing")
        return found

    def _joined(self, one: Schema, other: Schema, place: Place, depth: int) -> Iterator[Schema]:
        if not one or not other:
            yield one or other
            return
        for first in self._followed(one, place, depth):
            for second in self._followed(other, place, depth):
                both = merged(first, second, place.path)
                if both is not None:
                    yield both

    def _followed(self, schema: Schema, place: Place, depth: int) -> Iterator[Schema]:
        """What a schema that has to be joined with another one says, references looked up."""
        if "$ref" not in schema:
            yield schema
            return
        for found in self._alternatives(self._target(schema["$ref"], place.path), place, depth + 1):
            yield from self._followed(found, place, depth + 1) if "$ref" in found else (found,)


def _unquoted(text: str) -> str:
    """A part of a URI fragment without its percent signs."""
    if "%" not in text:
        return text
    from urllib.parse import unquote

    return unquote(text)
