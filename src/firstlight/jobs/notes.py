"""What running jobs put out, on its way to the store, to those who watch, and to webhooks."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Callable
from functools import partial

from firstlight.jobs.current import Running
from firstlight.jobs.rendering import rendered
from firstlight.jobs.shelf import Shelf, overlaid
from firstlight.jobs.types import Job, Kind, Result
from firstlight.jobs.webhooks import Messenger, Teller
from firstlight.runtime.errors import JobError

log = logging.getLogger("firstlight.jobs")

_SOON_S = 0.02
_LATER_S = 0.25
"""Seconds that events are gathered before they are written: while somebody watches the job, and while nobody does."""


class Notes:
    """The jobs that run here, by their id and by their request ids.

    Args:
        shelf: where events go.
        leave: ends the work of a request id.
        messenger: tells webhooks; None tells nobody.
        base: what comes before the paths of a job's URLs.
    """

    def __init__(
        self, shelf: Shelf, leave: Callable[[str], None], messenger: Messenger | None, base: Callable[[], str]
    ) -> None:
        self._shelf = shelf
        self._leave = leave
        self._messenger = messenger
        self._base = base
        self._jobs: dict[str, Running] = {}
        self._requests: dict[str, Running] = {}
        self._tellers: dict[str, Teller] = {}
        self._last_words: dict[str, asyncio.Task[None]] = {}
        self._writing: dict[str, asyncio.Task[None]] = {}
        self._locks: dict[str, asyncio.Lock] = {}

    async def open(self, job: Job) -> Running:
        """An attempt begins."""
        again = job.attempts > 1 and job.kind is not Kind.HOOK
        last = await self._shelf.last_number(job.id) if again else 0
        running = Running(job, last, self._shelf.clock, self._changed, self._began)
        self._jobs[job.id] = running
        self._locks[job.id] = asyncio.Lock()
        if job.webhook is not None and self._messenger is not None:
            self._tellers[job.id] = Teller(partial(self._told, running), job.webhook.events)
        self._changed(running, "start")
        return running

    async def close(self, running: Running, result: Result | None) -> None:
        """An attempt has ended: all of its events are kept, and its webhook hears no more of it than it is hearing."""
        if result is not None:
            running.metric(result.metrics)
        job_id = running.job.id
        teller = self._tellers.pop(job_id, None)
        last = teller.end() if teller is not None else None
        if last is not None:
            self._last_words[job_id] = last
            last.add_done_callback(lambda _: self._last_words.pop(job_id, None))
        await self.flush(running)

    async def silence(self, job_id: str) -> None:
        """Wait until a webhook has heard what it hears of a job that runs, so that the word of its end is the last."""
        last = self._last_words.get(job_id)
        if last is not None:
            await asyncio.wait([last])

    def forget(self, running: Running) -> None:
        """Nothing more of an attempt is to come."""
        job_id = running.job.id
        self._jobs.pop(job_id, None)
        self._tellers.pop(job_id, None)
        self._locks.pop(job_id, None)
        writing = self._writing.pop(job_id, None)
        if writing is not None:
            writing.cancel()
        for request_id in running.requests:
            self._requests.pop(request_id, None)
        self._shelf.notify(job_id)  # those who knew that it runs look again

    def find(self, job_id: str) -> Running | None:
        """The attempt at a job that runs here."""
        return self._jobs.get(job_id)

    def log(self, request_id: str, text: str) -> None:
        """What a worker wrote."""
        running = self._requests.get(request_id)
        if running is not None:
            running.log(text)

    def stop(self, running: Running) -> None:
        """Nobody wants the answer any more."""
        running.cancelled = True
        for request_id in running.requests:
            self._leave(request_id)

    async def flush(self, running: Running) -> None:
        """Keep the events so far; those that cannot be kept now go with the next ones."""
        lock = self._locks.get(running.job.id)
        if lock is None or running.job.kind is Kind.HOOK:
            return
        async with lock:
            events = running.take()
            if not events:
                return
            try:
                await self._shelf.append(running.job.id, events)
            except JobError as error:
                running.give_back(events)
                log.warning("what job %s put out could not be kept: %s", running.job.id, error.message)

    def _began(self, running: Running, request_id: str) -> None:
        self._requests[request_id] = running
        if running.cancelled:  # it is about to be invoked all the same
            asyncio.get_running_loop().call_soon(self._leave, request_id)

    def _changed(self, running: Running, kind: str) -> None:
        job_id = running.job.id
        if self._jobs.get(job_id) is not running:
            return  # it is being made
        if job_id not in self._writing:
            self._writing[job_id] = asyncio.get_running_loop().create_task(self._write_later(running))
        teller = self._tellers.get(job_id)
        if teller is not None:
            teller.say(kind)

    async def _write_later(self, running: Running) -> None:
        job_id = running.job.id
        await asyncio.sleep(_SOON_S if self._shelf.watched(job_id) else _LATER_S)
        self._writing.pop(job_id, None)
        await self.flush(running)

    async def _told(self, running: Running, what: str) -> int:
        webhook = running.job.webhook
        if self._messenger is None or webhook is None:
            return 0
        job = overlaid(running.job, running.started, running.partial)
        message_id = f"{job.id}.{what}.{job.attempts}.{running.number}"
        body = await self._shelf.ask(_shown, job, self._base(), running.logs)
        return await self._messenger.send(webhook.url, body, message_id)


def _shown(job: Job, base: str, logs: str) -> bytes:
    return json.dumps({**rendered(job, base), "logs": logs}).encode()
