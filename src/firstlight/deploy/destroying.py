"""Everything of a project and stage out of an account: found, shown, and then removed, so that nothing is left."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from firstlight.build.types import Progress
from firstlight.deploy import moving, reading
from firstlight.deploy.aws import removing, stacks
from firstlight.deploy.aws.session import Session
from firstlight.deploy.aws.stacks import State, There
from firstlight.project.names import Names

_FILLED = ("AWS::S3::Bucket", "AWS::ECR::Repository")
"""What cannot be deleted while there is something in it."""


@dataclass(frozen=True, slots=True)
class Doomed:
    """What there is of a project and stage.

    Attributes:
        main: the stack of the functions; None where there is none (any more).
        resources: what is in it.
        data: of these, what the stack keeps when it is deleted.
        store: the stack of the bucket and the repository, and what is in it.
        left: what earlier stacks of the name kept and is still there.
    """

    main: State | None
    resources: tuple[There, ...]
    data: tuple[There, ...]
    store: State | None
    stored: tuple[There, ...]
    left: tuple[There, ...]

    @property
    def nothing(self) -> bool:
        """Whether there is nothing at all."""
        return self.main is None and self.store is None and not self.left


def find(session: Session, names: Names, shown: Progress) -> Doomed:
    """What would be removed. Nothing is changed.

    Raises:
        Conflict: a stack of that name is none of firstlight's.
        AwsError: AWS refused, or was not reached.
    """
    found = reading.find(session, names, shown)
    there = tuple(stacks.resources(session, found.state.id).values()) if found.state else ()
    stored = tuple(stacks.resources(session, found.artifacts.id).values()) if found.artifacts else ()
    keeping = _keeping(session, found.state)
    return Doomed(
        main=found.state,
        resources=tuple(one for one in there if one.physical),
        data=tuple(one for one in there if one.id in keeping and one.physical),
        store=found.artifacts,
        stored=tuple(one for one in stored if one.physical),
        left=tuple(_left(session, names)),
    )


def destroy(
    session: Session,
    doomed: Doomed,
    shown: Progress,
    *,
    keep_data: bool = False,
    sleep: Callable[[float], None] = time.sleep,
) -> tuple[There, ...]:
    """Remove all of it. Cut off anywhere, the same again removes the rest.

    Args:
        keep_data: tables, and what else a stack keeps, stay with what is in them.

    Returns:
        what is still there: what was to be kept, or is of a kind that is not removed here.

    Raises:
        NotDeployed: CloudFormation could not remove something.
        AwsError: AWS refused, or was not reached.
    """
    data = list(doomed.left)
    if doomed.main is not None:
        kept = {one.id for one in doomed.data}
        _emptied(session, (one for one in doomed.resources if one.id not in kept), shown)
        data += [_there(event) for event in moving.end(session, doomed.main, shown, sleep)]
    stay = tuple(data) if keep_data else tuple(one for one in data if not _removed(session, one, shown))
    if doomed.store is not None:
        _emptied(session, doomed.stored, shown)
        moving.end(session, doomed.store, shown, sleep)
    return stay


def _removed(session: Session, one: There, shown: Progress) -> bool:
    done = removing.removed(session, one, shown)
    if done:
        shown.say(f"  {one.id} ({one.type.removeprefix('AWS::')} {one.physical}) removed")
    return done


def _emptied(session: Session, resources: Iterator[There] | tuple[There, ...], shown: Progress) -> None:
    for one in resources:
        if one.type in _FILLED:
            removing.emptied(session, one, shown)


def _keeping(session: Session, state: State | None) -> set[str]:
    """Logical ids of what a stack keeps when it is deleted."""
    if state is None:
        return set()
    resources = stacks.template(session, state.id).get("Resources", {})
    return {key for key, one in resources.items() if str(one.get("DeletionPolicy", "")).startswith("Retain")}


def _left(session: Session, names: Names) -> Iterator[There]:
    for stack_id in stacks.deleted(session, names.stack):
        for event in moving.kept(session, stack_id):
            if removing.exists(session, _there(event)):
                yield _there(event)


def _there(event: stacks.Event) -> There:
    return There(event.resource, event.type, event.physical, event.status)
