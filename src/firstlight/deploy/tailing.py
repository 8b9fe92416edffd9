"""What functions wrote to CloudWatch Logs: from all log groups of a stack, in the order of time, and what comes."""

from __future__ import annotations

import heapq
from collections import Counter, deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from firstlight.deploy.aws.errors import AwsError
from firstlight.deploy.aws.session import Session

LATE_S = 15.0
"""How much later than others a line may reach CloudWatch and still be shown by who follows."""
_PAGE = 10_000


@dataclass(frozen=True, slots=True)
class Line:
    """One line of a log.

    Attributes:
        time: seconds since the epoch.
        source: endpoint, or ``router``, ``jobs`` and the like.
        stream: one worker's.
        text: as it was written, without its end of line.
    """

    time: float
    source: str
    stream: str
    text: str


class Logs:
    """The log groups of a stack.

    Args:
        groups: name of a log group -> whose it is.
    """

    def __init__(self, session: Session, groups: Mapping[str, str]) -> None:
        self._client = session.client("logs")
        self._groups = dict(groups)
        self._shown: dict[tuple[str, ...], float] = {}

    def newest(self, since: float, limit: int) -> list[Line]:
        """The last lines, oldest first, at most ``limit``; ``after`` goes on behind them.

        Args:
            since: seconds since the epoch.

        Raises:
            AwsError: AWS refused, or was not reached.
        """
        found = deque(self._new(since), maxlen=limit)
        return list(found)

    def after(self, latest: float) -> list[Line]:
        """The lines that were not given yet, oldest first: those that came, and those that came late.

        Args:
            latest: time of the newest line that is known, seconds since the epoch.
        """
        start = latest - LATE_S
        found = list(self._new(start))
        self._shown = {key: when for key, when in self._shown.items() if when >= start}
        return found

    def _new(self, since: float) -> Iterator[Line]:
        each = [self._group(group, source, since) for group, source in self._groups.items()]
        for key, line in heapq.merge(*each, key=lambda found: found[1].time):
            if key not in self._shown:
                self._shown[key] = line.time
                yield line

    def _group(self, group: str, source: str, since: float) -> Iterator[tuple[tuple[str, ...], Line]]:
        """The lines of a group with what tells each from all others: its id, or its place among equal ones."""
        equal: Counter[tuple[str, ...]] = Counter()
        for event in self._events(group, since):
            line = Line(
                event["timestamp"] / 1000,
                source,
                event.get("logStreamName", ""),
                event["message"].rstrip("\n"),
            )
            written = (group, line.stream, str(event["timestamp"]), line.text)
            equal[written] += 1
            yield (str(event["eventId"]),) if "eventId" in event else (*written, str(equal[written])), line

    def _events(self, group: str, since: float) -> Iterator[dict[str, Any]]:
        """Events of one group, oldest first. Pages come ordered; within one, streams may be mixed."""
        asked = {"logGroupName": group, "startTime": max(0, int(since * 1000)), "limit": _PAGE}
        try:
            pages = self._client.pages("filter_log_events", **asked)
            for page in pages:
                yield from sorted(page["events"], key=lambda event: event["timestamp"])
        except AwsError as error:
            # A group that the function has not written to yet, or that was deleted meanwhile, has no lines.
            if error.reason != "ResourceNotFoundException":
                raise


def groups_of(resources: Mapping[str, Any], sources: Mapping[str, str]) -> dict[str, str]:
    """The log groups of a stack: name -> whose.

    Args:
        resources: logical id -> resource of the stack, with ``type`` and ``physical``.
        sources: name of a function -> what it is called for people.
    """
    found = [one.physical for one in resources.values() if one.type == "AWS::Logs::LogGroup"]
    named = {name: name.removeprefix("/aws/lambda/") for name in found}
    return {name: sources.get(function, function) for name, function in sorted(named.items())}
