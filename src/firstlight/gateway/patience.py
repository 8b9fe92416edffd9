"""How an answer that takes long gets to its client: whole, as a stream, or as a job that is fetched later.

The client says what it can take. ``"stream": true`` (or ``Accept: text/event-stream``) asks for a stream, which has no
wall to run into; ``Prefer: wait=20`` (RFC 7240) says for how many seconds a whole answer is waited for, which a
generating task is told as its deadline; ``Prefer: respond-async`` takes a job (``gateway.jobs``), with ``wait=20`` only
where the answer is not there by then. Whoever takes a job gets one also where the body asks for a stream.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import Enum

from firstlight.gateway.asgi import Call

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
    preferences = _preferences(call) if b"prefer" in call.headers else []
    wait = next((found for part in preferences if (found := _WAIT.fullmatch(part))), None)
    seconds = int(wait[1]) if wait else None
    if "respond-async" in preferences:
        return Patience(Way.JOB, seconds)
    if asked or (by_header and call.header(b"accept").partition(";")[0].strip().lower() == EVENTS):
        return Patience(Way.STREAM)
    return Patience(Way.WHOLE, seconds)


def takes_job(call: Call) -> bool:
    """Whether the client takes a job for an answer; one look into the headers where it has no preferences."""
    return b"prefer" in call.headers and of(call).way is Way.JOB


def _preferences(call: Call) -> list[str]:
    """The preferences without their parameters; the header may come several times."""
    said = b",".join(value for name, value in call.scope["headers"] if name == b"prefer")
    return [part.partition(";")[0].strip().lower() for part in said.decode("latin-1").split(",")]
