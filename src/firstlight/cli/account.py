"""Which account, region and stage the verbs that talk to AWS mean."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

import click

from firstlight.project import Project
from firstlight.project.names import Names

if TYPE_CHECKING:
    from firstlight.deploy.aws.session import Session

Function = TypeVar("Function", bound=Callable[..., Any])


def options(function: Function) -> Function:
    """``--region`` and ``--profile``, the same for every verb."""
    region = click.option(
        "--region",
        metavar="NAME",
        help="AWS region (default: [deploy] region, then that of the AWS configuration).",
    )
    profile = click.option("--profile", metavar="NAME", help="Profile of the AWS configuration.")
    return region(profile(function))


def check(remote: bool, **given: str | None) -> None:
    """Refuse options that mean AWS where a verb was not asked for it.

    Raises:
        click.UsageError: naming the option.
    """
    for name, value in given.items():
        if value is not None and not remote:
            raise click.UsageError(f"--{name} belongs to --remote")


def names(project: Project) -> Names:
    """What the project is called on AWS."""
    return Names(project.name, project.stage)


def session(project: Project, region: str | None, profile: str | None) -> Session:
    """A session with the account that is meant.

    Raises:
        MissingExtra: boto3 is not installed.
        AwsError: no region is named, or there is no such profile.
    """
    from firstlight.deploy.aws.session import Session

    return Session(region or project.deployment.region, profile)
