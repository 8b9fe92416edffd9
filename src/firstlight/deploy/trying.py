"""New versions are invoked once before callers meet them: a first start is slow, and may be a failure."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from firstlight.build.types import Progress
from firstlight.deploy.aws import stacks
from firstlight.deploy.aws.session import Session
from firstlight.deploy.aws.warming import Warmed, warm
from firstlight.runtime.errors import FirstlightError

EVENT: Mapping[str, Any] = {"source": "aws.scheduler", "detail-type": "ping", "detail": {}}
"""What every function of ours answers without doing anything: it has started by then."""
_AT_ONCE = 4
_LONGEST_SECONDS = 900.0


class VersionFailed(FirstlightError):
    """A new version does not answer."""

    code = "version-failed"


def tried(
    session: Session,
    stack: str,
    wanted: Mapping[str, str],
    shown: Progress,
    *,
    live: bool,
    act: Callable[..., Warmed] = warm,
) -> tuple[Warmed, ...]:
    """Invoke versions once each, some at a time.

    Args:
        stack: name or ARN of the stack they are in.
        wanted: part -> logical id of its version.
        live: callers reach them already (a first deployment).

    Raises:
        VersionFailed: one does not answer; the end of its log is shown.
        AwsError: AWS refused, or was not reached.
    """
    if not wanted:
        return ()
    there = stacks.resources(session, stack)
    arns = {part: there[version].physical for part, version in wanted.items() if version in there}
    shown.stage(
        "first invocations: "
        + ", ".join(f"{part} version {arn.rpartition(':')[2]}" for part, arn in arns.items())
    )
    event = json.dumps(EVENT).encode()
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        asked = [pool.submit(act, session, part, arn, event, _LONGEST_SECONDS) for part, arn in arns.items()]
        try:
            warmed = tuple(one.result() for one in asked)
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise
    for one in warmed:
        _show(one, shown)
    failed = [one for one in warmed if one.error]
    if failed:
        raise _failure(failed, live=live)
    return warmed


def _show(one: Warmed, shown: Progress) -> None:
    if not one.error:
        shown.say(f"  {one.part}: answers, after {one.seconds:.1f} s")
        return
    shown.say(f"  {one.part}: {one.error}")
    for line in one.log.splitlines():
        shown.say(f"    {line}")


def _failure(failed: list[Warmed], *, live: bool) -> VersionFailed:
    said = "; ".join(f"{one.part} does not start: {one.error}" for one in failed)
    if live:
        return VersionFailed(
            said, "the stack is there, and callers get it as it is: put it right and deploy again"
        )
    return VersionFailed(
        f"{said}. Callers still get the version before",
        "put it right and deploy again; nothing has to be taken back",
    )
