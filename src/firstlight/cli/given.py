"""The inputs a user gives a verb on the command line, as one JSON event."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import click

from firstlight.runtime.errors import InvalidInput

_EXAMPLE = """for example -d '{"inputs": "what a lovely day"}', or inputs="what a lovely day\""""


def event(data: str | None, file: str | None, pairs: tuple[str, ...]) -> bytes:
    """The event, as bytes of JSON.

    Args:
        data: JSON text, ``@file`` or ``-`` for stdin.
        file: path of a file with JSON, or ``-``.
        pairs: ``key=value``, also ``inputs.question=...`` and ``key=@file``; or ``-`` alone for stdin.

    Raises:
        click.UsageError: more or less than one of the three is given.
        InvalidInput: what is given is not JSON, or a file cannot be read.
    """
    if pairs == ("-",):
        pairs, file = (), file or "-"
    if sum(map(bool, (data is not None, file is not None, pairs))) != 1:
        raise click.UsageError("give the inputs once: with -d, with -f, or as key=value")
    if pairs:
        return json.dumps(_from_pairs(pairs)).encode()
    if data is not None and not data.startswith("@") and data != "-":
        return _checked(data.encode("utf-8", "surrogateescape"), "-d")
    path = file if file is not None else (data or "-").removeprefix("@")
    return _checked(_read(path), "stdin" if path == "-" else path)


def _checked(raw: bytes, where: str) -> bytes:
    try:
        json.loads(raw)
    except (ValueError, RecursionError) as error:
        raise InvalidInput(f"{where} is not JSON: {error}", _EXAMPLE) from error
    return raw


def _read(path: str) -> bytes:
    try:
        return sys.stdin.buffer.read() if path == "-" else Path(path).read_bytes()
    except OSError as error:
        raise InvalidInput(f"{path} cannot be read: {error.strerror}", "check the path") from error


def _from_pairs(pairs: tuple[str, ...]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for pair in pairs:
        key, equals, text = pair.partition("=")
        if not equals or not all(key.split(".")):
            raise click.UsageError(f"{pair!r} is not key=value")
        _set(found, key, _value(key, text))
    return found


def _set(found: dict[str, Any], key: str, value: Any) -> None:
    *tables, last = key.split(".")
    for name in tables:
        found = found.setdefault(name, {})
        if not isinstance(found, dict):
            raise click.UsageError(f"{key!r}: {name!r} already has a value")
    if last in found:
        raise click.UsageError(f"{key!r} is given twice")
    found[last] = value


def _value(key: str, text: str) -> Any:
    """A value: the content of ``@file``; a number, list or so under ``parameters.``; text everywhere else."""
    if text.startswith("@"):
        return _read(text[1:]).decode("utf-8", "replace")
    if key.startswith("parameters."):
        try:
            return json.loads(text)
        except ValueError:
            return text
    return text
