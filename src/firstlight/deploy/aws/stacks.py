"""What CloudFormation knows of a stack: its state, template, resources and events."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from firstlight.deploy import templates
from firstlight.deploy.aws.errors import AwsError
from firstlight.deploy.aws.session import Session

GONE = "DELETE_COMPLETE"
_BEGINNINGS = {
    "CREATE_IN_PROGRESS",
    "UPDATE_IN_PROGRESS",
    "DELETE_IN_PROGRESS",
    "REVIEW_IN_PROGRESS",
    "IMPORT_IN_PROGRESS",
}
"""Of the stack itself: where one operation begins and the events of the one before end."""


@dataclass(frozen=True, slots=True)
class State:
    """A stack as it is at the moment.

    Attributes:
        id: its ARN, by which it is known after its end too.
        status: ``UPDATE_COMPLETE`` and the like.
        reason: what CloudFormation says of the status; mostly nothing.
        outputs: name -> value.
        tags: key -> value.
        protected: it must not be deleted (termination protection).
    """

    id: str
    name: str
    status: str
    reason: str
    outputs: Mapping[str, str]
    tags: Mapping[str, str]
    protected: bool = False

    @property
    def moving(self) -> bool:
        """Whether an operation is under way. A stack that was only reviewed waits for somebody, not for AWS."""
        return self.status.endswith("_IN_PROGRESS") and self.status != "REVIEW_IN_PROGRESS"

    @property
    def empty(self) -> bool:
        """Whether there is nothing in it that could be updated: it is made anew."""
        return self.status == "REVIEW_IN_PROGRESS"

    @property
    def broken(self) -> bool:
        """Whether it can only be deleted: its creation failed, or its end did."""
        return self.status in ("ROLLBACK_COMPLETE", "ROLLBACK_FAILED", "CREATE_FAILED", "DELETE_FAILED")


@dataclass(frozen=True, slots=True)
class Event:
    """One line of a stack's diary.

    Attributes:
        resource: logical id; the stack's name for the stack itself.
        physical: what the resource is called in the account; empty where it is not there yet.
        own: it is about the stack itself.
    """

    id: str
    resource: str
    physical: str
    type: str
    status: str
    reason: str
    own: bool


def state(session: Session, name: str) -> State | None:
    """A stack of a name or an ARN; None where there is none. One that was deleted is found by its ARN only.

    Raises:
        AwsError: AWS refused, or was not reached.
    """
    try:
        found = session.client("cloudformation").describe_stacks(StackName=name)["Stacks"]
    except AwsError as error:
        if absent(error):
            return None
        raise
    stack = found[0]
    return State(
        id=stack["StackId"],
        name=stack["StackName"],
        status=stack["StackStatus"],
        reason=stack.get("StackStatusReason", ""),
        outputs={output["OutputKey"]: output["OutputValue"] for output in stack.get("Outputs", ())},
        tags={tag["Key"]: tag["Value"] for tag in stack.get("Tags", ())},
        protected=bool(stack.get("EnableTerminationProtection")),
    )


def absent(error: AwsError) -> bool:
    """Whether an error says that there is no such stack (CloudFormation calls that a ValidationError)."""
    return error.reason in ("ValidationError", "StackNotFoundException") and "does not exist" in error.message


def template(session: Session, name: str) -> dict[str, Any]:
    """The template a stack was made of, written as ours are; empty for one that nothing was made of."""
    try:
        answer = session.client("cloudformation").get_template(StackName=name, TemplateStage="Original")
    except AwsError as error:
        if absent(error):
            return {}
        raise
    return templates.read(answer.get("TemplateBody") or {})


@dataclass(frozen=True, slots=True)
class There:
    """A resource that a stack has.

    Attributes:
        physical: what it is called in the account: a name, an ARN or a URL.
    """

    id: str
    type: str
    physical: str
    status: str


def resources(session: Session, name: str) -> dict[str, There]:
    """Logical id -> resource, of a stack of a name or an ARN; nothing where there is no stack."""
    found = {}
    try:
        for page in session.client("cloudformation").pages("list_stack_resources", StackName=name):
            for one in page["StackResourceSummaries"]:
                found[one["LogicalResourceId"]] = There(
                    one["LogicalResourceId"],
                    one["ResourceType"],
                    one.get("PhysicalResourceId", ""),
                    one["ResourceStatus"],
                )
    except AwsError as error:
        if not absent(error):
            raise
    return found


def events(session: Session, stack_id: str, mark: str = "") -> list[Event]:
    """The events of the last operation, oldest first.

    Args:
        stack_id: ARN, so that a stack is found that was deleted meanwhile.
        mark: id of an event that was there before; only later ones count.
    """
    found: list[Event] = []
    for event in _newest_first(session, stack_id):
        if event.id == mark:
            break
        found.append(event)
        if event.own and event.status in _BEGINNINGS:
            break
    return found[::-1]


def validations(session: Session, stack_id: str) -> list[Event]:
    """What the validation before the last operation found wrong; stack events only say that it found something.

    Raises:
        AwsError: AWS refused, or was not reached.
    """
    found = []
    filters = {"FailedEvents": True}
    for page in session.client("cloudformation").pages(
        "describe_events", StackName=stack_id, Filters=filters
    ):
        for event in page["OperationEvents"]:
            reason = event.get("ValidationStatusReason") or event.get("HookStatusReason")
            if reason:
                found.append(
                    Event(
                        id=event["EventId"],
                        resource=event.get("LogicalResourceId", ""),
                        physical="",
                        type=event.get("ResourceType", ""),
                        status="CREATE_FAILED",
                        reason=reason,
                        own=False,
                    )
                )
    return found


def newest_event(session: Session, stack_id: str) -> str:
    """Id of the last event; a mark to tell what is new afterwards."""
    return next((event.id for event in _newest_first(session, stack_id)), "")


def deleted(session: Session, name: str) -> list[str]:
    """ARNs of the stacks of a name that were deleted and that CloudFormation still knows (90 days), newest first."""
    pages = session.client("cloudformation").pages("list_stacks", StackStatusFilter=[GONE])
    found = [one for page in pages for one in page["StackSummaries"] if one["StackName"] == name]
    found.sort(key=lambda one: str(one.get("DeletionTime") or one["CreationTime"]), reverse=True)
    return [str(one["StackId"]) for one in found]


def _newest_first(session: Session, stack_id: str) -> Iterator[Event]:
    for page in session.client("cloudformation").pages("describe_stack_events", StackName=stack_id):
        for event in page["StackEvents"]:
            physical = event.get("PhysicalResourceId", "")
            yield Event(
                id=event["EventId"],
                resource=event["LogicalResourceId"],
                physical=physical,
                type=event["ResourceType"],
                status=event.get("ResourceStatus", ""),
                reason=event.get("ResourceStatusReason", ""),
                own=physical == event["StackId"],
            )
