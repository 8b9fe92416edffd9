"""A template as YAML that people read: short forms of references, and why each resource is there."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence

from firstlight.deploy.types import Att, Output, Ref, Resource, Stack, Sub, Value

_PLAIN = re.compile(r"[A-Za-z/][A-Za-z0-9 _./()-]*[A-Za-z0-9/)]|[A-Za-z]")
_TYPE = re.compile(r"[A-Za-z0-9]+(::[A-Za-z0-9]+)+")
_KEY = re.compile(r"[A-Za-z_][A-Za-z0-9_:./-]*")
_HIDDEN = re.compile("[\x7f-\x9f\u2028\u2029\ufeff\ufffe\uffff]")
_WORDS = frozenset({"yes", "no", "true", "false", "on", "off", "null", "y", "n"})
"""What YAML 1.1 reads as something else than text."""


def document(stack: Stack) -> str:
    """The whole template."""
    lines = [
        "AWSTemplateFormatVersion: '2010-09-09'",
        f"Description: {_scalar(stack.description)}",
        "",
        "Resources:",
    ]
    part = None
    for resource in stack.resources:
        if resource.part != part:
            part = resource.part
            lines += ["", f"  # ---- {part} ----"]
        lines += ["", *_resource(resource)]
    lines += ["", "Outputs:"]
    for output in stack.outputs:
        lines += _output(output)
    return "\n".join(lines) + "\n"


def entry(key: str, value: Value, indent: int = 0) -> str:
    """A key and its value, as a part of another document."""
    return "\n".join(_entry(key, value, indent)) + "\n"


def _resource(resource: Resource) -> Iterator[str]:
    yield f"  # {resource.why}"
    yield f"  {resource.id}:"
    yield f"    Type: {resource.type}"
    if resource.after:
        yield "    DependsOn:"
        yield from (f"      - {other}" for other in sorted(resource.after))
    if resource.keep:
        yield "    DeletionPolicy: RetainExceptOnCreate"
        yield "    UpdateReplacePolicy: Retain"
    yield from _entry("Properties", resource.properties, 4)


def _output(output: Output) -> Iterator[str]:
    yield f"  {output.name}:"
    yield f"    Description: {_scalar(output.description)}"
    yield from _entry("Value", output.value, 4)


def _entry(key: str, value: Value, indent: int) -> Iterator[str]:
    simple = _KEY.fullmatch(key) and not key.endswith(":") and key.lower() not in _WORDS
    name = key if simple else _quoted(key)
    yield from _value(f"{' ' * indent}{name}:", value, indent + 2)


def _value(head: str, value: Value, indent: int) -> Iterator[str]:
    if isinstance(value, Mapping) and value:
        yield head
        for key, inner in value.items():
            yield from _entry(key, inner, indent)
    elif isinstance(value, Sequence) and not isinstance(value, str) and value:
        yield head
        for inner in value:
            yield from _item(inner, indent)
    elif isinstance(value, str) and _is_block(value):
        yield f"{head} |{'' if value.endswith(chr(10)) else '-'}"
        yield from (f"{' ' * indent}{line}" if line else "" for line in value.rstrip("\n").split("\n"))
    else:
        yield f"{head} {_scalar(value)}"


def _item(value: Value, indent: int) -> Iterator[str]:
    dash = f"{' ' * indent}-"
    if isinstance(value, Mapping) and value:
        lines = [line for key, inner in value.items() for line in _entry(key, inner, indent + 2)]
        yield f"{dash} {lines[0].lstrip()}"
        yield from lines[1:]
    else:
        yield from _value(dash, value, indent + 2)


def _scalar(value: Value) -> str:
    if isinstance(value, Ref):
        return f"!Ref {value.resource}"
    if isinstance(value, Att):
        return f"!GetAtt {value.resource}.{value.name}"
    if isinstance(value, Sub):
        return f"!Sub {_quoted(value.text)}"
    if isinstance(value, str):
        return value if _is_plain(value) else _quoted(value)
    return json.dumps(value)


def _quoted(text: str) -> str:
    """Text as JSON writes it, which YAML reads, with what YAML does not print written as numbers."""
    return _HIDDEN.sub(lambda found: f"\\u{ord(found[0]):04x}", json.dumps(text, ensure_ascii=False))


def _is_block(text: str) -> bool:
    """Whether lines are readable as they are."""
    lines = text.removesuffix("\n").split("\n")
    readable = all(line.isprintable() and line == line.rstrip() for line in lines)
    return len(lines) > 1 and readable and bool(lines[0] and lines[-1]) and lines[0][0] != " "


def _is_plain(value: str) -> bool:
    if value.lower() in _WORDS:
        return False
    return bool(_PLAIN.fullmatch(value) or _TYPE.fullmatch(value))
