"""What a streamed answer looks like in a terminal: the text as it is generated, then what it took."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterable, Iterator
from typing import Any

import click

from firstlight.cli import output
from firstlight.cli.client import FunctionFailed

_DATA = b"data:"


def asking(event: bytes) -> bytes:
    """The event, with the wish for a stream where it is an object that says nothing of it."""
    value = json.loads(event)
    if isinstance(value, dict) and "stream" not in value:
        return json.dumps({**value, "stream": True}).encode()
    return event


def show(pieces: Iterable[bytes], as_json: bool) -> None:
    """Print an answer as its pieces arrive: generated text as text, any other bytes as they are.

    Args:
        pieces: Server-Sent Events of a generating task, or whatever a script streams.
        as_json: print every event on a line of its own instead.

    Raises:
        click.exceptions.Exit: the function failed; what it raised has been printed.
    """
    try:
        for event in events(pieces):
            if isinstance(event, bytes):
                _write(event)
            elif as_json:
                output.json_line(event)
            else:
                _show_event(event)
    except FunctionFailed as error:
        click.echo()
        output.explain_function_error(error.payload)
        raise click.exceptions.Exit(1) from None


def events(pieces: Iterable[bytes]) -> Iterator[dict[str, Any] | bytes]:
    """The events in pieces of a stream, wherever these were cut; the pieces themselves where they are none."""
    held, plain = b"", None
    started = time.monotonic()
    for piece in pieces:
        held += piece
        if plain is None:
            if len(held) < len(_DATA):
                continue
            plain = not held.startswith(_DATA)
        if plain:
            yield held
            held = b""
            continue
        *whole, held = held.split(b"\n\n")
        for text in whole:
            event = json.loads(text.removeprefix(_DATA))
            yield {**event, "elapsed_ms": round((time.monotonic() - started) * 1000, 3)}
    if held:
        yield held


def _show_event(event: dict[str, Any]) -> None:
    token, details = event.get("token") or {}, event.get("details")
    _write(
        output.encodable(output.printable(str(token.get("text", "")))).encode(sys.stdout.encoding or "utf-8")
    )
    if details is not None:
        _write(b"\n")
        output.note(click.style(_summary(details, event["elapsed_ms"] / 1000), dim=True))


def _summary(details: dict[str, Any], seconds: float) -> str:
    count = details.get("generated_tokens") or 0
    said = f"{count} tokens in {seconds:.1f} s"
    if count and seconds:
        said += f", {count / seconds:.0f} a second"
    reason = str(details.get("finish_reason"))
    if details.get("deadline"):
        reason = "the deadline; parameters.continuation goes on from here"
    return f"{said}; ended by {reason}"


def _write(raw: bytes) -> None:
    sys.stdout.flush()
    sys.stdout.buffer.write(raw)
    sys.stdout.buffer.flush()
