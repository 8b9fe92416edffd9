"""Change sets: what CloudFormation says it would do, before it does it, bound to the state that was looked at."""

from __future__ import annotations

import hashlib
import secrets
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from firstlight.deploy.aws import stacks
from firstlight.deploy.aws.errors import AwsError, MayNot, missing_right
from firstlight.deploy.aws.reasons import in_words
from firstlight.deploy.aws.session import Session
from firstlight.deploy.aws.stacks import State
from firstlight.deploy.types import Change
from firstlight.runtime.errors import Conflict

_PREFIX = "firstlight-"
INLINE_BYTES = 51_200
"""The longest template that a request carries; a longer one is put into a bucket (1 MB at most)."""
_CAPABILITIES = ["CAPABILITY_IAM", "CAPABILITY_NAMED_IAM"]
_PAUSE_SECONDS, _LONGEST_PAUSE_SECONDS = 0.2, 3.0
_OTHER = "another deployment changed {name} meanwhile"
_AGAIN = "run the same again: it begins from what is there now"
_MEANWHILE = (
    "AlreadyExistsException",
    "InvalidChangeSetStatus",
    "ChangeSetNotFound",
    "ChangeSetNotFoundException",
)
"""What CloudFormation says of a stack or a change set that somebody else got to first."""
_NOTHING = ("didn't contain changes", "No updates are to be performed")


@dataclass(frozen=True, slots=True)
class Proposal:
    """A change set that can be executed.

    Attributes:
        id: its ARN.
        stack: ARN and name of the stack as it was when it was proposed.
        creates: the stack is made by it.
        changes: what CloudFormation says it will do; ``Replace`` where it is certain that a resource is made anew.
    """

    id: str
    stack: State
    creates: bool
    changes: tuple[Change, ...]
    token: str = field(default_factory=lambda: secrets.token_hex(16))


def propose(
    session: Session,
    name: str,
    text: str,
    now: State | None,
    tags: Mapping[str, str],
    bucket: str = "",
    sleep: Callable[[float], None] = time.sleep,
) -> Proposal | None:
    """Ask CloudFormation what a template would change. Nothing is, but an empty stack may come to hold the proposal.

    Args:
        text: the template, JSON.
        now: the stack as it is; None or one that was only reviewed is made.
        bucket: where a template goes that is too long for a request.

    Returns:
        the proposal, or None where nothing would change.

    Raises:
        Conflict: somebody else is at it, or made a stack of that name meanwhile.
        AwsError: AWS refused it, with the reason.
    """
    creates = now is None or now.empty
    where = _placed(session, name, text, bucket)
    asked = {
        "StackName": name,
        "ChangeSetName": f"{_PREFIX}{hashlib.sha256(text.encode()).hexdigest()[:12]}-{secrets.token_hex(6)}",
        "ChangeSetType": "CREATE" if creates else "UPDATE",
        "Capabilities": _CAPABILITIES,
        "Tags": [{"Key": key, "Value": value} for key, value in tags.items()],
        **where,
    }
    client = session.client("cloudformation")
    try:
        made = client.create_change_set(**asked)
    except AwsError as error:
        raise _refused(error, name) from error
    id_, stack_id = str(made["Id"]), str(made["StackId"])
    answer = _ready(client, id_, stack_id, sleep)
    if answer["Status"] == "FAILED":
        reason = str(answer.get("StatusReason", ""))
        details = _details(client, id_, stack_id, reason)
        drop(session, id_, stack_id)
        if any(words in reason for words in _NOTHING):
            return None
        raise _unfit(name, details)
    stack = stacks.state(session, stack_id)
    if stack is None:
        raise Conflict(_OTHER.format(name=name), _AGAIN)
    found = _all_changes(client, id_, stack_id)
    changes = tuple(_change(one["ResourceChange"]) for one in found if "ResourceChange" in one)
    return Proposal(id_, stack, creates, changes)


def execute(session: Session, proposal: Proposal) -> str:
    """Begin what was proposed.

    Returns:
        id of the stack's last event before it, the mark for ``watching.until_settled``.

    Raises:
        Conflict: the stack was changed since, so the proposal is void.
        AwsError: AWS refused.
    """
    try:
        mark = stacks.newest_event(session, proposal.stack.id)
        session.client("cloudformation").execute_change_set(
            StackName=proposal.stack.id, ChangeSetName=proposal.id, ClientRequestToken=proposal.token
        )
    except AwsError as error:
        raise _refused(error, proposal.stack.name) from error
    return mark


def drop(session: Session, id_: str, stack_id: str) -> None:
    """Take a proposal back; one that is gone already is no mistake.

    Args:
        stack_id: the stack's ARN, which the right to do so is given on.
    """
    try:
        session.client("cloudformation").delete_change_set(StackName=stack_id, ChangeSetName=id_)
    except AwsError as error:
        if error.reason not in ("ChangeSetNotFound", "ChangeSetNotFoundException", "InvalidChangeSetStatus"):
            raise


def _placed(session: Session, name: str, text: str, bucket: str) -> dict[str, str]:
    raw = text.encode()
    if len(raw) <= INLINE_BYTES:
        return {"TemplateBody": text}
    s3 = session.client("s3")
    key = f"templates/{name}-{hashlib.sha256(raw).hexdigest()}.json"
    s3.put_object(Bucket=bucket, Key=key, Body=raw, ContentType="application/json")
    return {"TemplateURL": f"{s3.url.rstrip('/')}/{bucket}/{key}"}


def _ready(client: Any, id_: str, stack_id: str, sleep: Callable[[float], None]) -> dict[str, Any]:
    pause = _PAUSE_SECONDS
    while True:
        answer: dict[str, Any] = client.describe_change_set(StackName=stack_id, ChangeSetName=id_)
        if answer["Status"] not in ("CREATE_PENDING", "CREATE_IN_PROGRESS"):
            return answer
        sleep(pause)
        pause = min(pause * 1.5, _LONGEST_PAUSE_SECONDS)


def _all_changes(client: Any, id_: str, stack_id: str) -> list[dict[str, Any]]:
    return [
        change
        for page in client.pages("describe_change_set", StackName=stack_id, ChangeSetName=id_)
        for change in page["Changes"]
    ]


def _change(one: Mapping[str, Any]) -> Change:
    replaced = one["Action"] == "Modify" and one.get("Replacement") == "True"
    details = {
        detail.get("Target", {}).get("Name") or detail.get("Target", {}).get("Attribute", "")
        for detail in one.get("Details", ())
    }
    return Change(
        action="Replace" if replaced else str(one["Action"]),
        id=str(one["LogicalResourceId"]),
        type=str(one["ResourceType"]),
        details=tuple(sorted(details - {""})),
    )


def _details(client: Any, id_: str, stack_id: str, reason: str) -> str:
    """The reason of a failed change set; where it only says that a validation failed, what that found."""
    if "alidation" not in reason and "hook" not in reason:
        return reason
    try:
        events = client.describe_events(ChangeSetName=id_, StackName=stack_id)["OperationEvents"]
    except (AwsError, AttributeError):
        return reason  # an older boto3, or a right that nothing else needs
    found = [
        f"{event.get('LogicalResourceId', '')}: {event.get('ValidationStatusReason') or event.get('HookStatusReason')}"
        for event in events
        if event.get("ValidationStatusReason") or event.get("HookStatusReason")
    ]
    return "; ".join(found) or reason


def _refused(error: AwsError, name: str) -> Exception:
    """What a refusal of a change set means."""
    said = error.message
    if isinstance(error, MayNot) and " on " not in said:
        return MayNot(f"{said} on {name}", error.hint, reason=error.reason, operation=error.operation)
    if error.reason in _MEANWHILE or stacks.absent(error):
        return Conflict(_OTHER.format(name=name), _AGAIN)
    if error.reason == "OperationInProgressException" or "_IN_PROGRESS state" in said:
        return Conflict(
            f"another deployment of {name} is under way", "wait for its end and run the same again"
        )
    if "can not be updated" in said or "cannot be updated" in said:
        return Conflict(_OTHER.format(name=name), _AGAIN)
    if error.reason == "LimitExceededException":
        hint = "delete stacks that are not needed, or ask for more in Service Quotas (CloudFormation)"
        return AwsError(said, hint, reason=error.reason, operation=error.operation)
    return (
        error
        if error.hint
        else AwsError(said, in_words(said)[1], reason=error.reason, operation=error.operation)
    )


def _unfit(name: str, reason: str) -> AwsError:
    right = missing_right(reason)
    sentence, hint = in_words(reason)
    message = f"{name} cannot be changed: {right.sentence if right else sentence}"
    return AwsError(message, hint, reason="ChangeSet", operation="cloudformation:CreateChangeSet")
