"""``firstlight run``: one invocation in this process, without a server."""

from __future__ import annotations

import contextlib
import json
import os
import sys
import time
from collections.abc import Iterator
from typing import Any
from uuid import uuid4

import click

from firstlight.cli import given, output, preparing, wiring
from firstlight.runtime.errors import FirstlightError


@click.command()
@click.argument("name")
@click.argument("pairs", nargs=-1, metavar="[- | KEY=VALUE...]")
@click.option("-d", "--data", help="The event as JSON, @file, or - for stdin.")
@click.option("-f", "--file", help="A file with the event as JSON, or - for stdin.")
@click.option("--stream", is_flag=True, help="Print the answer piece by piece, as it is made.")
@click.option("--stage", help="Lay the tables of [stage.NAME] over the project.")
@click.option(
    "--strict", is_flag=True, help="Run it in a worker as AWS Lambda's sandbox would: read-only, and so on."
)
@output.json_option
def run(
    name: str,
    pairs: tuple[str, ...],
    data: str | None,
    file: str | None,
    stream: bool,
    stage: str | None,
    strict: bool,
    as_json: bool,
) -> None:
    """Answer one event with endpoint NAME, or with a model (a .gguf file, a folder, starter:NAME), in this process.

    No worker, memory limit or timeout is involved, and nothing is recorded: this is for trying a script or a model.
    """
    event = given.event(data, file, pairs)
    project = wiring.project_here(stage)
    endpoint = wiring.endpoint_of(project, name)
    if strict:
        if stream:
            raise click.UsageError("--strict prints the whole answer: leave --stream out")
        from firstlight.cli import strict as sandbox

        sandbox.show(sandbox.answer(project, endpoint, event), name, as_json)
        return
    handler = preparing.handler_of(project, endpoint, output.note)
    if stream:
        from firstlight.cli import streamed

        streamed.show(_pieces(handler, streamed.asking(event), endpoint.timeout), as_json)
        return
    answer, warnings = _answer(handler, json.loads(event), endpoint.timeout)
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
    """The handler's answer (a stream is joined) and its warnings."""
    from firstlight.runtime import notes

    with _explained():
        answer = _called(handler, event, timeout)
        if hasattr(answer, "__next__"):
            answer = b"".join(piece if isinstance(piece, bytes) else str(piece).encode() for piece in answer)
    return answer, list(notes.warnings)


def _pieces(handler: Any, event: bytes, timeout: float) -> Iterator[bytes]:
    """The handler's answer in pieces, warnings printed once it is complete."""
    from firstlight.runtime import notes, streaming

    with _explained():
        answer = _called(handler, json.loads(event), timeout)
        stream = streaming.stream(answer)
        if stream is None:
            yield json.dumps(answer, ensure_ascii=False).encode("utf-8", "replace") + b"\n"
        else:
            yield from stream[1]
    for text in notes.warnings:
        output.warn(text)


def _called(handler: Any, event: Any, timeout: float) -> Any:
    from firstlight.runtime import deadline, notes
    from firstlight.runtime.context import LambdaContext

    notes.clear()
    deadline_ms = int((time.time() + timeout) * 1000)
    deadline.begin(deadline_ms)
    headers = {"lambda-runtime-deadline-ms": str(deadline_ms), "lambda-runtime-aws-request-id": str(uuid4())}
    return handler(event, LambdaContext(headers, os.environ))


@contextlib.contextmanager
def _explained() -> Iterator[None]:
    """What the user's code raises keeps its trace; the deadline of the call is none of what follows."""
    from firstlight.runtime import deadline

    try:
        yield
    except FirstlightError:
        raise
    except Exception as error:
        import traceback

        frames = [frame for frame in traceback.extract_tb(error.__traceback__) if frame.filename != __file__]
        output.note(
            "".join([*traceback.format_list(frames), *traceback.format_exception_only(error)]).rstrip()
        )
        raise FirstlightError(f"{type(error).__name__}: {error}") from error
    finally:
        deadline.begin(0)
