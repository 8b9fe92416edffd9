"""What an invocation's answer looks like in a terminal, wherever it came from."""

from __future__ import annotations

import base64
import json
from typing import Any

import click

from firstlight.cli import output


def show(name: str, answer: dict[str, Any], tail: bool, as_json: bool) -> None:
    """Print an answer.

    Args:
        answer: ``functionError``, ``payload`` (bytes), ``log`` and more, as ``client.answer_of`` has them.
        tail: show the end of the log too.

    Raises:
        click.exceptions.Exit: the function failed; what it raised has been printed.
    """
    if as_json:
        output.json_line({"endpoint": name, **answer, "payload": _parsed(answer["payload"])})
    else:
        _print(answer, tail)
    if answer["functionError"]:
        raise click.exceptions.Exit(1)


def show_id(name: str, request_id: str, as_json: bool) -> None:
    """Print the id of an invocation that nobody waits for."""
    if as_json:
        output.json_line({"endpoint": name, "id": request_id, "status": "starting"})
    else:
        click.echo(request_id)


def _print(answer: dict[str, Any], tail: bool) -> None:
    payload = _parsed(answer["payload"])
    if tail and answer["log"]:
        output.note(output.printable(answer["log"]).rstrip())
    if not answer["functionError"]:
        output.json_pretty(payload)
        return
    output.explain_function_error(payload)


def _parsed(payload: bytes) -> Any:
    """The answer's JSON; text, or base64 where a function streamed something that is neither."""
    try:
        return json.loads(payload) if payload else None
    except ValueError:
        pass
    try:
        return payload.decode("utf-8")
    except UnicodeDecodeError:
        return base64.b64encode(payload).decode("ascii")
