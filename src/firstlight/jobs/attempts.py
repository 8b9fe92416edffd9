"""Attempts at jobs: from a job that was claimed to what is kept of how it went."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from firstlight.jobs import current, destinations, rules
from firstlight.jobs.carrying import Carrier
from firstlight.jobs.current import Running
from firstlight.jobs.lineage import RecursiveInvocation
from firstlight.jobs.notes import Notes
from firstlight.jobs.rules import Verdict
from firstlight.jobs.shelf import Shelf
from firstlight.jobs.types import Job, Kind, Result, Status
from firstlight.project import Asynchronous
from firstlight.runtime.errors import FirstlightError, JobError

log = logging.getLogger("firstlight.jobs")

_AGAIN_S = 1.0
"""Seconds until what came of a job is written again where the store refused it."""


class Attempts:
    """Carries claimed jobs and keeps what came of them.

    Args:
        shelf: the store.
        carriers: what does the work, by kind of job.
        policies: what becomes of the events of an endpoint and qualifier.
        owner: whose jobs these are.
        notes: keeps what running jobs put out.
    """

    def __init__(
        self,
        shelf: Shelf,
        carriers: Mapping[Kind, Carrier],
        policies: Callable[[str, str], Asynchronous],
        owner: str,
        notes: Notes,
    ) -> None:
        self._shelf = shelf
        self._carriers = carriers
        self._policies = policies
        self._owner = owner
        self._notes = notes

    async def carry(self, job: Job, concurrency: int) -> None:
        """One attempt, or the reason why there is none.

        Args:
            concurrency: how many invocations its endpoint may have at once.
        """
        policy = self._policies(job.endpoint, job.qualifier)
        verdict = rules.before(job, policy, concurrency, self._shelf.clock())
        if verdict is not None:
            await self._settle(job, policy, verdict, None)
            return
        running = await self._notes.open(job)
        try:
            verdict = await self._attempt(job, running, policy)
            await self._notes.close(running, verdict.result)
            await self._settle(job, policy, verdict, running)
        except asyncio.CancelledError:
            if not running.cancelled:
                raise
            await self._notes.close(running, None)
            await self._settle(job, policy, Verdict(Status.CANCELED), running)
        finally:
            self._notes.forget(running)

    async def put_back(self, job: Job, *, begun: bool) -> None:
        """Give a job back to the queue because the server ends: its attempt came to nothing, or was not begun."""
        counted = {"interrupted": job.interrupted + 1} if begun else {"attempts": job.attempts - 1}
        await self._shelf.change(job, self._owner, status=Status.STARTING, **counted)

    async def _attempt(self, job: Job, running: Running, policy: Asynchronous) -> Verdict:
        current.running.set(running)
        try:
            result = await self._carriers[job.kind](job, running)
        except RecursiveInvocation as error:
            verdict = rules.recursive(job, error.message)
        except FirstlightError as error:
            verdict = self._refused(job, policy, error)
        except Exception:
            log.exception("job %s failed in the server", job.id)
            text = "the server failed at this job"
            verdict = rules.held_back(job, policy, 500, text, self._shelf.clock())
        else:
            verdict = rules.answered(job, policy, result, self._shelf.clock())
        if running.cancelled:
            return Verdict(Status.CANCELED, failures=job.failures, held_back=job.held_back)
        return verdict

    def _refused(self, job: Job, policy: Asynchronous, error: FirstlightError) -> Verdict:
        """After an error that is not the function's: what cannot be mended counts as a failure, as on Lambda."""
        now = self._shelf.clock()
        if error.status == 429 or error.status >= 500:
            return rules.held_back(job, policy, error.status, error.message, now)
        body = json.dumps({"errorMessage": error.message, "errorType": type(error).__name__}).encode()
        return rules.answered(job, policy, Result(error.status, body), now)

    async def _settle(
        self, job: Job, policy: Asynchronous, verdict: Verdict, running: Running | None
    ) -> None:
        """Keep what became of a job, and who is to be told; written again until the store takes it."""
        fields = self._fields(job, verdict, running)
        while True:
            try:
                if verdict.status.final and job.kind is not Kind.HOOK:
                    ended = replace(job, **fields)
                    for hook in destinations.hooks(ended, policy, self._shelf.clock()):
                        await self._shelf.ask(self._shelf.store.put, hook)
                await self._shelf.change(job, self._owner, **fields)
                return
            except JobError as error:
                log.warning("what became of job %s could not be kept: %s", job.id, error.message)
                await asyncio.sleep(_AGAIN_S)

    def _fields(self, job: Job, verdict: Verdict, running: Running | None) -> dict[str, Any]:
        now = self._shelf.clock()
        fields: dict[str, Any] = {
            "status": verdict.status,
            "condition": verdict.condition,
            "error": verdict.error,
            "failures": verdict.failures,
            "held_back": verdict.held_back,
        }
        if verdict.result is not None:
            fields["result"] = verdict.result
        if running is not None:
            fields["started"] = running.started
            if verdict.status is not Status.SUCCEEDED and running.partial:
                fields["partial"] = running.partial
        if verdict.status.final:
            kept = 0.0 if job.kind is Kind.HOOK else rules.KEPT_S
            fields.update(completed=now, keep_until=now + kept)
        else:
            fields["due"] = verdict.due
        return fields
