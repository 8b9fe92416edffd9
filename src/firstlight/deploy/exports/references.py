"""Which resources a value refers to, and texts taken apart at what they refer to."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from firstlight.deploy.types import Att, Ref, Resource, Sub

_PLACE = re.compile(r"\$\{([^}]*)\}")
PSEUDO = "AWS::"
"""What the names of pseudo parameters begin with: ``AWS::Region``."""


def pieces(text: Sub) -> list[str | Ref | Att]:
    """A text taken apart: literals, and what stands in ``${...}`` (``${!Word}`` is the literal ``${Word}``)."""
    found: list[str | Ref | Att] = []
    end = 0
    for match in _PLACE.finditer(text.text):
        _add(found, text.text[end : match.start()])
        end, word = match.end(), match[1]
        if word.startswith("!"):
            _add(found, "${" + word[1:] + "}")
        elif "." in word:
            found.append(Att(*word.split(".", 1)))
        else:
            found.append(Ref(word))
    _add(found, text.text[end:])
    return found


def references(value: Any) -> Iterator[Ref | Att]:
    """Everything in a value that stands for something else; pseudo parameters too."""
    if isinstance(value, (Ref, Att)):
        yield value
    elif isinstance(value, Sub):
        yield from (piece for piece in pieces(value) if not isinstance(piece, str))
    elif isinstance(value, Mapping):
        for inner in value.values():
            yield from references(inner)
    elif isinstance(value, Sequence) and not isinstance(value, str):
        for inner in value:
            yield from references(inner)


def needs(resource: Resource) -> set[str]:
    """Logical ids of the resources that one comes after."""
    named = {found.resource for found in references(resource.properties)}
    return {name for name in named if not name.startswith(PSEUDO)} | set(resource.after)


def _add(found: list[str | Ref | Att], literal: str) -> None:
    """A literal joins one that stands before it."""
    if not literal:
        return
    if found and isinstance(found[-1], str):
        found[-1] += literal
    else:
        found.append(literal)
