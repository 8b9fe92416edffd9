"""How an answer that takes long gets to its client: whole, as a stream, or as a job that is fetched later.

The client says what it can take. ``"stream": true`` (or ``Accept: text/event-stream``) asks for a stream, which has no
wall to run into; ``Prefer: wait=20`` (RFC 7240) says for how many seconds a whole answer is waited for, which a
generating task is told as its deadline; ``Prefer: respond-async`` asks for a job. Jobs are not a part of this version:
``choose`` is the one place that has to change when they are.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import Enum

from firstlight.gateway.asgi import Call
from firstlight.runtime.errors import NotSupported

EVENTS = "text/event-stream"
_WAIT = re.compile(r"wait\s*=\s*\"?(\d{1,6})\"?")


class Way(Enum):
    """How the answer travels."""

    WHOLE = "whole"
    STREAM = "stream"
    JOB = "job"


@dataclass(frozen=True, slots=True)
class Patience:
    """What a client can take.

    Args:
        way: how the answer is to travel.
        seconds: how long the client waits for a whole answer; None where it does not say, or takes a stream.
    """

    way: Way
    seconds: int | None = None


def of(call: Call, asked: bool = False, by_header: bool = False) -> Patience:
    """What the client of a request can take.

    Args:
        call: the request.
        asked: its body asks for a stream.
        by_header: whether the Accept header may ask for one too.
    """
    preferences = [part.strip().lower() for part in call.header(b"prefer").split(",")]
    wait = next(
        (found for part in preferences if (found := _WAIT.fullmatch(part.partition(";")[0].strip()))), None
    )
    seconds = int(wait[1]) if wait else None
    if asked or (by_header and call.header(b"accept").partition(";")[0].strip().lower() == EVENTS):
        return Patience(Way.STREAM)
    if any(part.partition(";")[0].strip() == "respond-async" for part in preferences):
        return Patience(Way.JOB, seconds)
    return Patience(Way.WHOLE, seconds)


def choose(patience: Patience) -> Way:
    """The way the answer takes: the one that was asked for, if this server has it.

    Raises:
        NotSupported: a job was asked for.
    """
    if patience.way is Way.JOB:
        raise NotSupported(
            "jobs (Prefer: respond-async) are not available in this version of firstlight: nothing was started",
            'leave the header out, or send "stream": true to read a long answer as it is made; a generating task that '
            "runs into its deadline answers with what it has and a continuation that the next request can send",
        )
    return patience.way
