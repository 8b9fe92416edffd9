"""The carrier of jobs that are HTTP requests: the request enters the app again, and its response is the job's result.

What the response will be is decided by the same code that answers everybody else, so the bytes are the same. Pieces of
the answer are told by who makes them (``generations``, ``streams``), while they are made.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from firstlight.gateway.asgi import dump_json
from firstlight.gateway.jobs.inside import JOB, Collected, Inside
from firstlight.jobs.types import Job, Result
from firstlight.runtime.errors import JobError, PayloadTooLarge

if TYPE_CHECKING:
    from firstlight.jobs.current import Running

_TIMING = re.compile(r"([a-z_]+);dur=([\d.]+)")
_FIGURES = {"total": "duration_ms", "queue": "queue_ms", "init": "init_ms"}
"""Names in ``Server-Timing`` -> those of a job's metrics."""

HEADERS_LIMIT = 8192
"""Bytes of headers that are kept of a response."""
_NOT_KEPT = frozenset(
    {b"connection", b"content-length", b"content-type", b"date", b"set-cookie", b"transfer-encoding"}
)
"""Of the connection, kept elsewhere, or for one client's eyes only."""


class RequestCarrier:
    """Runs the request of a job.

    Args:
        app: the app that answers everybody; what lies behind its guard is asked.
    """

    def __init__(self, app: Any) -> None:
        self._inside = Inside(app)

    async def __call__(self, job: Job, running: Running) -> Result:
        """The response to the job's request. Cancelling this ends the work.

        Raises:
            Throttled: there was no room for it; it was not begun.
            JobError: the job holds no request.
        """
        if job.request is None:
            raise JobError(f"job {job.id} holds no request")
        try:
            found = await self._inside.ask(job.request, job.payload, {JOB: job.id})
        except PayloadTooLarge as error:
            return Result(502, _error(error.message, error.hint))
        if found.status == 429 and running.refused is not None:
            raise running.refused
        if not found.complete:
            return Result(502, _error("the answer broke off", "see the server's log"))
        kind = found.header(b"content-type", "application/octet-stream")
        return Result(found.status, found.body, kind, metrics=figures(found), headers=headers(found))


def headers(found: Collected) -> tuple[tuple[str, str], ...]:
    """The headers that are a part of the answer, as far as there is room for them."""
    kept, room = [], HEADERS_LIMIT
    for name, value in found.headers:
        room -= len(name) + len(value)
        if room >= 0 and name.lower() not in _NOT_KEPT:
            kept.append((name.lower().decode("latin-1"), value.decode("latin-1")))
    return tuple(kept)


def figures(found: Collected) -> dict[str, float]:
    """The figures of ``Server-Timing``, in milliseconds."""
    named = dict(_TIMING.findall(found.header(b"server-timing")))
    return {name: float(named[key]) for key, name in _FIGURES.items() if key in named}


def _error(message: str, hint: str) -> bytes:
    return dump_json({"error": message, "code": "broken-off", "hint": hint})
