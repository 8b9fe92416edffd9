"""Waiting for CloudFormation: what it does is shown as it happens, and what failed is kept."""

from __future__ import annotations

import time
from collections.abc import Callable, Container, Mapping, Sequence
from dataclasses import dataclass

from firstlight.build.types import Progress
from firstlight.deploy.aws import stacks
from firstlight.deploy.aws.errors import AwsError, NoCredentials, Unreached
from firstlight.deploy.aws.session import Session
from firstlight.deploy.aws.stacks import Event, State

_FIRST_PAUSE_SECONDS, _LONGEST_PAUSE_SECONDS = 0.3, 4.0
_LOST_TRIES = 60
"""Questions without an answer, one after another, before it is given up: some four minutes."""
_IDLE_LOOKS = 90
"""At a stack in which nothing begins, before that is given up: some six minutes."""
_FOLLOW = ("cancelled", "canceled", "rollback requested", "The following resource(s) failed")
"""In the reason of what failed only because something else did."""
_DONE = {
    "CREATE_COMPLETE": "made",
    "UPDATE_COMPLETE": "changed",
    "DELETE_COMPLETE": "removed",
    "DELETE_SKIPPED": "kept",
    "CREATE_FAILED": "could not be made",
    "UPDATE_FAILED": "could not be changed",
    "DELETE_FAILED": "could not be removed",
}
GOES_ON = "CloudFormation goes on by itself; the same command again picks up what it has done by then"


@dataclass(frozen=True, slots=True)
class Ended:
    """How an operation on a stack ended.

    Attributes:
        failures: events of what failed by itself, the first one first.
    """

    state: State
    failures: tuple[Event, ...]


def until_settled(
    session: Session,
    stack: State,
    shown: Progress,
    *,
    mark: str | None = None,
    parts: Mapping[str, str] | None = None,
    only: Container[str] | None = None,
    sleep: Callable[[float], None] = time.sleep,
) -> Ended:
    """Wait until nothing is under way in a stack.

    Args:
        mark: the last event before the operation that is waited for, which may not have begun yet; None where it has.
        parts: logical id -> what people call it.
        only: logical ids that are shown where nothing is wrong with them; None shows all.
        sleep: takes seconds.

    Raises:
        AwsError: AWS was not reached for minutes, or the credentials' time ended; CloudFormation goes on without us.
        KeyboardInterrupt: as it came, after a line that says the same.
    """
    watch = _Watch(session, stack, shown, mark, parts or {}, only)
    try:
        return _waited(watch, shown, sleep)
    except KeyboardInterrupt:
        shown.say(GOES_ON)
        raise
    except NoCredentials as error:
        hint = f"{error.hint}. {GOES_ON}"
        raise NoCredentials(error.message, hint, reason=error.reason, operation=error.operation) from error


def _waited(watch: _Watch, shown: Progress, sleep: Callable[[float], None]) -> Ended:
    pause, lost = _FIRST_PAUSE_SECONDS, 0
    while True:
        try:
            ended = watch.look()
        except Unreached as error:
            lost += 1
            if lost == 1:
                shown.say("the connection to AWS was lost; trying again")
            if lost >= _LOST_TRIES:
                raise Unreached(error.message, GOES_ON, operation=error.operation) from error
        else:
            lost = 0
            if ended is not None:
                return ended
        sleep(pause)
        pause = min(pause * 1.4, _LONGEST_PAUSE_SECONDS)


class _Watch:
    """Looks at one stack again and again."""

    def __init__(
        self,
        session: Session,
        stack: State,
        shown: Progress,
        mark: str | None,
        parts: Mapping[str, str],
        only: Container[str] | None,
    ) -> None:
        self._session, self._stack, self._shown = session, stack, shown
        self._mark, self._parts, self._only = mark, parts, only
        self._seen: set[str] = set()
        self._idle = 0

    def look(self) -> Ended | None:
        """Show what is new; how it ended, where it has."""
        now = stacks.state(self._session, self._stack.id)
        if now is None:
            return Ended(self._gone(), ())
        try:
            events = stacks.events(self._session, self._stack.id, self._mark or "")
        except AwsError as error:
            if not stacks.absent(error):
                raise
            return Ended(self._gone(), ())
        for event in events:
            if event.id not in self._seen:
                self._seen.add(event.id)
                self._show(event)
        begun = self._mark is None or any(event.own for event in events)
        if not begun and not now.moving:
            self._idle += 1
            if self._idle > _IDLE_LOOKS:
                raise AwsError(f"CloudFormation has not begun with {now.name}", "run the same again")
        if now.moving or not begun:
            return None
        return Ended(now, self._failures(events))

    def _failures(self, events: Sequence[Event]) -> tuple[Event, ...]:
        found = failures(events)
        if not found or not all(event.own for event in found):
            return found
        try:
            return tuple(stacks.validations(self._session, self._stack.id)) or found
        except (AwsError, KeyError):
            return found  # an older boto3, or a right that nothing else needs

    def _show(self, event: Event) -> None:
        if event.own or event.status not in _DONE:
            return
        if (
            self._only is not None
            and event.resource not in self._only
            and not event.status.endswith("_FAILED")
        ):
            return
        part = self._parts.get(event.resource, "")
        name = f"{part}: {event.resource}" if part else event.resource
        self._shown.say(f"  {name} ({event.type.removeprefix('AWS::')}) {_DONE[event.status]}")

    def _gone(self) -> State:
        was = self._stack
        return State(was.id, was.name, stacks.GONE, "", was.outputs, was.tags)


def failures(events: Sequence[Event]) -> tuple[Event, ...]:
    """What failed by itself, not because something else did."""
    failed = [event for event in events if event.status.endswith("_FAILED") and not event.own]
    own = [event for event in failed if not any(word in event.reason for word in _FOLLOW)]
    whole = [event for event in events if event.own and event.status.endswith("_FAILED") and event.reason]
    return tuple(own or failed or whole)


def settled(
    session: Session, name: str, shown: Progress, sleep: Callable[[float], None] = time.sleep
) -> State | None:
    """A stack once nothing is under way in it any more: another's deployment, or one of ours that was interrupted.

    Raises:
        AwsError: AWS refused, or was not reached.
    """
    now = stacks.state(session, name)
    if now is None or not now.moving:
        return now
    shown.say(f"{name}: {now.status}. Something is under way there already; waiting for its end")
    ended = until_settled(session, now, shown, sleep=sleep)
    return None if ended.state.status == stacks.GONE else ended.state
