"""``firstlight invoke``: one invocation through the running server, by the same API an AWS SDK would use."""

from __future__ import annotations

import base64
import json
import os
from typing import Any

import click

from firstlight.cli import given, output, streamed, wiring
from firstlight.cli.client import Server, answer_of, handed_in, stream_of


@click.command()
@click.argument("name")
@click.argument("pairs", nargs=-1, metavar="[- | KEY=VALUE...]")
@click.option("-d", "--data", help="The event as JSON, @file, or - for stdin.")
@click.option("-f", "--file", help="A file with the event as JSON, or - for stdin.")
@click.option("--tail", is_flag=True, help="Show the end of the function's log too.")
@click.option("--stream", is_flag=True, help="Print the answer piece by piece, as it is made.")
@click.option("--async", "later", is_flag=True, help="Do not wait: print the id of the job that it becomes.")
@click.option(
    "--qualifier", help="A version or an alias of it, as `firstlight publish` and `alias` make them."
)
@click.option("--url", help="The server (default: the one that serves this project).")
@click.option("--token", help="Its token (default: FIRSTLIGHT_TOKEN, or what the server noted).")
@click.option(
    "--timeout", type=click.FloatRange(0.1, 3600), default=900.0, help="Seconds to wait for the answer."
)
@output.json_option
def invoke(
    name: str,
    pairs: tuple[str, ...],
    data: str | None,
    file: str | None,
    tail: bool,
    stream: bool,
    later: bool,
    qualifier: str | None,
    url: str | None,
    token: str | None,
    timeout: float,
    as_json: bool,
) -> None:
    """Send inputs to endpoint NAME of a running server and print its answer.

    The inputs are JSON (-d, -f), or KEY=VALUE: inputs="what a lovely day", inputs.question=@question.txt,
    parameters.top_k=2.
    """
    if later and (stream or tail):
        raise click.UsageError("--async does not wait: `firstlight jobs watch` shows what a job says")
    event = given.event(data, file, pairs)
    server = Server.find(url, token, wiring.data_dir_here(), os.environ)
    if later:
        _hand_in(server, name, event, timeout, qualifier, as_json)
        return
    if stream:
        streamed.show(stream_of(server, name, streamed.asking(event), timeout, qualifier), as_json)
        return
    answer = answer_of(server, name, event, tail=tail or as_json, timeout=timeout, qualifier=qualifier)
    if as_json:
        output.json_line({"endpoint": name, **answer, "payload": _parsed(answer["payload"])})
    else:
        _print(answer, tail)
    if answer["functionError"]:
        raise click.exceptions.Exit(1)


def _hand_in(
    server: Server, name: str, event: bytes, timeout: float, qualifier: str | None, as_json: bool
) -> None:
    job_id = handed_in(server, name, event, timeout, qualifier)
    if as_json:
        output.json_line({"endpoint": name, "id": job_id, "status": "starting"})
    else:
        click.echo(job_id)


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
