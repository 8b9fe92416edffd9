"""A plan carried out: store, code, new versions beside the old ones, a first invocation, and then the switch.

It may be cut off anywhere: whatever is there then is what the next deployment begins from. Two at once do not undo each
other: a change set is bound to the state that it was made from, and CloudFormation takes one at a time.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from firstlight.build.types import Progress
from firstlight.deploy import cloudformation, graph, moving, reading
from firstlight.deploy.aws import stacks
from firstlight.deploy.aws.session import Session
from firstlight.deploy.aws.stacks import State
from firstlight.deploy.aws.warming import Warmed
from firstlight.deploy.planning import Planned
from firstlight.deploy.sending import Code, Sent, send
from firstlight.deploy.trying import tried
from firstlight.deploy.types import Deployed, Stack
from firstlight.project.names import Names
from firstlight.project.types import Project
from firstlight.runtime.errors import Conflict

_NOT_TRIED = ("jobs", "switch")
"""Parts whose functions take other events than callers'; their code is the router's."""


@dataclass(frozen=True, slots=True)
class Work:
    """A deployment that was agreed to.

    Attributes:
        codes: code of each endpoint and of the router, on this machine.
        sleep: takes seconds.
    """

    session: Session
    project: Project
    planned: Planned
    codes: Sequence[Code]
    shown: Progress
    sleep: Callable[[float], None] = time.sleep

    @property
    def names(self) -> Names:
        """Of the project and stage."""
        return Names(self.project.name, self.project.stage)


@dataclass(frozen=True, slots=True)
class Applied:
    """What came of it.

    Attributes:
        deployed: what is there now.
        warmed: the new versions, and how long their first invocations took.
    """

    deployed: Deployed
    sent: Sent
    warmed: tuple[Warmed, ...]


def apply(work: Work) -> Applied:
    """Carry out a plan.

    Raises:
        Conflict: somebody else deployed since the plan was made.
        NotDeployed: CloudFormation failed; what was begun is taken back.
        VersionFailed: a new version does not answer; callers still get the one before, where there is one.
        FirstlightError: AWS or a registry refused, or was not reached.
    """
    found = work.planned.found
    sent = stored(work)
    state = _usable(work, found.state)
    if found.deployed is None:
        _step(work, work.planned.plan.stack, state, None)
        there = _there(work)
        warmed = _tried(work, {}, there, live=True)
        return Applied(there, sent, warmed)
    _step(work, _stack(work, found.deployed, switch=False), state, found.deployed)
    trial = _there(work)
    final = _stack(work, trial, switch=True)
    wanted = reading.versions_of(cloudformation.template(final), {})[1]
    warmed = _tried(work, trial.live, replace(trial, live=wanted), live=False)
    _step(work, final, stacks.state(work.session, work.names.stack), trial)
    there = _there(work)
    if there.live != wanted:
        hint = "run the same again: it begins from what is there now"
        raise Conflict(f"callers of {work.names.stack} do not all get the new versions", hint)
    return Applied(there, sent, warmed)


def stored(work: Work) -> Sent:
    """The first half of a plan: the place where code is kept, and the code in it. No function is touched.

    Raises:
        FirstlightError: as ``apply``.
    """
    found = work.planned.found
    _step(work, work.planned.store, _usable(work, found.artifacts), found.store)
    return send(work.session, work.codes, work.shown)


def answering(session: Session, names: Names, deployed: Deployed, shown: Progress) -> tuple[Warmed, ...]:
    """Invoke once what callers get, where there is nothing to deploy: an earlier deployment may have failed at that.

    Raises:
        VersionFailed: one does not answer.
        AwsError: AWS refused, or was not reached.
    """
    silent = {*_NOT_TRIED, *reading.turned_off(deployed.template)}
    wanted = {part: version for part, version in deployed.live.items() if part not in silent}
    return tried(session, names.stack, wanted, shown, live=True)


def _usable(work: Work, state: State | None) -> State | None:
    """A stack that can be changed, or None where one is to be made: what an earlier deployment left broken goes."""
    if state is None or not (state.broken or state.status == "UPDATE_ROLLBACK_FAILED"):
        return state
    if state.broken:
        work.shown.say(f"{state.name}: {state.status}; what is left of it is deleted")
        moving.end(work.session, state, work.shown, work.sleep)
        return None
    work.shown.say(f"{state.name}: {state.status}; its way back is tried again")
    return moving.taken_back(work.session, state, work.shown, work.sleep)


def _step(work: Work, stack: Stack, state: State | None, before: Deployed | None) -> None:
    template = cloudformation.template(stack)
    base = before.template if before else {}
    if before is not None and template == base:
        return
    main = stack.name == work.names.stack
    step = moving.Step(
        name=stack.name,
        text=cloudformation.text(stack),
        base=base,
        tags=stack.tags,
        agreed=work.planned.plan.changes,
        bucket=work.names.bucket(work.planned.plan.account.id, work.session.region) if main else "",
        parts={resource.id: resource.part for resource in stack.resources},
    )
    moving.take(work.session, step, state, work.shown, work.sleep)


def _stack(work: Work, deployed: Deployed, *, switch: bool) -> Stack:
    codes = {code.artifact.endpoint: code.artifact for code in work.codes}
    return graph.stack(work.project, codes, work.planned.plan.account, deployed, switch=switch)


def _there(work: Work) -> Deployed:
    there = reading.deployed(work.session, work.names)
    if there is None:
        hint = "run the same again: it begins from what is there now"
        raise Conflict(f"another deployment changed {work.names.stack} meanwhile", hint)
    return there


def _tried(work: Work, before: Mapping[str, str], wanted: Deployed, *, live: bool) -> tuple[Warmed, ...]:
    silent = {*_NOT_TRIED, *reading.turned_off(wanted.template)}
    fresh = {
        part: version
        for part, version in wanted.live.items()
        if before.get(part) != version and part not in silent
    }
    return tried(work.session, work.names.stack, fresh, work.shown, live=live)
