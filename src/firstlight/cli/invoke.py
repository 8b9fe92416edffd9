"""``firstlight invoke``: one invocation through the running server, by the same API an AWS SDK would use."""

from __future__ import annotations

import os

import click

from firstlight.cli import account, answers, given, output, streamed, wiring
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
@click.option("--remote", is_flag=True, help="Call what is deployed on AWS instead of a server.")
@click.option("--stage", help="With --remote: lay the tables of [stage.NAME] over the project.")
@account.options
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
    remote: bool,
    stage: str | None,
    region: str | None,
    profile: str | None,
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
    account.check(remote, stage=stage, region=region, profile=profile)
    if remote and (url or token):
        raise click.UsageError("--remote is AWS's own API: --url and --token belong to a server of yours")
    event = given.event(data, file, pairs)
    if remote:
        from firstlight.cli import remote_invoke

        calling = remote_invoke.caller(stage, region, profile, timeout)
        remote_invoke.show(
            calling, name, event, qualifier, tail=tail, stream=stream, later=later, as_json=as_json
        )
        return
    server = Server.find(url, token, wiring.data_dir_here(), os.environ)
    if later:
        answers.show_id(name, handed_in(server, name, event, timeout, qualifier), as_json)
    elif stream:
        streamed.show(stream_of(server, name, streamed.asking(event), timeout, qualifier), as_json)
    else:
        answer = answer_of(server, name, event, tail=tail or as_json, timeout=timeout, qualifier=qualifier)
        answers.show(name, answer, tail, as_json)
