"""One step of a stack: from the template it has to another one, or to its end."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from firstlight.build.types import Progress
from firstlight.deploy.aws import changesets, stacks, watching
from firstlight.deploy.aws.changesets import Proposal
from firstlight.deploy.aws.errors import AwsError
from firstlight.deploy.aws.reasons import NotDeployed
from firstlight.deploy.aws.session import Session
from firstlight.deploy.aws.stacks import State
from firstlight.deploy.types import Change
from firstlight.runtime.errors import Conflict

_GOOD = ("CREATE_COMPLETE", "UPDATE_COMPLETE")
_DATA = ("AWS::DynamoDB::Table", "AWS::S3::Bucket", "AWS::EFS::FileSystem", "AWS::ECR::Repository")
"""What people would miss."""
_AGAIN = "run the same again: it begins from what is there now"


@dataclass(frozen=True, slots=True)
class Step:
    """A change of one stack.

    Attributes:
        name: of the stack.
        text: the template it is to have, JSON.
        base: the template it has, which the new one was made from; empty where it has none.
        tags: of the stack.
        agreed: the changes that were shown; nothing that holds what people would miss goes but as shown.
        bucket: where a template goes that is too long for a request.
        parts: logical id -> what people call it.
    """

    name: str
    text: str
    base: Mapping[str, Any]
    tags: Mapping[str, str]
    agreed: tuple[Change, ...]
    bucket: str = ""
    parts: Mapping[str, str] | None = None


def take(
    session: Session,
    step: Step,
    now: State | None,
    shown: Progress,
    sleep: Callable[[float], None] = time.sleep,
) -> bool:
    """Take a step and wait for its end.

    Args:
        now: the stack as it is; None or one that is only reviewed is made.

    Returns:
        whether there was anything to change.

    Raises:
        Conflict: somebody else was at it.
        NotDeployed: CloudFormation failed; what was begun is taken back.
        AwsError: AWS refused, or was not reached.
    """
    proposal = changesets.propose(session, step.name, step.text, now, step.tags, step.bucket, sleep)
    if proposal is None:
        return False
    _check(session, step, proposal)
    shown.stage(f"{step.name}: {_counted(proposal.changes)}")
    try:
        mark = changesets.execute(session, proposal)
    except KeyboardInterrupt:
        shown.say(watching.GOES_ON)  # the answer may have been lost, not the question
        raise
    only = {change.id for change in proposal.changes}
    ended = watching.until_settled(
        session, proposal.stack, shown, mark=mark, parts=step.parts, only=only, sleep=sleep
    )
    if ended.state.status == stacks.GONE:
        raise Conflict(f"{step.name} was deleted meanwhile", _AGAIN)
    if ended.state.status not in _GOOD:
        raise NotDeployed(step.name, ended.state.status, ended.failures, step.parts or {})
    return True


def end(
    session: Session, stack: State, shown: Progress, sleep: Callable[[float], None] = time.sleep
) -> tuple[stacks.Event, ...]:
    """Delete a stack and wait for its end.

    Returns:
        events of the resources that it kept.

    Raises:
        NotDeployed: something could not be removed.
        AwsError: AWS refused, or was not reached.
    """
    if stack.protected:
        command = "aws cloudformation update-termination-protection --no-enable-termination-protection"
        hint = f"`{command} --stack-name {stack.name}` takes that away"
        raise Conflict(f"{stack.name} is protected against being deleted", hint)
    shown.stage(f"{stack.name}: being removed")
    mark = stacks.newest_event(session, stack.id)
    token = secrets.token_hex(16)
    session.client("cloudformation").delete_stack(StackName=stack.id, ClientRequestToken=token)
    ended = watching.until_settled(session, stack, shown, mark=mark, sleep=sleep)
    if ended.state.status != stacks.GONE:
        raise NotDeployed(stack.name, ended.state.status, ended.failures, {})
    return kept(session, stack.id)


def kept(session: Session, stack_id: str) -> tuple[stacks.Event, ...]:
    """Events of the resources that a deleted stack kept."""
    return tuple(event for event in stacks.events(session, stack_id) if event.status == "DELETE_SKIPPED")


def taken_back(
    session: Session, stack: State, shown: Progress, sleep: Callable[[float], None] = time.sleep
) -> State:
    """A stack whose way back failed, once that was tried again.

    Raises:
        NotDeployed: it failed again.
    """
    mark = stacks.newest_event(session, stack.id)
    session.client("cloudformation").continue_update_rollback(
        StackName=stack.id, ClientRequestToken=secrets.token_hex(16)
    )
    ended = watching.until_settled(session, stack, shown, mark=mark, sleep=sleep)
    if ended.state.status != "UPDATE_ROLLBACK_COMPLETE":
        raise NotDeployed(stack.name, ended.state.status, ended.failures, {})
    return ended.state


def _check(session: Session, step: Step, proposal: Proposal) -> None:
    """The proposal is bound to the state it was made from; that must be the state that the template was made from.

    Raises:
        Conflict: it is not, or it would take away what was not said.
    """
    try:
        if not proposal.creates and stacks.template(session, proposal.stack.id) != step.base:
            raise Conflict(f"another deployment changed {step.name} meanwhile", _AGAIN)
        agreed = {(change.action, change.id) for change in step.agreed}
        for change in proposal.changes:
            if (
                change.action in ("Replace", "Remove")
                and change.type in _DATA
                and (change.action, change.id) not in agreed
            ):
                raise Conflict(
                    f"CloudFormation would {change.action.lower()} {change.id} ({change.type}) with all that is in it, "
                    f"for {', '.join(change.details) or 'reasons it does not tell'}; the plan did not say so",
                    "nothing was changed; please report it",
                )
    except (Conflict, AwsError):
        changesets.drop(session, proposal.id, proposal.stack.id)
        raise


def _counted(changes: tuple[Change, ...]) -> str:
    words = {"Add": "to make", "Modify": "to change", "Replace": "to make anew", "Remove": "to remove"}
    counts = {word: sum(change.action == action for change in changes) for action, word in words.items()}
    return (
        ", ".join(f"{count} {word}" for word, count in counts.items() if count) or "only its outputs change"
    )
