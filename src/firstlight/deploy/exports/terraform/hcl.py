"""Terraform's configuration language as text, in the layout of ``terraform fmt`` (HCL native syntax specification)."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

_HEREDOC = "<<-EOT"
_WORD = re.compile(r"[A-Za-z_][A-Za-z0-9_-]*")


@dataclass(frozen=True, slots=True)
class Raw:
    """An expression as it stands: ``aws_lambda_alias.qa.arn``."""

    text: str


@dataclass(frozen=True, slots=True)
class Template:
    """Text with expressions in it."""

    pieces: tuple[str | Raw, ...]


@dataclass(frozen=True, slots=True)
class Json:
    """A value that becomes JSON."""

    value: Any


@dataclass(frozen=True, slots=True)
class Block:
    """A block inside a block; where there may be several, a list of them."""

    body: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Top:
    """A block of its own.

    Attributes:
        kind: ``resource``, ``data``, ``output``, ...
        labels: such as type and name.
        comment: what it is there for.
    """

    kind: str
    labels: tuple[str, ...]
    body: Mapping[str, Any] = field(default_factory=dict)
    comment: str = ""


def document(blocks: Sequence[Top]) -> str:
    """A file."""
    return "\n".join("\n".join(_top(block)) + "\n" for block in blocks)


def _top(block: Top) -> Iterator[str]:
    if block.comment:
        yield from (f"# {line}" for line in block.comment.split("\n"))
    labels = "".join(f' "{label}"' for label in block.labels)
    if not block.body:
        yield f"{block.kind}{labels} {{}}"
        return
    yield f"{block.kind}{labels} {{"
    yield from _body(block.body, 1)
    yield "}"


def _body(body: Mapping[str, Any], depth: int) -> Iterator[str]:
    """Arguments, then blocks; equals signs of neighbours that take one line stand below each other."""
    arguments = [(key, _argument(value, depth)) for key, value in body.items() if not _blocks(value)]
    yield from _aligned(arguments, depth)
    first = not arguments
    for key, value in body.items():
        for block in _blocks(value):
            if not first:
                yield ""
            first = False
            if not block.body:
                yield f"{_space(depth)}{key} {{}}"
                continue
            yield f"{_space(depth)}{key} {{"
            yield from _body(block.body, depth + 1)
            yield f"{_space(depth)}}}"


def _aligned(arguments: Sequence[tuple[str, str]], depth: int) -> Iterator[str]:
    group: list[tuple[str, str]] = []
    for number, (key, text) in enumerate(arguments):
        if "\n" not in text:
            group.append((key, text))
            continue
        yield from _group(group, depth)
        group = []
        apart = text.startswith(_HEREDOC)
        if apart and number:
            yield ""
        yield f"{_space(depth)}{key} = {text}"
        if apart and number + 1 < len(arguments):
            yield ""
    yield from _group(group, depth)


def _group(group: Sequence[tuple[str, str]], depth: int) -> Iterator[str]:
    widest = max((len(key) for key, _ in group), default=0)
    yield from (f"{_space(depth)}{key:<{widest}} = {text}" for key, text in group)


def _argument(value: Any, depth: int) -> str:
    """A value of an argument: text of several lines as it stands (a heredoc), all else as an expression."""
    lines = value.split("\n") if isinstance(value, str) else []
    if len(lines) < 3 or lines[-1] or "EOT" in value or not all(line.strip() for line in lines[:-1]):
        return expression(value, depth)
    if lines[0][0].isspace() or not all(line.isprintable() for line in lines):
        return expression(value, depth)
    inner = [_space(depth + 1) + line.replace("${", "$${").replace("%{", "%%{") for line in lines[:-1]]
    return "\n".join([_HEREDOC, *inner, f"{_space(depth)}EOT"])


def expression(value: Any, depth: int = 0) -> str:
    """A value as an expression."""
    if isinstance(value, Raw):
        return value.text
    if isinstance(value, Json):
        return f"jsonencode({expression(value.value, depth)})"
    if isinstance(value, (str, Template)):
        return quoted(value)
    if isinstance(value, Mapping):
        return _object(value, depth)
    if isinstance(value, Sequence):
        return _list(value, depth)
    whole = isinstance(value, float) and value.is_integer()
    return json.dumps(int(value) if whole else value)


def quoted(value: str | Template) -> str:
    """Text between quotes, what looks like a template taken literally."""
    pieces = (value,) if isinstance(value, str) else value.pieces
    return (
        '"' + "".join(f"${{{one.text}}}" if isinstance(one, Raw) else _literal(one) for one in pieces) + '"'
    )


def _literal(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n").replace("\r", "\\r")
    return escaped.replace("\t", "\\t").replace("${", "$${").replace("%{", "%%{")


def _object(value: Mapping[str, Any], depth: int) -> str:
    if not value:
        return "{}"
    items = [
        (key if _WORD.fullmatch(key) else quoted(key), expression(inner, depth + 1))
        for key, inner in value.items()
    ]
    return "\n".join(["{", *_aligned(items, depth + 1), f"{_space(depth)}}}"])


def _list(value: Sequence[Any], depth: int) -> str:
    flat = [expression(inner, depth) for inner in value]
    line = f"[{', '.join(flat)}]"
    if "\n" not in line and len(line) + 2 * depth < 80:
        return line
    items = [f"{_space(depth + 1)}{expression(inner, depth + 1)}," for inner in value]
    return "\n".join(["[", *items, f"{_space(depth)}]"])


def _blocks(value: Any) -> Sequence[Block]:
    if isinstance(value, Block):
        return [value]
    if isinstance(value, list) and value and all(isinstance(inner, Block) for inner in value):
        return value
    return []


def _space(depth: int) -> str:
    return "  " * depth
