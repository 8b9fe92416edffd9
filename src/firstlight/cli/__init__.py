"""The ``firstlight`` command: one verb a file, imported when it is called."""

from __future__ import annotations

import os
import sys
from importlib import import_module

import click

from firstlight import __version__
from firstlight.cli import output
from firstlight.runtime.errors import FirstlightError

VERBS = {
    "serve": ("Serve the project, or the starter endpoints, on this machine.", "serve:serve"),
    "init": ("Begin a project: firstlight.toml and a first script.", "init:init"),
    "add": ("Make an endpoint of a model of the hub, a folder or a file.", "add:add"),
    "invoke": ("Send inputs to an endpoint of a running server.", "invoke:invoke"),
    "jobs": ("List, watch, fetch or cancel what a running server answers later.", "jobs:jobs"),
    "run": ("Run an endpoint once in this process, without a server.", "run:run"),
    "list": ("List the endpoints of the project.", "list:list_endpoints"),
    "logs": ("Show what was invoked, newest last.", "logs:logs"),
    "engines": ("Show the libraries that run weights here, or fetch a quicker one.", "engines:engines"),
    "trace": ("Find what a script's libraries download, pack it, prove it is all.", "trace:trace"),
    "build": ("Make the bundles of the project and lock what they are made of.", "build:build"),
    "verify": ("Check hub, cache and bundles against firstlight.lock.", "verify:verify"),
    "update": ("Take newer files into firstlight.lock and show what changed.", "update:update"),
    "keys": ("Make, list or delete keys for the HTTP fronts that ask for one.", "keys:keys"),
    "publish": ("Keep endpoints as they are now, as versions.", "publish:publish"),
    "alias": ("Make, list or delete names that lead to versions.", "alias:alias"),
    "deploy": ("Put the project into your AWS account, when you agree to the plan.", "deploy:deploy"),
    "diff": ("Show what deploying the project as it is now would change.", "diff:diff"),
    "status": ("Show how what is deployed on AWS is doing.", "status:status"),
    "rollback": ("Lead callers on AWS back to the version before.", "rollback:rollback"),
    "destroy": ("Remove everything of the project from your AWS account.", "destroy:destroy"),
    "export": ("Write the stack for another tool: CDK, SAM, Terraform and others.", "export:export"),
    "doctor": ("Find what is wrong here, or would be on AWS Lambda, and fix it.", "doctor:doctor"),
    "bundle": ("Look into a bundle, or check its files.", "bundle:bundle"),
}
"""Every verb: its line in the overview, and where it lives."""
ALIASES = {"dev": "serve", "ls": "list"}
_INTERRUPTED = 130


class Verbs(click.Group):
    """A group that imports a verb when it is called, so that the overview and every other verb stay quick."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002
        """The verbs in the order a user meets them."""
        return list(VERBS)

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:  # noqa: ARG002
        """The verb of a name or an alias, None when there is none."""
        name = ALIASES.get(name, name)
        if name not in VERBS:
            return None
        module, _, attribute = VERBS[name][1].partition(":")
        command: click.Command = getattr(import_module(f"firstlight.cli.{module}"), attribute)
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """As click does, with the nearest verb in the message when there is none of that name."""
        word = args[0]
        if word not in VERBS and word not in ALIASES and not word.startswith("-"):
            ctx.fail(f"there is no verb {word!r}. {output.near(word, [*VERBS, *ALIASES])}".rstrip())
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002
        """The verbs and their lines, without importing any."""
        with formatter.section("Verbs"):
            formatter.write_dl([(name, line) for name, (line, _) in VERBS.items()])


@click.group(cls=Verbs, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(__version__, prog_name="firstlight", message="%(prog)s %(version)s")
@click.option("--no-color", is_flag=True, help="Plain text; the variable NO_COLOR does the same.")
@click.option(
    "-C", "--project", "folder", type=click.Path(), help="Folder of the project instead of this one."
)
@click.pass_context
def cli(ctx: click.Context, no_color: bool, folder: str | None) -> None:
    """A Hugging Face model, or a Python script with a handler, as a serverless endpoint and a shareable demo."""
    if no_color or os.environ.get("NO_COLOR"):
        ctx.color = False
    if folder is not None:
        try:
            os.chdir(folder)
        except OSError as error:
            raise click.UsageError(f"cannot go to {folder}: {error.strerror}") from error


def main(arguments: list[str] | None = None) -> None:
    """Run a verb and end the process: 0 done, 1 it failed, 2 it was called wrongly. No mistake of a user is traced."""
    words = sys.argv[1:] if arguments is None else arguments
    as_json = "--json" in words
    try:
        code = cli.main(words, prog_name="firstlight", standalone_mode=False)
    except FirstlightError as error:
        output.fail(error, as_json)
        code = 1
    except click.UsageError as error:
        output.fail_usage(error, as_json)
        code = 2
    except click.ClickException as error:
        output.fail(FirstlightError(error.format_message()), as_json)
        code = 1
    except (click.Abort, KeyboardInterrupt):
        code = _INTERRUPTED
    sys.exit(code if isinstance(code, int) else 0)
