"""A plan on paper: what an engineer checks line by line before agreeing, and the same as JSON."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import click

from firstlight.cli import output

if TYPE_CHECKING:
    from firstlight.deploy.aws.session import Session
    from firstlight.deploy.planning import Planned
    from firstlight.deploy.sending import Code
    from firstlight.deploy.types import Artifact, Cost, Statement

SIGNS = {"Add": ("+", "green"), "Remove": ("-", "red"), "Replace": ("!", "red"), "Modify": ("~", "yellow")}
"""What a change does -> its sign and colour."""
_WORDS = {"Add": "to make", "Modify": "to change", "Replace": "to make anew", "Remove": "to remove"}


def show(planned: Planned, session: Session, sends: Mapping[str, bool]) -> None:
    """Print a plan.

    Args:
        sends: endpoint -> whether its code has to be sent.
    """
    plan = planned.plan
    account = plan.account
    who = session.caller.split(":", 5)[-1]
    _line(f"{plan.stack.name} in account {account.id}, {account.region}, as {who}", bold=True)
    _line(f"{plan.stack.description}; workers at once in this account: {account.concurrency:,}")
    _head("Resources")
    _changes(planned)
    _head("Code")
    for artifact in plan.artifacts:
        _line(f"  {_code(artifact, sends.get(artifact.endpoint, True))}")
    _head("What each role may do")
    _statements(plan.statements)
    _head("Costs (USD, list prices; taxes and the free tier are left out)")
    _costs(f"a month without any invocation: ${sum(one.usd for one in plan.idle):,.2f}", plan.idle)
    _costs("what a million invocations add", plan.per_million)
    if plan.notes:
        _head("Notes")
        for note in plan.notes:
            _line(f"  - {note}")
    click.echo()


def as_json(planned: Planned, session: Session, sends: Mapping[str, bool]) -> dict[str, Any]:
    """A plan for programs. Variables are left out: they may be secrets."""
    plan = planned.plan
    reasons = _reasons(planned)
    return {
        "stack": plan.stack.name,
        "account": asdict(plan.account),
        "caller": session.caller,
        "changes": [{**asdict(one), "why": reasons.get(one.id, "")} for one in plan.changes],
        "code": [_described(one, sends.get(one.endpoint, True)) for one in plan.artifacts],
        "statements": [asdict(one) for one in plan.statements],
        "idle": [asdict(one) for one in plan.idle],
        "per_million": [asdict(one) for one in plan.per_million],
        "notes": list(plan.notes),
    }


def to_send(session: Session, codes: Iterable[Code], planned: Planned) -> dict[str, bool]:
    """Endpoint -> whether its code has to be sent, as far as reading tells; of an image, what a registry lacks."""
    from firstlight.deploy.aws import storing

    found = {}
    for code in codes:
        artifact = code.artifact
        there = (
            planned.found.store is not None
            and artifact.kind == "zip"
            and storing.there(session, artifact.uri, artifact.size)
        )
        found[artifact.endpoint] = not there
    return found


def _changes(planned: Planned) -> None:
    reasons = _reasons(planned)
    part = None
    for change in planned.plan.changes:
        if change.part != part:
            part = change.part
            _line(f"  {part or 'no longer asked for'}")
        sign, colour = SIGNS[change.action]
        about = reasons.get(change.id, "")
        details = f" ({', '.join(change.details)})" if change.details else ""
        styled = click.style(f"{sign} {change.id}", fg=colour)
        _line(f"    {styled}  {change.type.removeprefix('AWS::')}{details}{f': {about}' if about else ''}")
    counts = {
        words: sum(one.action == action for one in planned.plan.changes) for action, words in _WORDS.items()
    }
    same = _same(planned)
    said = [f"{count} {words}" for words, count in counts.items() if count] or ["nothing to change"]
    _line(f"  {', '.join(said)}{f'; {same} stay as they are' if same else ''}")


def _same(planned: Planned) -> int:
    touched = {change.id for change in planned.plan.changes}
    every = [*planned.store.resources, *planned.plan.stack.resources]
    return sum(resource.id not in touched for resource in every)


def _reasons(planned: Planned) -> dict[str, str]:
    every = [*planned.store.resources, *planned.plan.stack.resources]
    return {resource.id: resource.why for resource in every}


def _code(artifact: Artifact, send: bool) -> str:
    size = f"{artifact.size / 1e6:,.1f} MB"
    what = "to send, but for what the registry has" if artifact.kind == "image" else "to send"
    state = what if send else "there already"
    digest = artifact.digest.removeprefix("sha256:")[:12]
    where = f"{artifact.kind} {digest}, {size} {state}; {artifact.architecture}"
    return (
        f"{artifact.endpoint}: {where}; {artifact.reason}"
        if artifact.reason
        else f"{artifact.endpoint}: {where}"
    )


def _statements(statements: Iterable[Statement]) -> None:
    role = None
    for one in statements:
        if one.role != role:
            role = one.role
            _line(f"  {role}")
        condition: dict[str, Any] = json.loads(one.condition or "{}")
        who = _principal(condition.pop("Principal", None))
        effect = "may" if one.effect == "Allow" else "may never"
        _line(f"    {who}{effect} {', '.join(one.actions)}")
        if not (who and one.actions == ("sts:AssumeRole",)):
            _line(f"      on {', '.join(one.resources)}")
        if condition:
            _line(f"      if {json.dumps(condition)}")


def _principal(principal: Any) -> str:
    """Who a statement of a resource's own policy is about; nothing where it is about the role itself."""
    if principal is None:
        return ""
    if isinstance(principal, dict):
        return ", ".join(str(name) for name in principal.values()) + " "
    return "everybody " if principal == "*" else f"{principal} "


def _costs(what: str, costs: Iterable[Cost]) -> None:
    _line(f"  {what}")
    for one in costs:
        _line(f"    ${one.usd:>9,.2f}  {one.what}: {one.how}")


def _described(artifact: Artifact, send: bool) -> dict[str, Any]:
    kept = {key: value for key, value in asdict(artifact).items() if key != "environment"}
    return {**kept, "send": send}


def _head(text: str) -> None:
    click.echo()
    _line(text, bold=True)


def _line(text: str, bold: bool = False) -> None:
    shown = output.encodable(text)
    click.echo(click.style(shown, bold=True) if bold else shown)
