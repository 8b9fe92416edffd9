"""The carrier of hooks: brings word of how a job ended to where it is to go, until it is taken."""

from __future__ import annotations

import asyncio
import json
import logging
import uuid
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, Protocol

from firstlight.jobs import destinations, lineage
from firstlight.jobs.current import Running
from firstlight.jobs.posting import Undelivered
from firstlight.jobs.rendering import rendered
from firstlight.jobs.shelf import Shelf
from firstlight.jobs.types import EVENT_LIMIT, Condition, Job, Kind, Result
from firstlight.jobs.webhooks import Messenger
from firstlight.runtime.errors import JobError

log = logging.getLogger("firstlight.jobs")

_GONE = 410
_SOON_S = 2.0
"""Seconds that a hook waits for the end of its job, before it waits in the queue."""


class Desk(Protocol):
    """What of the desk is needed here."""

    @property
    def shelf(self) -> Shelf: ...

    @property
    def base(self) -> str: ...

    async def submit(self, job: Job) -> tuple[Job, bool]: ...

    async def silence(self, job_id: str) -> None: ...


class HookCarrier:
    """Delivers hooks.

    Args:
        desk: has the jobs that are told of, and takes the Event invocations of destinations that are endpoints.
        messenger: posts, and appends to files.
        root: where relative paths of files start.
    """

    def __init__(self, desk: Desk, messenger: Messenger, root: Callable[[], Path]) -> None:
        self._desk = desk
        self._messenger = messenger
        self._root = root

    async def __call__(self, job: Job, running: Running) -> Result:  # noqa: ARG002 - the port's signature
        """Deliver one hook. A result with an error status is final, what is raised is tried again.

        Raises:
            FirstlightError: it could not be delivered now.
        """
        about = json.loads(job.payload)
        of, what = str(about["job"]), str(about["what"])
        ended = await self._ended(of)
        if ended is None:
            return Result(_GONE, b'{"error":"the job it tells of is gone"}')
        if not _still_so(ended, what):
            return Result(_GONE, b'{"error":"the job ended in another way"}')
        where = job.request.path if job.request is not None else ""
        result = await self._deliver(where, ended, what, job.id)
        if result.status < 400:
            await self._desk.shelf.add_told(of, what)
        else:
            log.warning("word of %s (%s) was not delivered to %s: status %d", of, what, where, result.status)
        return result

    async def _ended(self, job_id: str) -> Job | None:
        """The job that is told of, which may be about to end: its hooks are kept before its end is."""
        shelf, loop = self._desk.shelf, asyncio.get_running_loop()
        last = loop.time() + _SOON_S
        with shelf.bell(job_id) as bell:
            while True:
                bell.reset()
                job = await shelf.ask(shelf.store.get, job_id)
                if job is None or job.status.final:
                    return job
                if loop.time() >= last:
                    raise Undelivered(f"{job_id} has not ended yet")
                await bell.rings(last - loop.time())

    async def _deliver(self, where: str, ended: Job, what: str, hook_id: str) -> Result:
        scheme, _, rest = where.partition(":")
        ways: dict[str, Callable[[str, Job, str, str], Awaitable[Result]]] = {
            "file": self._to_file,
            "endpoint": self._to_endpoint,
            "http": self._to_url,
            "https": self._to_url,
        }
        way = ways.get(scheme)
        if way is None:
            return Result(400)
        return await way(where if scheme.startswith("http") else rest, ended, what, hook_id)

    async def _to_file(self, path: str, ended: Job, what: str, hook_id: str) -> Result:
        if what == "dead_letter":
            line = await self._json(destinations.sqs_message, hook_id, *destinations.dead_letter(ended))
        else:
            line = await self._json(destinations.record, ended)
        await self._messenger.append(self._root() / path, line)
        return Result()

    async def _to_url(self, url: str, ended: Job, what: str, hook_id: str) -> Result:
        headers: dict[str, str] = {}
        if what == "dead_letter":
            body, attributes = destinations.dead_letter(ended)
            headers = {name: _header(value) for name, value in attributes.items()}
        elif what == destinations.COMPLETED:
            await self._desk.silence(ended.id)
            body = await self._json(rendered, ended, self._desk.base)
        else:
            body = await self._json(destinations.record, ended)
        status = await self._messenger.send(url, body, hook_id, headers)
        if status == _GONE or 200 <= status < 300:
            return Result(status)
        raise Undelivered(f"{url} answered {status}")

    async def _to_endpoint(self, name: str, ended: Job, what: str, hook_id: str) -> Result:
        if what == "dead_letter":
            letter = destinations.dead_letter(ended)
            payload = await self._json(destinations.sqs_event, hook_id, *letter, ended.endpoint)
        else:
            payload = await self._json(destinations.record, ended)
        if len(payload) > EVENT_LIMIT:
            return Result(413)
        now = self._desk.shelf.clock()
        try:
            trace_id = _led_to(ended, name, now)
        except lineage.RecursiveInvocation as error:
            return Result(error.status)
        event_id = str(uuid.uuid5(uuid.NAMESPACE_OID, hook_id))  # a second delivery is the same invocation
        event = Job(event_id, Kind.EVENT, name, payload, now, trace_id=trace_id)
        await self._desk.submit(event)
        return Result()

    async def _json(self, shows: Callable[..., Any], *about: Any) -> bytes:
        """What a function shows, as JSON; made on a thread, as it may be some megabytes.

        Raises:
            JobError: it cannot be shown.
        """

        def made() -> bytes:
            try:
                return json.dumps(shows(*about), separators=(",", ":")).encode()
            except (TypeError, RecursionError) as error:
                raise JobError(f"a job cannot be shown as JSON: {error}") from error

        return await self._desk.shelf.ask(made)


def _still_so(ended: Job, what: str) -> bool:
    """Whether the job ended as the hook says: one that was begun again after a crash may have ended otherwise."""
    if what == destinations.COMPLETED:
        return True
    succeeded = ended.condition is Condition.SUCCESS
    return succeeded if what == "on_success" else not succeeded and ended.condition is not Condition.NONE


def _led_to(ended: Job, name: str, now: float) -> str | None:
    """The trace header with which word of a job's end goes on.

    Raises:
        RecursiveInvocation: it would go round for ever.
    """
    if ended.condition is not Condition.RECURSIVE:
        return lineage.onward(ended.trace_id, ended.endpoint, now)
    lineage.onward(ended.trace_id, name, now)
    return ended.trace_id


def _header(text: str) -> str:
    return text.encode("ascii", "backslashreplace").decode().replace("\r", " ").replace("\n", " ")
