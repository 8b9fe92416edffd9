"""``firstlight serve``: options of the server, checked before anything is started."""

from __future__ import annotations

import click

from firstlight.cli import output, preparing, wiring


@click.command()
@click.argument("models", nargs=-1, metavar="[MODEL]...")
@click.option(
    "--host", default="127.0.0.1", show_default=True, envvar="FIRSTLIGHT_HOST", help="Address to listen on."
)
@click.option(
    "--port",
    type=click.IntRange(0, 65535),
    default=8400,
    show_default=True,
    envvar="FIRSTLIGHT_PORT",
    help="Port to listen on; 0 takes a free one.",
)
@click.option("--reload", is_flag=True, help="Serve changes of the project as they are saved.")
@click.option("--stage", help="Lay the tables of [stage.NAME] over the project.")
@click.option(
    "--token",
    envvar="FIRSTLIGHT_TOKEN",
    help="Ask callers for this token (made up where --host is not local).",
)
@click.option(
    "--strict", is_flag=True, help="Run every worker as AWS Lambda's sandbox would: read-only, and so on."
)
@output.json_option
def serve(
    models: tuple[str, ...],
    host: str,
    port: int,
    reload: bool,
    stage: str | None,
    token: str | None,
    strict: bool,
    as_json: bool,
) -> None:
    """Serve the project in this folder, or the starter endpoints where there is none, until Ctrl-C.

    Where MODELs are named (a .gguf file, a model folder, starter:NAME) it serves those and nothing else.
    AWS SDKs, huggingface_hub, openai, curl and a browser can talk to it; the page at / shows every endpoint.
    """
    from firstlight.cli import server

    socket = server.listen(host, port)
    with socket:
        if models and (reload or stage):
            raise click.UsageError("--reload and --stage are of a project, not of models that are named")
        project = wiring.project_here(stage) if not models else wiring.project_of(models)
        prepare = preparing.prepare
        if strict:
            from firstlight.cli import strict as sandbox

            sandbox.say()
            prepare = sandbox.prepare
        token = token or server.needed_token(host)
        prepared = prepare(project, output.note)
        server.Server(
            prepared, socket, host, token, prepare, reload=reload, stage=stage, as_json=as_json
        ).run()
