"""``firstlight run``: one invocation in this process, without a server."""

from __future__ import annotations

import json
import os
import sys
import time
from typing import Any
from uuid import uuid4

import click

from firstlight.cli import given, output, wiring
from firstlight.runtime.errors import FirstlightError


@click.command()
@click.argument("name")
@click.argument("pairs", nargs=-1, metavar="[- | KEY=VALUE...]")
@click.option("-d", "--data", help="The event as JSON, @file, or - for stdin.")
@click.option("-f", "--file", help="A file with the event as JSON, or - for stdin.")
@click.option("--stage", help="Lay the tables of [stage.NAME] over the project.")
@output.json_option
def run(
    name: str, pairs: tuple[str, ...], data: str | None, file: str | None, stage: str | None, as_json: bool
) -> None:
    """Answer one event with endpoint NAME in this process.

    No worker, memory limit or timeout is involved, and nothing is recorded: this is for trying a script or a model.
    """
    event = json.loads(given.event(data, file, pairs))
    project = wiring.project_here(stage)
    endpoint = wiring.endpoint_of(project, name)
    answer, warnings = _answer(wiring.handler_of(project, endpoint), event, endpoint.timeout)
    for text in warnings:
        output.warn(text)
    if as_json:
        payload = answer.decode("utf-8", "replace") if isinstance(answer, bytes) else answer
        output.json_line({"endpoint": name, "payload": payload, "warnings": warnings})
    elif isinstance(answer, bytes):
        sys.stdout.buffer.write(answer)
        sys.stdout.buffer.flush()
    else:
        output.json_pretty(answer)


def _answer(handler: Any, event: Any, timeout: float) -> tuple[Any, list[str]]:
    """The handler's answer (a stream is joined) and its warnings; what the user's code raises keeps its trace."""
    from firstlight.runtime import notes
    from firstlight.runtime.context import LambdaContext

    notes.clear()
    deadline = {"lambda-runtime-deadline-ms": str(int((time.time() + timeout) * 1000))}
    try:
        answer = handler(
            event, LambdaContext({**deadline, "lambda-runtime-aws-request-id": str(uuid4())}, os.environ)
        )
        if hasattr(answer, "__next__"):
            answer = b"".join(piece if isinstance(piece, bytes) else str(piece).encode() for piece in answer)
    except FirstlightError:
        raise
    except Exception as error:
        import traceback

        output.note("".join(traceback.format_exception(error)[2:]).rstrip())
        raise FirstlightError(f"{type(error).__name__}: {error}") from error
    return answer, list(notes.warnings)
