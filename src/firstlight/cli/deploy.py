"""``firstlight deploy``: the project in the user's own AWS account."""

from __future__ import annotations

import contextlib
import json
import sys
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING

import click

from firstlight.cli import account, output, wiring
from firstlight.project import Project

if TYPE_CHECKING:
    from firstlight.deploy.applying import Applied
    from firstlight.deploy.aws.session import Session
    from firstlight.deploy.making import Making
    from firstlight.deploy.planning import Planned
    from firstlight.deploy.sending import Sent


@click.command()
@click.option("--stage", help="Lay the tables of [stage.NAME] over the project; a stack beside the others.")
@account.options
@click.option("--plan", "only_plan", is_flag=True, help="Show what would be done, and do nothing.")
@click.option("--yes", is_flag=True, help="Agree to the plan beforehand.")
@click.option(
    "--print-policy",
    is_flag=True,
    help="Print the IAM policy that deploying this project needs, and do nothing.",
)
@output.json_option
def deploy(
    stage: str | None,
    region: str | None,
    profile: str | None,
    only_plan: bool,
    yes: bool,
    print_policy: bool,
    as_json: bool,
) -> None:
    """Put the project into your AWS account: build, plan, ask, send, and let CloudFormation make it.

    Interrupted anywhere, the same again carries on from what is there.
    """
    from firstlight.cli import agreeing, progress, proposed
    from firstlight.deploy.applying import Work, answering, apply

    project = wiring.project_here(stage)
    session = account.session(project, region, profile)
    if print_policy:
        _print_policy(session, project)
        return
    begun = time.monotonic()
    planned, making = prepared(session, project, as_json)
    sends = proposed.to_send(session, making.codes, planned)
    if as_json:
        output.json_line({"plan": proposed.as_json(planned, session, sends)})
    else:
        proposed.show(planned, session, sends)
    if only_plan:
        return
    if planned.nothing and planned.found.deployed is not None:
        if yes:
            with progress.shown(as_json) as shown:
                answering(session, account.names(project), planned.found.deployed, shown)
        _finish(planned.found.deployed.outputs, None, as_json, time.monotonic() - begun)
        return
    agreeing.agreed(f"Deploy this to account {planned.plan.account.id} in {session.region}?", yes)
    _settle(project, making)
    with progress.shown(as_json) as shown:
        applied = apply(Work(session, project, planned, making.codes, shown))
    _finish(applied.deployed.outputs, applied, as_json, time.monotonic() - begun)


def prepared(session: Session, project: Project, as_json: bool) -> tuple[Planned, Making]:
    """The plan of a deployment, and the code it would send; nothing is changed on AWS.

    Raises:
        FirstlightError: the project cannot be built or deployed, or AWS was not reached.
    """
    from firstlight.cli import progress
    from firstlight.deploy import making, planning, reading

    making.root(project)
    with progress.shown(as_json) as shown, contextlib.redirect_stdout(sys.stderr):
        owner = session.account()
        planning.check_registry(project, owner)
        found = reading.find(session, account.names(project), shown)
        made = making.make(project, owner, shown, found.deployed)
        for sentence in made.said:
            shown.say(sentence)
    return planning.plan(project, owner, [code.artifact for code in made.codes], found), made


def _settle(project: Project, making: Making) -> None:
    """What was built goes into the lock file, as `firstlight build` does."""
    from firstlight.cli import locking

    if project.root is not None:
        locking.laid_over(project.root, making.settle)


def _print_policy(session: Session, project: Project) -> None:
    from firstlight.deploy import policy
    from firstlight.deploy.aws.errors import NoCredentials
    from firstlight.deploy.types import Account

    try:
        owner = session.account()
    except NoCredentials:
        output.warn("there are no AWS credentials to tell the account: it is * in the policy")
        owner = Account("*", session.region)
    document = policy.deploying(account.names(project), owner, project)
    click.echo(json.dumps(document, indent=2))


def _finish(outputs: Mapping[str, str], applied: Applied | None, as_json: bool, seconds: float) -> None:
    if as_json:
        warmed = (
            [{"part": one.part, "seconds": round(one.seconds, 3)} for one in applied.warmed]
            if applied
            else []
        )
        sent = applied.sent.bytes if applied else 0
        output.json_line(
            {
                "deployed": {
                    "outputs": dict(outputs),
                    "sent": sent,
                    "warmed": warmed,
                    "seconds": round(seconds, 3),
                    "changed": applied is not None,
                }
            }
        )
        return
    if applied is None:
        click.echo("everything is deployed as it is here")
    else:
        click.echo(f"deployed in {seconds:.0f} s; {_said(applied.sent)}")
    for name, value in outputs.items():
        if value.startswith(("https://", "http://")) and "sqs" not in value and name.endswith("Url"):
            click.echo(output.encodable(f"{name}: {value}"))
    output.note(
        "`firstlight invoke --remote NAME` calls an endpoint, `firstlight status` shows how all are doing"
    )


def _said(sent: Sent) -> str:
    return f"{sent.bytes / 1e6:,.1f} MB sent" if sent.bytes else "nothing had to be sent"
