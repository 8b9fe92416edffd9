"""``firstlight export``: the stack as a project of another tool, or endpoints as folders that Docker builds."""

from __future__ import annotations

import contextlib
import re
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from firstlight.cli import account, output, wiring
from firstlight.deploy import exports
from firstlight.project import Project
from firstlight.runtime.errors import ProjectError

if TYPE_CHECKING:
    from firstlight.deploy.making import Making
    from firstlight.deploy.types import Account, Deployed, Stack

_ACCOUNT = re.compile(r"\d{12}")
_PARTITIONS = {"cn-": "aws-cn", "us-gov-": "aws-us-gov"}


@click.command()
@click.argument("form", metavar="FORMAT", type=click.Choice([*exports.FORMS, exports.DOCKERFILE]))
@click.option(
    "--out", metavar="DIR", type=click.Path(path_type=Path), help="Folder to write to (default: FORMAT)."
)
@click.option("--stage", help="Lay the tables of [stage.NAME] over the project.")
@click.option("--account", "number", metavar="ID", help="AWS account, so that AWS is not asked for it.")
@account.options
@click.option("--send", is_flag=True, help="Send the code to the registry and the bucket that are named.")
@click.option("--force", is_flag=True, help="Write over files that somebody changed.")
@output.json_option
def export(
    form: str,
    out: Path | None,
    stage: str | None,
    number: str | None,
    region: str | None,
    profile: str | None,
    send: bool,
    force: bool,
    as_json: bool,
) -> None:
    """Write the project as FORMAT: the stack for another tool, or a folder for Docker of each endpoint.

    FORMAT is cloudformation, sam, cdk, serverless, terraform or dockerfile.
    """
    _check(form, number, region, profile, send)
    project = wiring.project_here(stage)
    folder = out or Path(form)
    if project.root is not None and folder.resolve() == project.root.resolve():
        raise ProjectError(f"{folder} is the project itself", "give a folder of its own with --out")
    if form == exports.DOCKERFILE:
        from firstlight.cli import dockerfiles

        dockerfiles.write(project, folder, force, as_json)
        return
    if number is not None:
        stack = _apart(project, _named(project, number, region), as_json)
    else:
        stack = _asked(project, region, profile, as_json, send=send)
    _warn(project)
    files = exports.render(form, stack)
    written = exports.write(files, folder, form=form, force=force)
    following = [line.format(stack=stack.name) for line in exports.FORMS[form].next]
    if as_json:
        document = {"format": form, "folder": str(folder), "files": sorted(files)}
        facts = {"changed": sorted(written.changed), "removed": sorted(written.removed), "next": following}
        output.json_line({**document, **facts})
        return
    _say(folder, len(files), written, following)


def _check(form: str, number: str | None, region: str | None, profile: str | None, send: bool) -> None:
    """Refuse what has no meaning together.

    Raises:
        click.UsageError: naming the option.
    """
    given = {"--account": number, "--region": region, "--profile": profile, "--send": send}
    if form == exports.DOCKERFILE:
        for name, value in given.items():
            if value:
                raise click.UsageError(f"{name} has no meaning for a Dockerfile")
    if number is not None and not _ACCOUNT.fullmatch(number):
        raise click.UsageError(f"--account: {number!r} is not the number of an account, twelve digits")
    if number is not None and (profile is not None or send):
        raise click.UsageError(
            "--account is for exporting without AWS: leave out --profile and --send, or --account"
        )


def _named(project: Project, number: str, region: str | None) -> Account:
    """The account of a number, which is not asked for anything."""
    from firstlight.deploy.types import Account

    where = region or project.deployment.region
    if where is None:
        hint = "give --region, or `region` in [deploy] of firstlight.toml, for example eu-central-1"
        raise ProjectError("no AWS region is named", hint)
    partition = next((name for start, name in _PARTITIONS.items() if where.startswith(start)), "aws")
    return Account(number, where, partition=partition)


def _apart(project: Project, owner: Account, as_json: bool) -> Stack:
    """The stack, without asking AWS."""
    from firstlight.cli import progress
    from firstlight.deploy import making

    with progress.shown(as_json) as shown, contextlib.redirect_stdout(sys.stderr):
        made = making.make(project, owner, shown)
        for sentence in made.said:
            shown.say(sentence)
    return _stack(project, made, owner, None)


def _asked(project: Project, region: str | None, profile: str | None, as_json: bool, *, send: bool) -> Stack:
    """The stack, as the account and what is deployed there want it."""
    from firstlight.cli import progress
    from firstlight.cli.deploy import prepared
    from firstlight.deploy.applying import Work, stored
    from firstlight.deploy.aws.errors import NoCredentials

    session = account.session(project, region, profile)
    try:
        planned, made = prepared(session, project, as_json)
    except NoCredentials as error:
        hint = f"{error.hint}; or `--account ID` exports without asking AWS"
        raise NoCredentials(error.message, hint) from error
    if send:
        with progress.shown(as_json) as shown:
            stored(Work(session, project, planned, made.codes, shown))
    return _stack(project, made, planned.plan.account, planned.found.deployed)


def _stack(project: Project, made: Making, owner: Account, deployed: Deployed | None) -> Stack:
    """The graph of what was made. Of what is deployed it has no earlier versions: who owns it publishes others."""
    from firstlight.cli import locking
    from firstlight.deploy import graph

    if project.root is not None:
        locking.laid_over(project.root, made.settle)
    before = replace(deployed, versions={}, live={}) if deployed else None
    return graph.stack(project, {code.artifact.endpoint: code.artifact for code in made.codes}, owner, before)


def _warn(project: Project) -> None:
    """Say which endpoints have environment variables that are now in files which are made to be kept and shown."""
    plain = [
        name
        for name, endpoint in project.endpoints.items()
        if any(not value.startswith(exports.REFERENCE) for value in endpoint.env.values())
    ]
    if plain:
        output.warn(
            f"values of `env` of {', '.join(plain)} are in these files; "
            f"{exports.REFERENCE}NAME[:KEY] as a value keeps a secret out of them"
        )


def _say(folder: Path, count: int, written: exports.Written, following: list[str]) -> None:
    place = output.shown(str(folder))
    removed = f"; {len(written.removed)} no longer needed and removed" if written.removed else ""
    click.echo(f"{place}: {count} files, {len(written.changed)} of them new or changed{removed}")
    for line in (f"cd {place}", *following):
        output.note(f"  {line}")
