"""``firstlight jobs``: what a running server answers later, by its ``/v1/jobs``."""

from __future__ import annotations

import functools
import json
import os
import sys
import time
from collections.abc import Callable, Iterator
from typing import Any, TypeVar
from urllib.parse import quote, urlencode

import click

from firstlight.cli import output, wiring
from firstlight.cli.client import Server, Unreached, asked, refusal, sent

_STATUSES = ("starting", "processing", "succeeded", "failed", "canceled")
_FINAL = _STATUSES[2:]
_COLOURS = {"succeeded": "green", "failed": "red", "canceled": "yellow"}
_TIMEOUT = 60.0
_AGAIN_S = 0.5
"""Seconds between two attempts to reach a server again."""

Verb = TypeVar("Verb", bound=Callable[..., Any])


class _ListByDefault(click.Group):
    """``firstlight jobs --status failed`` is ``firstlight jobs list --status failed``."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        if not args or (args[0].startswith("-") and not {"-h", "--help"} & set(args)):
            args = ["list", *args]
        return super().parse_args(ctx, args)


@click.group(cls=_ListByDefault)
def jobs() -> None:
    """List, watch, fetch or cancel what a running server answers later."""


def _of_server(verb: Verb) -> Verb:
    """The options that say which server; the verb is given it."""

    @click.option("--url", help="The server (default: the one that serves this project).")
    @click.option("--token", help="Its token (default: FIRSTLIGHT_TOKEN, or what the server noted).")
    @output.json_option
    @functools.wraps(verb)
    def with_server(*args: Any, url: str | None, token: str | None, **more: Any) -> Any:
        return verb(Server.find(url, token, wiring.data_dir_here(), os.environ), *args, **more)

    return with_server  # type: ignore[return-value]


@jobs.command("list")
@click.option("--endpoint", help="Only those of this endpoint.")
@click.option("--status", type=click.Choice(_STATUSES), help="Only those that are in this state.")
@click.option(
    "--limit", type=click.IntRange(1, 200), default=20, show_default=True, help="At most this many."
)
@_of_server
def list_jobs(server: Server, endpoint: str | None, status: str | None, limit: int, as_json: bool) -> None:
    """List jobs, the newest first."""
    chosen = {"endpoint": endpoint, "status": status, "limit": limit}
    query = urlencode({name: value for name, value in chosen.items() if value is not None})
    found = asked(server, "GET", f"/v1/jobs?{query}", None, _TIMEOUT)["jobs"]
    if as_json:
        output.json_line(found)
        return
    heads = ("ID", "ENDPOINT", "STATUS", "ATTEMPTS", "CREATED", "ERROR")
    output.table(heads, [_cells(job) for job in found])


@jobs.command()
@click.argument("job_id", metavar="ID")
@click.option("--wait", type=click.IntRange(0, 900), default=0, help="Wait so many seconds for its end.")
@click.option("--inputs", is_flag=True, help="Show what it was asked too.")
@_of_server
def get(server: Server, job_id: str, wait: int, inputs: bool, as_json: bool) -> None:
    """Show job ID as JSON."""
    query = urlencode({"wait": wait, **({"inputs": "true"} if inputs else {})})
    job = asked(server, "GET", f"{_place(job_id)}?{query}", None, _TIMEOUT + wait)
    (output.json_line if as_json else output.json_pretty)(job)


@jobs.command()
@click.argument("job_id", metavar="ID")
@_of_server
def cancel(server: Server, job_id: str, as_json: bool) -> None:
    """End job ID; the work stops."""
    job = asked(server, "POST", f"{_place(job_id)}/cancel", None, _TIMEOUT)
    if as_json:
        output.json_line(job)
    else:
        click.echo(job["status"])


@jobs.command()
@click.argument("job_id", metavar="ID")
@click.option("--wait", type=click.IntRange(0, 900), default=0, help="Wait so many seconds for it.")
@_of_server
def result(server: Server, job_id: str, wait: int, as_json: bool) -> None:
    """Print the answer of job ID as it is; ends with 1 where the job did not succeed."""
    status, raw = _result(server, job_id, wait)
    if as_json:
        output.json_line({"id": job_id, "statusCode": status, "body": raw.decode("utf-8", "replace")})
    else:
        _write(raw)
    if status >= 400:
        raise click.exceptions.Exit(1)


@jobs.command()
@click.argument("job_id", metavar="ID")
@click.option(
    "--timeout",
    type=click.FloatRange(0, 3600),
    default=60.0,
    show_default=True,
    help="Seconds for which a server that is gone is looked for again.",
)
@_of_server
def watch(server: Server, job_id: str, timeout: float, as_json: bool) -> None:
    """Show what job ID puts out, from its beginning to its end; ends with 1 where it does not succeed.

    A connection that is lost is taken up where it was, also when the server was started anew.
    """
    said, status = False, ""
    for event in _events(server, job_id, timeout):
        kind, told = event["event"], event["data"]
        if kind == "completed":
            status = told["status"]
        if as_json:
            output.json_line(event)
        elif kind == "output":
            said = True
            _write_text(told["text"])
        else:
            _note(kind, told)
    if not as_json and status == "succeeded":
        _write_text("" if said else _result(server, job_id, 0)[1].decode("utf-8", "replace"))
        _write(b"\n")
    if status != "succeeded":
        raise click.exceptions.Exit(1)


def _note(kind: str, told: dict[str, Any]) -> None:
    """What is no output goes to stderr."""
    if kind == "log":
        output.note(output.printable(str(told["text"])).rstrip())
    elif kind == "start" and told.get("attempt", 1) > 1:
        output.note(f"begun again, attempt {told['attempt']}")
    elif kind == "completed" and told["status"] != "succeeded":
        why = f": {output.printable(str(told['error']))}" if told.get("error") else ""
        output.note(f"{click.style(told['status'], fg=_COLOURS[told['status']])}{why}")


def _events(server: Server, job_id: str, timeout: float) -> Iterator[dict[str, Any]]:
    """The events of a job; a server that is gone is looked for until ``timeout`` seconds have passed."""
    after, last = 0, time.monotonic() + timeout
    while True:
        try:
            for event in _read(server, job_id, after):
                after, last = event["id"], time.monotonic() + timeout
                yield event
                if event["event"] == "completed":
                    return
            job = asked(server, "GET", _place(job_id), None, _TIMEOUT)
            if job["status"] in _FINAL:
                yield {"id": after + 1, "event": "completed", "data": job}
                return
        except Unreached:
            if time.monotonic() >= last:
                raise
        time.sleep(_AGAIN_S)


def _read(server: Server, job_id: str, after: int) -> Iterator[dict[str, Any]]:
    """The events of one connection, those after a number."""
    headers = {**server.credentials, "Last-Event-ID": str(after)}
    with sent(server.url, f"{_place(job_id)}/stream", b"", headers, _TIMEOUT, "GET") as response:
        if response.status == 204:
            return
        if response.status != 200:
            raise refusal(server, response.status, response.read())
        fields: dict[str, str] = {}
        for raw in response:
            name, _, value = raw.decode().rstrip("\n").partition(": ")
            if name:
                fields[name] = value
            elif "data" in fields:
                number, data = int(fields["id"]), json.loads(fields["data"])
                yield {"id": number, "event": fields["event"], "data": data}
                fields = {}


def _result(server: Server, job_id: str, wait: int) -> tuple[int, bytes]:
    path = f"{_place(job_id)}/result?wait={wait}"
    with sent(server.url, path, b"", server.credentials, _TIMEOUT + wait, "GET") as response:
        raw = response.read()
        if response.status == 202:
            raise click.ClickException(
                f"job {job_id} is not done yet; `firstlight jobs watch {job_id}` shows it"
            )
        if response.getheader("content-location") is None:  # not the job's own answer
            raise refusal(server, response.status, raw)
        return (500 if response.getheader("x-amz-function-error") else response.status), raw


def _place(job_id: str) -> str:
    return f"/v1/jobs/{quote(job_id, safe='')}"


def _cells(job: dict[str, Any]) -> tuple[str, ...]:
    created, error = str(job["created_at"] or "")[:19].replace("T", " "), str(job["error"] or "")
    return (
        job["id"],
        job["endpoint"],
        job["status"],
        str(job["attempts"]),
        created,
        error.replace("\n", " ")[:80],
    )


def _write_text(text: str) -> None:
    """Text as it is into a file; into a terminal without what could rewrite it."""
    shown = output.printable(text) if sys.stdout.isatty() else text
    _write(output.encodable(shown).encode(sys.stdout.encoding or "utf-8"))


def _write(raw: bytes) -> None:
    sys.stdout.flush()
    sys.stdout.buffer.write(raw)
    sys.stdout.buffer.flush()
