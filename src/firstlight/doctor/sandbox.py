"""Checks of an endpoint within Lambda's walls: what one real invocation there came to."""

from __future__ import annotations

from collections.abc import Iterator

from firstlight.doctor import sources
from firstlight.doctor.types import PROBLEM, WARNING, Finding, Subject, fine
from firstlight.invoke.scaling import INIT_LIMIT_S
from firstlight.invoke.types import RESPONSE_LIMIT
from firstlight.isolation.walls import TMP_MB
from firstlight.project import Endpoint

_GATEWAY_S = 29
_NEW_ACCOUNT_MB = 3008


def start(subject: Subject, endpoint: Endpoint) -> Iterator[Finding]:
    """A worker is started, and its init has 10 seconds."""
    trial = subject.trial(endpoint)
    where = _where(subject, endpoint)
    if trial.init_s is None or (trial.failed and trial.hint):
        yield Finding(
            PROBLEM, trial.error or "does not start", where, "it fails on Lambda in the same way", trial.hint
        )
        return
    what = f"ready after {trial.init_s:.2f} s of the {INIT_LIMIT_S:g} s that Lambda gives"
    if trial.init_s > INIT_LIMIT_S:
        why = "Lambda starts it a second time inside the first invocation, and both are billed"
        yield Finding(
            PROBLEM, what, where, why, "load less before the handler is called, or quantise the model"
        )
    elif trial.init_s > 0.8 * INIT_LIMIT_S:
        yield Finding(
            WARNING, what, where, "the first start after a deployment is slower", "load less at start"
        )
    else:
        yield fine(what)
    if trial.failed:
        yield from _failing(subject, endpoint)


def _failing(subject: Subject, endpoint: Endpoint) -> Iterator[Finding]:
    """A worker that is ready and does not answer, for a reason that is none of the walls."""
    trial, where = subject.trial(endpoint), _where(subject, endpoint)
    if trial.outcome == "timeout":
        fix = "raise `timeout` of the endpoint, or ask less of it"
        yield Finding(PROBLEM, f"has no answer after {endpoint.timeout:g} s", where, "Lambda ends it", fix)
    elif endpoint.script is None:
        yield Finding(PROBLEM, f"fails with its task's own example: {trial.error}", where, fix=trial.hint)
    elif "OutOfMemory" not in trial.error:  # which is said of its memory
        what = (
            f"called with {'what you gave' if subject.event else 'an empty event'} it answers {trial.error}"
        )
        yield Finding(
            WARNING, what, where, "no wall is the reason", "give an event that it takes with --data"
        )


def memory(subject: Subject, endpoint: Endpoint) -> Iterator[Finding]:
    """What it needs of its memory."""
    trial, limit = subject.trial(endpoint), endpoint.memory
    where = _where(subject, endpoint)
    if trial.outcome == "crash" and "OutOfMemory" in trial.error:
        fix = f"raise `memory` of the endpoint above {limit}"
        yield Finding(PROBLEM, f"needs more than its {limit} MB", where, "Lambda ends it", fix)
    elif trial.init_s is None:
        return  # it never ran
    elif trial.memory_mb > 0.9 * limit:
        fix = f"raise `memory` to {round(trial.memory_mb * 1.25)}"
        yield Finding(WARNING, f"{trial.memory_mb} MB of {limit} MB", where, "a longer input needs more", fix)
    else:
        yield fine(f"{trial.memory_mb} MB of {limit} MB")
    if limit > _NEW_ACCOUNT_MB:
        why = "a new AWS account may use 3,008 MB at most until its quota is raised"
        yield Finding(
            WARNING, f"asks for {limit} MB", where, why, "ask AWS for a higher quota, or quantise the model"
        )


def payload(subject: Subject, endpoint: Endpoint) -> Iterator[Finding]:
    """The size of the example's answer against the 6 MB that Lambda carries."""
    trial = subject.trial(endpoint)
    where = _where(subject, endpoint)
    if trial.failed and "ResponseSizeTooLarge" in trial.error:
        why = "Lambda carries 6 MB and fails what is larger"
        yield Finding(PROBLEM, "its answer has more than 6 MB", where, why, "answer less, or stream it")
    elif not trial.failed and trial.bytes > RESPONSE_LIMIT // 2:
        why = "Lambda carries 6 MB; an answer to a longer input fails"
        what = f"its answer to the example has {trial.bytes / 1e6:.1f} MB"
        yield Finding(WARNING, what, where, why, "answer less, or stream it")
    elif not trial.failed:
        yield fine(f"the answer to the example has {trial.bytes:,} bytes of 6 MB")


def tmp(subject: Subject, endpoint: Endpoint) -> Iterator[Finding]:
    """What it left in /tmp."""
    trial = subject.trial(endpoint)
    used = trial.tmp_mb
    where = _where(subject, endpoint)
    if trial.init_s is None:
        return
    if used is None:
        yield fine("what it writes to /tmp cannot be seen on this machine")
    elif used > 0.5 * TMP_MB:
        why = (
            f"there are {TMP_MB} MB unless a function asks for more, and what earlier invocations left stays"
        )
        yield Finding(WARNING, f"left {used:.0f} MB in /tmp", where, why, "delete what is done with")
    else:
        yield fine(f"left {used:.0f} of {TMP_MB} MB in /tmp")


def network(subject: Subject, endpoint: Endpoint) -> Iterator[Finding]:
    """Whether it needs the network to start or to answer."""
    trial = subject.trial(endpoint)
    if trial.offline:
        if not trial.failed:
            yield fine("needs no network")
        return
    why = "a start that downloads is slow, fails with what it downloads from, and in a VPC without NAT always"
    fix = "`firstlight trace` packs what it downloads; calls to other services can stay"
    yield Finding(WARNING, "fails without network and works with it", _where(subject, endpoint), why, fix)


def body(subject: Subject, endpoint: Endpoint) -> Iterator[Finding]:
    """Answers for API Gateway whose body is an object: it takes strings only."""
    level = PROBLEM if endpoint.route else WARNING
    why = "API Gateway refuses a body that is no string (502); Invoke passes it on as it is"
    fix = 'write "body": json.dumps(...)'
    found = [
        Finding(level, "answers with an object as body", f"{subject.shown(endpoint.script)}:{line}", why, fix)
        for line in _lines_of_bodies(endpoint)
        if endpoint.script is not None
    ]
    trial = subject.trial(endpoint)
    answer = trial.payload if not trial.failed and isinstance(trial.payload, dict) else {}
    if not found and "statusCode" in answer and not isinstance(answer.get("body", ""), str):
        found = [Finding(level, "answers with an object as body", _where(subject, endpoint), why, fix)]
    yield from found or [fine("API Gateway takes its answers")]


def _lines_of_bodies(endpoint: Endpoint) -> Iterator[int]:
    try:
        yield from sources.object_bodies(sources.parsed(endpoint.script)) if endpoint.script else ()
    except (SyntaxError, OSError):
        return  # said by another check


def locks(subject: Subject, endpoint: Endpoint) -> Iterator[Finding]:
    """Use of multiprocessing's locks, queues and pools, which need /dev/shm."""
    try:
        tree = sources.parsed(endpoint.script) if endpoint.script else None
    except (SyntaxError, OSError):
        return
    found = list(sources.shared_memory(tree)) if tree is not None else []
    for called, line in found:
        where = f"{subject.shown(endpoint.script)}:{line}" if endpoint.script else ""
        why = "Lambda has no /dev/shm, so it raises OSError there"
        fix = "use threads (concurrent.futures.ThreadPoolExecutor), or multiprocessing's Process with Pipe"
        yield Finding(PROBLEM, f"calls {called}", where, why, fix)
    if not found:
        yield fine("needs no /dev/shm")


def timeout(subject: Subject, endpoint: Endpoint) -> Iterator[Finding]:
    """A timeout beyond what an API Gateway waits for."""
    front = endpoint.front
    walled = front.kind == "http" or (front.kind == "rest" and not front.stream)
    if endpoint.route and walled and endpoint.timeout > _GATEWAY_S + 1:
        status, seconds = (503, _GATEWAY_S + 1) if front.kind == "http" else (504, _GATEWAY_S)
        why = f"API Gateway answers {status} after {seconds} s, while the function works on and is billed"
        fix = 'call it by Invoke, write front = { kind = "url" } or stream = true, or lower `timeout`'
        what = f"timeout {endpoint.timeout:g} s with the route {endpoint.route}"
        yield Finding(WARNING, what, _where(subject, endpoint), why, fix)
    else:
        yield fine(f"{endpoint.timeout:g} s")


def _where(subject: Subject, endpoint: Endpoint) -> str:
    return subject.shown(endpoint.script) if endpoint.script is not None else str(endpoint.model)
