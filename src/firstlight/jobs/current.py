"""The job that is running, for the code that does its work: what it has put out so far, and whether it is wanted still.

``running`` is set in the task that carries the job and in every task it starts; it is None outside jobs.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextvars import ContextVar
from typing import Any

from firstlight.invoke.types import RESPONSE_LIMIT, Throttled
from firstlight.jobs.rendering import written
from firstlight.jobs.types import Job, JobEvent

LOG_LIMIT = 256 * 1024
"""Characters of a job's log that become events; the rest is only in what the server prints."""

OUTPUT_LIMIT = RESPONSE_LIMIT

running: ContextVar[Running | None] = ContextVar("running", default=None)


class Running:
    """One attempt at a job. Made and used on one event loop.

    Events are gathered until they are taken; texts of one kind that follow each other become one event, so that a
    token is not a row of a database.

    Args:
        job: as it was claimed.
        last: number of the job's last event so far.
        clock: seconds since the epoch.
        changed: called with the kind of each new event.
        begins: called with each request id that is a part of this job.

    Attributes:
        cancelled: nobody wants the answer any more.
        requests: ids of the invocations made for it.
        refused: why an invocation of it found no room, for a carrier that sees only the answer made of that.
    """

    def __init__(
        self,
        job: Job,
        last: int,
        clock: Callable[[], float],
        changed: Callable[[Running, str], None],
        begins: Callable[[Running, str], None],
    ) -> None:
        self.job = job
        self.started = job.started or clock()
        self.cancelled = False
        self.requests: list[str] = []
        self.refused: Throttled | None = None
        self._last = last
        self._clock = clock
        self._changed = changed
        self._begins = begins
        self._pending: list[JobEvent] = []
        self._texts: dict[str, list[str]] = {"output": [], "log": []}
        self._room = {"output": OUTPUT_LIMIT, "log": LOG_LIMIT}
        self._add("start", {"attempt": job.attempts})

    @property
    def number(self) -> int:
        """The number of the last event."""
        return self._last

    @property
    def partial(self) -> str:
        """What was put out so far."""
        return "".join(self._texts["output"])

    @property
    def logs(self) -> str:
        """What was logged so far, as far as it is kept."""
        return "".join(self._texts["log"])

    def began(self, request_id: str) -> None:
        """An invocation begins that is a part of this job: what it logs is the job's log, cancelling ends it."""
        self.requests.append(request_id)
        self._begins(self, request_id)

    def output(self, text: str) -> None:
        """A piece of the answer, before it is complete."""
        self._text("output", text)

    def log(self, text: str) -> None:
        """Lines that a worker wrote."""
        self._text("log", written(text))

    def metric(self, figures: Mapping[str, Any]) -> None:
        """Figures of an attempt that has ended."""
        if figures:
            self._add("metric", figures)

    def take(self) -> list[JobEvent]:
        """The events since the last time, for the store."""
        taken, self._pending = self._pending, []
        return taken

    def give_back(self, events: list[JobEvent]) -> None:
        """Events that the store did not take."""
        self._pending[:0] = events

    def _text(self, kind: str, text: str) -> None:
        text = text[: self._room[kind]]
        if not text:
            return
        self._room[kind] -= len(text)
        self._texts[kind].append(text)
        last = self._pending[-1] if self._pending else None
        if last is not None and last.kind == kind:
            joined = {"text": last.data["text"] + text}
            self._pending[-1] = JobEvent(last.number, kind, joined, last.time)
            self._changed(self, kind)
            return
        self._add(kind, {"text": text})

    def _add(self, kind: str, data: Mapping[str, Any]) -> None:
        self._last += 1
        self._pending.append(JobEvent(self._last, kind, data, self._clock()))
        self._changed(self, kind)
