"""Looks a machine, a project and its endpoints over: what is wrong, why it matters, and what to do."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace

from firstlight.doctor import bundles, files, hub, instructions, libraries, machine, packing, sandbox
from firstlight.doctor.types import OK, PROBLEM, WARNING, Check, Finding, Result, Subject, explained
from firstlight.project import Endpoint
from firstlight.runtime.errors import FirstlightError

__all__ = [
    "CHECKS",
    "OK",
    "PROBLEM",
    "WARNING",
    "Check",
    "Finding",
    "Result",
    "Subject",
    "examine",
    "repaired",
]

CHECKS = (
    Check("machine", "python", machine.python),
    Check("machine", "libc", machine.libc),
    Check("machine", "disk", machine.disk),
    Check("machine", "cache", machine.cache),
    Check("machine", "libraries", libraries.libraries),
    Check("machine", "cpu", machine.cpu),
    Check("machine", "walls", machine.walls),
    Check("machine", "port", machine.port),
    Check("machine", "clock", machine.clock),
    Check("hub", "reachable", hub.reachable),
    Check("hub", "token", hub.token),
    Check("project", "file", files.project_file),
    Check("project", "scripts", files.scripts),
    Check("project", "requirements", files.requirements),
    Check("project", "secrets", files.secrets),
    Check("project", "ignored", files.ignored),
    Check("project", "server", files.server),
    Check("project", "lock", bundles.lock),
    Check("project", "caches", bundles.caches),
    Check("project", "bundles", bundles.bundles),
    Check("lambda", "readable", look_at=packing.readable),
    Check("lambda", "start", look_at=sandbox.start),
    Check("lambda", "memory", look_at=sandbox.memory),
    Check("lambda", "network", look_at=sandbox.network),
    Check("lambda", "tmp", look_at=sandbox.tmp),
    Check("lambda", "locks", look_at=sandbox.locks),
    Check("lambda", "payload", look_at=sandbox.payload),
    Check("lambda", "body", look_at=sandbox.body),
    Check("lambda", "timeout", look_at=sandbox.timeout),
    Check("lambda", "size", look_at=packing.size),
    Check("lambda", "variables", look_at=packing.variables),
    Check("lambda", "instructions", look_at=instructions.instructions),
)
"""Every check there is, in the order in which they are made."""


def examine(subject: Subject, groups: Iterable[str], checks: Iterable[Check] = CHECKS) -> Iterator[Result]:
    """Make the checks of some groups; what a check cannot look at is a problem of its own.

    Args:
        groups: of ``machine``, ``hub``, ``project`` and ``lambda``.
    """
    wanted = set(groups)
    for check in checks:
        if check.group in wanted and check.look is not None:
            yield from (Result(check, finding) for finding in _looked(check.look(subject)))
    for endpoint in subject.endpoints():
        yield from _examined(
            subject, endpoint, [c for c in checks if c.group in wanted and c.look_at is not None]
        )


def _examined(subject: Subject, endpoint: Endpoint, checks: Iterable[Check]) -> Iterator[Result]:
    said: set[str] = set()
    for check in checks:
        if check.look_at is None:
            continue
        for finding in _looked(check.look_at(subject, endpoint)):
            # An endpoint that cannot be prepared at all is so for every check.
            if finding.level == OK or finding.what not in said:
                yield Result(check, finding, endpoint.name)
            said.add(finding.what)


def _looked(findings: Iterator[Finding]) -> Iterator[Finding]:
    try:
        yield from findings
    except FirstlightError as error:
        yield explained(error)


def repaired(result: Result) -> Result:
    """The result with what was done about it; as it is where nothing safe can be done."""
    if result.finding.repair is None:
        return result
    try:
        return replace(result, done=result.finding.repair())
    except FirstlightError as error:
        return replace(
            result, finding=replace(result.finding, fix=f"{error.message}. {error.hint}", repair=None)
        )
    except OSError as error:
        return replace(
            result, finding=replace(result.finding, fix=f"could not be repaired: {error}", repair=None)
        )
