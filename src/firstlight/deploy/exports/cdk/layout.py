"""Python code laid out as people would: on one line where it fits, else one thing a line."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

WIDTH = 100


@dataclass(frozen=True, slots=True)
class Call:
    """A call: ``function(name=value, value)``; arguments without a name have an empty one.

    Attributes:
        opened: one argument a line in any case.
    """

    function: str
    arguments: tuple[tuple[str, Code], ...]
    opened: bool = False


@dataclass(frozen=True, slots=True)
class Text:
    """A text: literals, and expressions (marked True) whose values stand in it."""

    pieces: tuple[tuple[str, bool], ...]


Code: TypeAlias = "str | Call | Text | Sequence[Code] | Mapping[str, Code]"
"""Python: as it is (str), or something that can be laid out in more than one way."""


def laid_out(code: Code, indent: int = 0, before: int = 0, after: int = 1) -> str:
    """Code as text; its first line comes after what stands there.

    Args:
        indent: columns that the line begins with.
        before: characters between these columns and the code.
        after: characters behind the code.
    """
    if isinstance(code, str):
        return code
    opened = isinstance(code, Call) and code.opened
    if not opened and not _many_lines(code):
        line = _flat(code)
        if indent + before + len(line) + after <= WIDTH:
            return line
    return _open(code, indent)


def _flat(code: Code) -> str:
    if isinstance(code, str):
        return code
    if isinstance(code, Text):
        return _literal(code.pieces)
    if isinstance(code, Call):
        words = (f"{name}={_flat(value)}" if name else _flat(value) for name, value in code.arguments)
        return f"{code.function}({', '.join(words)})"
    if isinstance(code, Mapping):
        return "{" + ", ".join(f"{_key(key)}: {_flat(value)}" for key, value in code.items()) + "}"
    return "[" + ", ".join(map(_flat, code)) + "]"


def _open(code: Code, indent: int) -> str:
    inner = indent + 4
    if isinstance(code, Text):
        lines = _wrapped(code.pieces, WIDTH - inner)
        if len(lines) == 1:
            return lines[0]
        return _closed("(", (line for line in lines), ")", indent, comma=False)
    if isinstance(code, Call):
        if not code.arguments:
            return f"{code.function}()"
        heads = [(f"{name}=" if name else "", value) for name, value in code.arguments]
        lines = [head + laid_out(value, inner, len(head)) for head, value in heads]
        return _closed(f"{code.function}(", lines, ")", indent)
    if isinstance(code, Mapping):
        heads = [(f"{_key(key)}: ", value) for key, value in code.items()]
        lines = [head + laid_out(value, inner, len(head)) for head, value in heads]
        return _closed("{", lines, "}", indent)
    return _closed("[", [laid_out(value, inner) for value in code], "]", indent)


def _closed(opening: str, lines: Iterable[str], closing: str, indent: int, comma: bool = True) -> str:
    end = "," if comma else ""
    inner = "".join(f"{' ' * (indent + 4)}{line}{end}\n" for line in lines)
    return f"{opening}\n{inner}{' ' * indent}{closing}"


def _many_lines(code: Code) -> bool:
    """Whether a text in it has lines of its own."""
    if isinstance(code, str):
        return False
    if isinstance(code, Text):
        return any("\n" in text.rstrip("\n") for text, expression in code.pieces if not expression)
    if isinstance(code, Call):
        return any(_many_lines(value) for _, value in code.arguments)
    return any(map(_many_lines, code.values() if isinstance(code, Mapping) else code))


def _key(key: str) -> str:
    return _literal(((key, False),))


def _literal(pieces: Iterable[tuple[str, bool]]) -> str:
    """A string literal, formatted where expressions stand in it, in the quotes that need fewer escapes."""
    pieces = tuple(pieces)
    formatted = any(expression for _, expression in pieces)
    plain = "".join(text for text, expression in pieces if not expression)
    quote, other = ("'", '"') if plain.count('"') > plain.count("'") else ('"', "'")
    body = ""
    for text, expression in pieces:
        if expression:  # before Python 3.12 the quotes of the literal may not stand in an expression
            body += "{" + text.replace(quote, other) + "}"
        else:
            escaped = json.dumps(text, ensure_ascii=False)[1:-1]
            if quote == "'":
                escaped = escaped.replace('\\"', '"').replace("'", "\\'")
            body += escaped.replace("{", "{{").replace("}", "}}") if formatted else escaped
    return f"{'f' if formatted else ''}{quote}{body}{quote}"


def _wrapped(pieces: Iterable[tuple[str, bool]], room: int) -> list[str]:
    """Literals that stand for one text, each at most as long as there is room, if its words allow it."""
    lines: list[str] = []
    line: list[tuple[str, bool]] = []
    for word in _words(pieces):
        ended = bool(line) and line[-1][0].endswith("\n") and not line[-1][1]
        if line and (ended or len(_literal([*line, word])) > room):
            lines.append(_literal(line))
            line = []
        line.append(word)
    return [*lines, _literal(line)]


def _words(pieces: Iterable[tuple[str, bool]]) -> Iterable[tuple[str, bool]]:
    for text, expression in pieces:
        if expression:
            yield text, True
        else:
            yield from ((word, False) for word in re.findall(r"[^ \n]*[ ]*\n?", text) if word)
